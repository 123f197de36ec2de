package local

import (
	"errors"
	"fmt"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/directory"
	"posthorn/internal/wire/srs"
)

// Returns writes reverse-paths of ours into forwarded mail and finds the
// senders behind them again (package srs).
type Returns struct {
	// Keys are secrets of 32 octets; the first one signs.
	Keys [][]byte
}

// Write returns the reverse-path to forward mail with, at a domain of ours. One
// that would get too long for SMTP stays as it is, and so does the null one.
func (r *Returns) Write(sender mail.Address, domain string) (mail.Address, error) {
	w, err := srs.New(srs.Options{Domain: domain, Keys: r.Keys})
	if err != nil {
		return sender, fmt.Errorf("local: reverse-path at %s: %w", domain, err)
	}
	out, err := w.Forward(sender, time.Now())
	if errors.Is(err, srs.ErrLength) {
		return sender, nil
	}
	return out, err
}

// Read is a directory.Returns.
func (r *Returns) Read(a mail.Address) (mail.Address, error) {
	w, err := srs.New(srs.Options{Domain: a.Domain, Keys: r.Keys})
	if err != nil {
		return mail.Address{}, err
	}
	sender, err := w.Reverse(a, time.Now())
	if errors.Is(err, srs.ErrNotSRS) {
		return mail.Address{}, directory.ErrNotReturn
	}
	return sender, err
}

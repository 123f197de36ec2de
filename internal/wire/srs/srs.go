// Package srs rewrites the reverse-path of forwarded mail into our own domain,
// so that SPF holds at the next host, and turns the bounces to it around (the
// Sender Rewriting Scheme of Shevek, 2004). Forwarding stands in flow; it asks
// here when it makes the envelope of a copy, and recipients of bounces are
// asked for here before they count as unknown.
//
//	bob@sender.test    SRS0=hash=day=sender.test=bob@us.test
//	SRS0=…@first.test  SRS1=hash=first.test==…@us.test
//
// A hash that only we can make keeps others from sending through us with such
// addresses. The package has no clock and does not know which domains are ours.
package srs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"posthorn/internal/base/mail"
)

// Bounds and defaults of Options.
const (
	MinKey        = 16 // octets
	MinHash       = 4  // letters of 5 bits
	MaxHash       = 32
	DefaultHash   = 8
	DefaultMaxAge = 21 * day
	maxAge        = cycle / 2 * day
)

// The form of rewritten addresses.
const (
	version0   = "SRS0"
	version1   = "SRS1"
	separator  = "="
	separators = "=+-" // which others write behind the version

	// Days are written as two letters of base32, so they repeat.
	alphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	day       = 24 * time.Hour
	cycle     = 1024
	tolerance = 1 // days that another node's clock may be ahead
)

// Errors.
var (
	// ErrNotSRS tells that an address was not rewritten by anybody.
	ErrNotSRS = errors.New("srs: not a rewritten address")
	// ErrForged tells of an address that we did not write.
	ErrForged = errors.New("srs: the hash is not ours")
	// ErrExpired tells of one that we wrote too long ago.
	ErrExpired = errors.New("srs: the address has expired")
	// ErrLength tells that the rewritten address would be longer than
	// RFC 5321 §4.5.3.1 allows.
	ErrLength = errors.New("srs: the rewritten address is too long")
	// ErrOptions tells of Options that New refuses.
	ErrOptions = errors.New("srs: bad options")
)

// Options of a Rewriter.
type Options struct {
	// Domain is ours, in the normal form of mail.ParseDomain. Its mail must
	// come to a host that has the same keys.
	Domain string
	// Keys are secrets of MinKey octets or more. The first one signs; the
	// others are still recognised, so that keys can be changed.
	Keys [][]byte
	// Hash is how many letters of the hash are written; 0 is DefaultHash.
	Hash int
	// MaxAge is how long bounces are taken, in whole days; 0 is
	// DefaultMaxAge.
	MaxAge time.Duration
}

// Rewriter rewrites addresses. It is safe for concurrent use.
type Rewriter struct{ o Options }

// New returns a Rewriter, or ErrOptions.
func New(o Options) (*Rewriter, error) {
	if o.Hash == 0 {
		o.Hash = DefaultHash
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	switch d, err := mail.ParseDomain(o.Domain); {
	case err != nil || d != o.Domain || mail.IsLiteral(d):
		return nil, fmt.Errorf("%w: domain %q", ErrOptions, o.Domain)
	case o.Hash < MinHash || o.Hash > MaxHash:
		return nil, fmt.Errorf("%w: hash of %d letters, not %d to %d", ErrOptions, o.Hash, MinHash, MaxHash)
	case o.MaxAge < day || o.MaxAge > maxAge:
		return nil, fmt.Errorf("%w: age %v, not 1 to %d days", ErrOptions, o.MaxAge, maxAge/day)
	case len(o.Keys) == 0:
		return nil, fmt.Errorf("%w: no key", ErrOptions)
	}
	for _, k := range o.Keys {
		if len(k) < MinKey {
			return nil, fmt.Errorf("%w: a key under %d octets", ErrOptions, MinKey)
		}
	}
	return &Rewriter{o}, nil
}

// Forward returns the reverse-path to forward mail with. The null reverse-path
// stays as it is. The error is ErrLength, or mail.ErrAddress for a sender
// without a domain.
func (r *Rewriter) Forward(sender mail.Address, now time.Time) (mail.Address, error) {
	switch {
	case sender.IsNull():
		return sender, nil
	case sender.Domain == "":
		return mail.Address{}, fmt.Errorf("srs: %w: %q has no domain", mail.ErrAddress, sender)
	}
	a := mail.Address{Local: r.local(sender, now), Domain: r.o.Domain}
	if len(a.Local) > mail.MaxLocal || len(a.String()) > mail.MaxAddress {
		return mail.Address{}, fmt.Errorf("%w: %d octets", ErrLength, len(a.String()))
	}
	return a, nil
}

func (r *Rewriter) local(sender mail.Address, now time.Time) string {
	if rest, ok := cut(sender.Local, version0); ok {
		return r.again(sender.Domain, rest)
	}
	if rest, ok := cut(sender.Local, version1); ok {
		// The first forwarder stays the one to bounce to, so that the address
		// does not grow with every host.
		if _, first, inner, ok := fields1(rest[1:]); ok {
			return r.again(first, inner)
		}
	}
	t := written(now)
	return strings.Join([]string{version0, r.hash(r.o.Keys[0], version0, t, sender.Domain, sender.Local), t, sender.Domain, sender.Local}, separator)
}

// again writes SRS1; inner begins with the separator behind the first SRS0.
func (r *Rewriter) again(first, inner string) string {
	return strings.Join([]string{version1, r.hash(r.o.Keys[0], version1, first, inner), first, inner}, separator)
}

// Reverse returns where a bounce to a rewritten address must go. The caller
// has seen that the address is of our domain. The errors are ErrNotSRS,
// ErrForged and ErrExpired.
func (r *Rewriter) Reverse(a mail.Address, now time.Time) (mail.Address, error) {
	if rest, ok := cut(a.Local, version0); ok {
		return r.reverse0(rest[1:], now)
	}
	if rest, ok := cut(a.Local, version1); ok {
		return r.reverse1(rest[1:])
	}
	return mail.Address{}, ErrNotSRS
}

func (r *Rewriter) reverse0(s string, now time.Time) (mail.Address, error) {
	f := strings.SplitN(s, separator, 4) // the local part may have more of them
	if len(f) < 4 || !r.ours(f[0], version0, f[1], f[2], f[3]) {
		return mail.Address{}, ErrForged
	}
	then, ok := read(f[1])
	if !ok {
		return mail.Address{}, ErrForged
	}
	// Ages count round the cycle; what is a day ahead stands at its end.
	age := (int(days(now)%cycle) - then + cycle) % cycle
	if age > int(r.o.MaxAge/day) && age < cycle-tolerance {
		return mail.Address{}, fmt.Errorf("%w: %d days old", ErrExpired, age)
	}
	return address(f[3], f[2])
}

func (r *Rewriter) reverse1(s string) (mail.Address, error) {
	hash, first, inner, ok := fields1(s)
	if !ok || !r.ours(hash, version1, first, inner) {
		return mail.Address{}, ErrForged
	}
	return address(version0+inner, first)
}

// address checks what came out: our hash is blind to letters' case, so hosts
// on the way may have changed some.
func address(local, domain string) (mail.Address, error) {
	a, err := mail.ParseAddress(mail.Address{Local: local, Domain: domain}.String())
	if err != nil {
		return mail.Address{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return a, nil
}

// cut returns what follows the version, with the separator; ok is false if the
// local part is none of this version.
func cut(local, version string) (rest string, ok bool) {
	n := len(version)
	if len(local) <= n || !strings.EqualFold(local[:n], version) || strings.IndexByte(separators, local[n]) < 0 {
		return "", false
	}
	return local[n:], true
}

// fields1 splits hash=first=inner, where inner begins with a separator.
func fields1(s string) (hash, first, inner string, ok bool) {
	f := strings.SplitN(s, separator, 3)
	if len(f) < 3 || f[1] == "" || f[2] == "" || strings.IndexByte(separators, f[2][0]) < 0 {
		return "", "", "", false
	}
	first, err := mail.ParseDomain(f[1])
	return f[0], first, f[2], err == nil
}

// hash signs the parts, whatever the case of their letters.
func (r *Rewriter) hash(key []byte, parts ...string) string {
	mac := hmac.New(sha256.New, key)
	for _, p := range parts {
		p = mail.FoldLocal(p)
		fmt.Fprintf(mac, "%d:%s", len(p), p) // a hash takes everything
	}
	return encoding().EncodeToString(mac.Sum(nil))[:r.o.Hash]
}

// ours reports a hash of any of our keys.
func (r *Rewriter) ours(hash string, parts ...string) bool {
	hash = strings.ToUpper(hash)
	ok := false
	for _, key := range r.o.Keys {
		if hmac.Equal([]byte(hash), []byte(r.hash(key, parts...))) {
			ok = true
		}
	}
	return ok
}

func encoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

func days(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// written is a day as two letters.
func written(t time.Time) string {
	n := days(t) % cycle
	return string([]byte{alphabet[n>>5], alphabet[n&31]})
}

// read is its inverse.
func read(s string) (n int, ok bool) {
	if len(s) != 2 {
		return 0, false
	}
	for _, c := range []byte(strings.ToUpper(s)) {
		i := strings.IndexByte(alphabet, c)
		if i < 0 {
			return 0, false
		}
		n = n<<5 | i
	}
	return n, true
}

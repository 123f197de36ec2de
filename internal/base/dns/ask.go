package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	mdns "github.com/miekg/dns"
)

// fetch asks the servers, following aliases, and returns the records or the
// result without them.
func (r *Resolver) fetch(ctx context.Context, list []string, k key) ([]mdns.RR, result) {
	c := newChain(k.name, k.qtype)
	began := time.Now()
	for {
		m, err := r.ask(ctx, list, c.last(), k.qtype)
		if err != nil {
			return nil, result{err: fmt.Errorf("%w: %s: %w", ErrTemporary, k, err), cost: cost(k, nil)}
		}
		rrs, err := c.read(m)
		switch {
		case errors.Is(err, ErrNotFound):
			err = fmt.Errorf("%w: %s", err, k)
		case err != nil:
			err = fmt.Errorf("%w: %s: %w", ErrTemporary, k, err)
		case len(rrs) == 0:
			continue
		}
		return rrs, result{err: err, authentic: c.authentic, expires: began.Add(c.ttl), cost: cost(k, rrs)}
	}
}

// cost estimates what a result occupies, map and list entries and its error
// included.
func cost(k key, rrs []mdns.RR) int {
	n := 480 + 2*len(k.name) + len(k.server)
	for _, rr := range rrs {
		n += 32 + mdns.Len(rr)
	}
	return n
}

// rcodeError is an answer that is none.
type rcodeError int

func (e rcodeError) Error() string {
	if name, ok := mdns.RcodeToString[int(e)]; ok {
		return "the name server says " + name
	}
	return fmt.Sprintf("the name server says code %d", int(e))
}

// ask puts one question to one server after the other. Servers that were
// silent are asked a second time, for a datagram may get lost.
func (r *Resolver) ask(ctx context.Context, list []string, name string, qtype uint16) (*mdns.Msg, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	order, switched := r.health.order(list, time.Now(), r.o.Timeout)
	if switched && r.o.Switched != nil {
		r.o.Switched(order[0])
	}
	var failures []error
	reached := false
	for timeout := r.o.Timeout; len(order) > 0 && timeout <= 2*r.o.Timeout; timeout *= 2 {
		var silent []string
		for _, server := range order {
			m, err := r.try(ctx, server, name, qtype, timeout)
			if err == nil {
				return m, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			failures = append(failures, fmt.Errorf("%s: %w", server, bare(err)))
			reached = reached || !unreached(err)
			if timedOut(err) {
				silent = append(silent, server)
			}
		}
		order = silent
	}
	err := errors.Join(failures[max(0, len(failures)-len(list)):]...)
	if !reached {
		r.tell(err)
	}
	return nil, flat{err}
}

// flat writes joined errors on one line.
type flat struct{ error }

func (e flat) Unwrap() error { return e.error }
func (e flat) Error() string {
	joined, ok := e.error.(interface{ Unwrap() []error })
	if !ok {
		return e.error.Error()
	}
	text := ""
	for i, err := range joined.Unwrap() {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	return text
}

// try asks one server. One that cannot read EDNS is asked without it
// (RFC 6891 §6.2.2).
func (r *Resolver) try(ctx context.Context, server, name string, qtype uint16, timeout time.Duration) (*mdns.Msg, error) {
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := r.send(within, server, query(name, qtype, true))
	var code rcodeError
	if errors.As(err, &code) && (code == mdns.RcodeFormatError || code == mdns.RcodeNotImplemented || code == mdns.RcodeBadVers) {
		m, err = r.send(within, server, query(name, qtype, false))
	}
	switch now := time.Now(); {
	case err == nil:
		r.health.worked(server, now)
	case ctx.Err() != nil: // the caller went away; that is not the server's fault
	case alive(err):
		r.health.worked(server, now) // the fault is the name's
	default:
		r.health.failed(server, began, now, !timedOut(err))
	}
	return m, err
}

// alive reports a failure of a server that answers. Whoever owns a name can
// make it useless for that name alone, and must not make us leave it.
func alive(err error) bool {
	var code rcodeError
	switch {
	case errors.As(err, &code):
		return code != mdns.RcodeRefused
	case errors.Is(err, errTruncated): // and TCP may have failed
		return true
	}
	return errors.Is(err, errTooMany) || errors.Is(err, errWrong)
}

// send makes one exchange and checks the answer.
func (r *Resolver) send(ctx context.Context, server string, q *mdns.Msg) (*mdns.Msg, error) {
	m, err := r.o.Exchange(ctx, server, q)
	if err != nil {
		return nil, err
	}
	if err := answers(q, m); err != nil {
		return nil, err
	}
	if m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError {
		return nil, rcodeError(m.Rcode)
	}
	return m, nil
}

// query makes a question with a random identifier. AD asks for the server's
// judgement of signatures (RFC 6840 §5.7).
func query(name string, qtype uint16, edns bool) *mdns.Msg {
	var id [2]byte
	_, _ = rand.Read(id[:]) // never fails, says crypto/rand
	q := &mdns.Msg{MsgHdr: mdns.MsgHdr{Id: binary.BigEndian.Uint16(id[:]), RecursionDesired: true, AuthenticatedData: true},
		Question: []mdns.Question{{Name: spelled(name), Qtype: qtype, Qclass: mdns.ClassINET}}}
	if edns {
		q.SetEdns0(udpSize, false)
	}
	return q
}

// bare leaves out the addresses that package net repeats.
func bare(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// timedOut reports an answer that did not come in time.
func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// unreached reports that no answer came at all, not even a useless one.
func unreached(err error) bool {
	var op *net.OpError
	return timedOut(err) || errors.As(err, &op)
}

// tell reports that no server answered, now and then.
func (r *Resolver) tell(err error) {
	now := time.Now()
	r.mu.Lock()
	quiet := !r.told.IsZero() && now.Sub(r.told) < maxHold
	if !quiet {
		r.told = now
	}
	r.mu.Unlock()
	if !quiet && r.o.Failed != nil {
		r.o.Failed(err)
	}
}

// missing reports an ErrNotFound.
func missing(err error) bool { return errors.Is(err, ErrNotFound) }

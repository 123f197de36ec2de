package record

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/ident"
)

// Query selects attempts; zero fields match everything.
type Query struct {
	// ID is an accept key or a session's id.
	ID ident.ID
	// From and To are addresses, or domains as "@example.test".
	From, To string
	Client   netip.Prefix
	// Since and Until bound the beginning of the attempt.
	Since, Until time.Time
	// Outcomes are those wanted; none means all.
	Outcomes []Outcome
	// After goes on where an answer ended: the place of its last attempt. The
	// zero value begins with the newest.
	After Place
	Limit int // 0: 100; at most 1000

	// via is the ID that was asked for, where another message was forwarded as it.
	via ident.ID
	// also are messages that went on to To, though it is no recipient of theirs.
	also map[ident.ID]bool
}

// Biography is one attempt and what became of its message.
type Biography struct {
	// Attempt is nil when only later events are still known: messages the
	// server made itself, and attempts pruned before their message's end.
	Attempt *Attempt `json:"attempt,omitempty"`
	Events  []Event  `json:"events,omitempty"`
	// Place is the attempt's, to go on after it.
	Place Place `json:"-"`
	// Via is the message that was asked for, where this one was forwarded as it.
	// Events are also those of what the message was forwarded as; their ID says so.
	Via ident.ID `json:"via,omitzero"`
}

const (
	defaultLimit = 100
	maxLimit     = 1_000
	maxEvents    = 10_000 // of one answer
	// slack is how far a clock may have been set back, and how long a session
	// may have lasted before its message got an id.
	slack = 24 * time.Hour
)

// Search returns what matches, newest first. It sees what was handed in
// before the call. ErrPlace for an After of other records.
func (r *Recorder) Search(ctx context.Context, q Query) ([]Biography, error) {
	if err := r.Flush(ctx); err != nil {
		return nil, err
	}
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Limit = min(q.Limit, maxLimit)
	q.normal()
	if err := r.check(q.After); err != nil {
		return nil, err
	}
	if err := r.onward(ctx, &q); err != nil {
		return nil, err
	}
	var list []Biography
	err := r.attempts(ctx, q, func(a *Attempt, at Place) bool {
		list = append(list, Biography{Attempt: a, Place: at})
		return len(list) < q.Limit
	})
	if err != nil {
		return nil, err
	}
	return r.join(ctx, q, list)
}

// Each calls fn with every attempt that matches, newest first, until fn says
// stop. Limit and After do not count. It sees what was handed in before the call and
// holds a few segments at a time, however many there are.
func (r *Recorder) Each(ctx context.Context, q Query, fn func(*Attempt) (more bool)) error {
	if err := r.Flush(ctx); err != nil {
		return err
	}
	q.normal()
	q.After = Place{}
	if err := r.attempts(ctx, q, func(a *Attempt, _ Place) bool { return fn(a) }); err != nil {
		return err
	}
	return ctx.Err()
}

// normal writes the query as records are compared with it.
func (q *Query) normal() {
	q.Since, q.Until = q.Since.Truncate(time.Microsecond), q.Until.Truncate(time.Microsecond)
	q.From, q.To = strings.ToLower(q.From), strings.ToLower(q.To)
	if !q.ID.IsZero() && q.Since.IsZero() {
		q.Since = q.ID.Time().Add(-slack)
	}
}

// attempts calls fn with the attempts of a query until it says stop.
func (r *Recorder) attempts(ctx context.Context, q Query, fn func(*Attempt, Place) bool) error {
	keys, known := q.keys(), words{}
	also := hashes(q.also, hashID)
	want := func(f filter) bool {
		return !slices.ContainsFunc(keys, func(k uint64) bool { return !f.has(k) }) &&
			(q.To == "" || f.has(hash(keyTo, q.To)) || slices.ContainsFunc(also, f.has))
	}
	return r.file.scan(ctx, q.Since, q.After.from(), want, func(n int64, raw []byte) bool {
		records, err := split(raw)
		if err != nil {
			r.o.Failed(err)
		}
		for i, b := range slices.Backward(records) {
			if !q.After.older(n, i) {
				continue
			}
			if a, ok := q.match(b, known); ok && !fn(a, Place{n, i, a.ID}) {
				return false
			}
		}
		return ctx.Err() == nil
	})
}

// keys are those every segment with a match must have; besides, it has that of
// To or of a message that went on to it.
func (q *Query) keys() []uint64 {
	var keys []uint64
	if !q.ID.IsZero() {
		keys = append(keys, hashID(q.ID))
	}
	if q.From != "" {
		keys = append(keys, hash(keyFrom, q.From))
	}
	if q.Client.IsValid() && q.Client.IsSingleIP() {
		keys = append(keys, hashClient(q.Client.Addr()))
	}
	return keys
}

// match decodes a record that fits. The head is read first, the steps only
// then.
func (q *Query) match(b []byte, known words) (*Attempt, bool) {
	if len(b) == 0 || b[0] != kindAttempt && b[0] != kindBareAttempt {
		return nil, false
	}
	var a Attempt
	head := reader{b: b}
	head.decodeHead(&a)
	if head.bad || !q.fits(&a) {
		return nil, false
	}
	a, err := decodeAttempt(b, known)
	return &a, err == nil
}

func (q *Query) fits(a *Attempt) bool {
	switch {
	case !q.ID.IsZero() && q.ID != a.ID && q.ID != a.Session.ID,
		q.From != "" && !(a.HasSender && matches(q.From, a.Sender)),
		q.To != "" && !q.also[a.ID] && !slices.ContainsFunc(a.Recipients, func(s string) bool { return matches(q.To, s) }),
		q.Client.IsValid() && !q.Client.Contains(a.Client),
		!q.Since.IsZero() && a.Begin.Before(q.Since),
		!q.Until.IsZero() && !a.Begin.Before(q.Until),
		len(q.Outcomes) > 0 && !slices.Contains(q.Outcomes, a.Outcome):
		return false
	}
	return true
}

// matches compares an address, or its domain for a pattern "@domain".
func matches(pattern, addr string) bool {
	if pattern[0] == '@' {
		addr = addr[max(0, strings.LastIndexByte(addr, '@')):]
	}
	return strings.EqualFold(pattern, addr)
}

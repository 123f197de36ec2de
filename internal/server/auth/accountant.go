package auth

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"posthorn/internal/base/limit"
)

// Kind is what a client failed at (B1G-BAN-01).
type Kind uint8

// The kinds of failures that lead to a ban when they repeat.
const (
	WrongLogin Kind = iota
	UnknownRecipient
	ProtocolError
)

// Failure is one thing a client did wrong.
type Failure struct {
	Kind   Kind
	Client netip.Addr
	// Protocol is the listener's name.
	Protocol string
	// Name is the login name in its one spelling; "" when there is none.
	Name string
	// Taken is what Admit said of the attempt.
	Taken bool
}

// Accountant keeps count of what clients do wrong, over all connections and
// protocols. Limiter is the one in memory; one that bans wraps it.
type Accountant interface {
	// Admit is asked when a client connects, with no name, and before each
	// look at its credentials. It may wait a moment for other attempts of the
	// host to end. An error, which wraps ErrTemporary, and ErrBlocked unless
	// the context ended, sends the client away. taken says that the attempt is
	// counted as one in flight until Failed, Succeeded or Abandoned is told so.
	Admit(ctx context.Context, client netip.Addr, name string) (taken bool, err error)
	// Failed counts a failure and returns how long to hold back the answer.
	Failed(f Failure) time.Duration
	// Succeeded clears the account, not the client: whoever has one password
	// must not buy guesses at others with it.
	Succeeded(s Success)
	// Abandoned ends an attempt that was taken and never judged. It stays
	// spent, for it may have cost as much as any.
	Abandoned(client netip.Addr)
}

// Success is a login that succeeded.
type Success struct {
	Client netip.Addr
	Name   string
	// Administrator says that the account may change everything here.
	Administrator bool
	// Taken is what Admit said of the attempt.
	Taken bool
}

const (
	// longestDelay ends the doubling (hostile input row 30).
	longestDelay = 8 * time.Second
	// forgetFailures is when a host or account without new failures starts afresh.
	forgetFailures = 10 * time.Minute
	// rememberLogins is how long a host is known for a name.
	rememberLogins = 24 * time.Hour
	// tableSize bounds each table; an entry takes about 200 octets.
	tableSize = 50_000
	// patience is how long an attempt waits for others of its host to end, and
	// crowd how many of a host wait at once.
	patience = 5 * time.Second
	crowd    = 100
)

// errCrowd is the ErrBlocked of who waited in vain, or found too many waiting.
var errCrowd = fmt.Errorf("%w, or being tried at once", ErrBlocked)

// Limiter is an Accountant in memory, bounded and forgetful. A host may fail
// so many times a minute, whatever number of connections it opens; a name that
// logged in from there a short time ago may go on trying, so that a stranger
// behind the same address locks nobody out (reliability row 22).
type Limiter struct {
	settings func() *Settings
	seed     maphash.Seed
	hosts    *limit.Table[netip.Prefix, hostRecord]
	accounts *limit.Table[uint64, streak]
	known    *limit.Table[pair, struct{}]
}

// pair is a host and the hash of a name.
type pair struct {
	host netip.Prefix
	name uint64
}

// streak counts failures that follow one another closely.
type streak struct {
	n    int
	last time.Time
}

func (s *streak) add(now time.Time) int {
	if now.Sub(s.last) > forgetFailures {
		s.n = 0
	}
	s.n, s.last = s.n+1, now
	return s.n
}

// hostRecord is what a host has failed and what it has left to try.
type hostRecord struct {
	failures streak
	spent    float64 // attempts taken that have not flowed back
	at       time.Time
	flying   int           // of these, how many have not ended
	waiting  int           // attempts that wait for one to end
	wake     chan struct{} // closed when one ends; nil while nobody waits
}

// refill gives back attempts at the rate of perMinute.
func (h *hostRecord) refill(now time.Time, perMinute float64) {
	if passed := now.Sub(h.at); passed > 0 {
		h.spent = max(0, h.spent-passed.Minutes()*perMinute)
	}
	// A connection that breaks tells nobody how its attempt ended.
	h.flying = min(h.flying, int(math.Ceil(h.spent)))
	h.at = now
}

// land ends an attempt in flight and reports whether it was counted until now;
// one that took very long has flowed back.
func (h *hostRecord) land() bool {
	if h.wake != nil {
		close(h.wake)
		h.wake = nil
	}
	if h.flying == 0 {
		return false
	}
	h.flying--
	return true
}

// room is what a host has left for another attempt.
type room uint8

const (
	free    room = iota
	flights      // filled by attempts that may yet succeed
	filled       // by failures
)

// take spends an attempt if there is room for one.
func (h *hostRecord) take(bound float64) room {
	switch {
	case h.spent+1 <= bound:
		h.spent++
		h.flying++
		return free
	case h.spent-float64(h.flying)+1 <= bound:
		return flights
	}
	return filled
}

// NewLimiter returns a Limiter.
func NewLimiter(settings func() *Settings) *Limiter {
	return &Limiter{
		settings: settings,
		seed:     maphash.MakeSeed(),
		hosts:    limit.NewTable[netip.Prefix, hostRecord](tableSize, forgetFailures),
		accounts: limit.NewTable[uint64, streak](tableSize, forgetFailures),
		known:    limit.NewTable[pair, struct{}](tableSize, rememberLogins),
	}
}

func (l *Limiter) pair(client netip.Addr, name string) pair {
	return pair{limit.Host(client), maphash.String(l.seed, name)}
}

// half is how many attempts a host has at once, and how many flow back in a minute.
func (l *Limiter) half() float64 { return float64(l.settings().HostFailures) / 2 }

// Admit implements Accountant. The attempt is taken at once, so that attempts
// side by side cannot exceed the bound, and given back by a success. Where the
// bound is filled by attempts still in flight, which may be the right passwords
// of a whole office, it waits for one to end.
func (l *Limiter) Admit(ctx context.Context, client netip.Addr, name string) (taken bool, err error) {
	p := l.pair(client, name)
	var late <-chan time.Time
	for waiting := false; ; waiting = true {
		if _, known := l.known.Get(p); known || name == "" {
			l.leave(p.host, waiting)
			return false, nil
		}
		left, ended := l.take(p.host, waiting)
		switch {
		case left == free:
			return true, nil
		case left == filled:
			return false, ErrBlocked
		case ended == nil:
			return false, errCrowd
		case late == nil:
			timer := time.NewTimer(patience)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-ended:
		case <-late:
			l.leave(p.host, true)
			return false, errCrowd
		case <-ctx.Done():
			l.leave(p.host, true)
			return false, classify(ctx.Err())
		}
	}
}

// take spends an attempt of the host. Where flights fill it, ended is closed
// when one of them ends, and nil if too many wait; waiting says that the caller
// is among those.
func (l *Limiter) take(host netip.Prefix, waiting bool) (left room, ended <-chan struct{}) {
	half := l.half()
	l.hosts.Update(host, func(h *hostRecord) {
		if waiting {
			h.waiting = max(0, h.waiting-1)
		}
		h.refill(time.Now(), half)
		if left = h.take(max(1, half)); left != flights || h.waiting >= crowd {
			return
		}
		h.waiting++
		if h.wake == nil {
			h.wake = make(chan struct{})
		}
		ended = h.wake
	})
	return left, ended
}

// leave ends a wait.
func (l *Limiter) leave(host netip.Prefix, waiting bool) {
	if waiting {
		l.hosts.Update(host, func(h *hostRecord) { h.waiting = max(0, h.waiting-1) })
	}
}

// Failed implements Accountant; only logins count here.
func (l *Limiter) Failed(f Failure) time.Duration {
	if f.Kind != WrongLogin {
		return 0
	}
	p, now := l.pair(f.Client, f.Name), time.Now()
	l.known.Delete(p)
	var n int
	l.hosts.Update(p.host, func(h *hostRecord) {
		n = h.failures.add(now)
		h.refill(now, l.half())
		if counted := f.Taken && h.land(); !counted {
			h.spent++
		}
	})
	if f.Name != "" {
		l.accounts.Update(p.name, func(s *streak) { n = max(n, s.add(now)) })
	}
	return delayAfter(n)
}

// Succeeded implements Accountant.
func (l *Limiter) Succeeded(s Success) {
	p := l.pair(s.Client, s.Name)
	l.accounts.Delete(p.name)
	l.known.Set(p, struct{}{})
	if s.Taken {
		l.hosts.Update(p.host, func(h *hostRecord) {
			if h.land() {
				h.spent = max(0, h.spent-1)
			}
		})
	}
}

// Abandoned implements Accountant.
func (l *Limiter) Abandoned(client netip.Addr) {
	l.hosts.Update(limit.Host(client), func(h *hostRecord) { h.land() })
}

// delayAfter is 1, 2, 4, 8, 8 … seconds after the n-th failure.
func delayAfter(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	return min(longestDelay, time.Second<<min(n-1, 3))
}

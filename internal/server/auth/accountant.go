package auth

import (
	"hash/maphash"
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
}

// Accountant keeps count of what clients do wrong, over all connections and
// protocols. Limiter is the one in memory; one that bans wraps it.
type Accountant interface {
	// Admit is asked when a client connects, with no name, and before each
	// look at its credentials. An error, which wraps ErrBlocked, sends the
	// client away.
	Admit(client netip.Addr, name string) error
	// Failed counts a failure and returns how long to hold back the answer.
	Failed(f Failure) time.Duration
	// Succeeded clears the account, not the client: whoever has one password
	// must not buy guesses at others with it. administrator says that the
	// account may change everything here.
	Succeeded(client netip.Addr, name string, administrator bool)
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
)

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
}

// refill gives back attempts at the rate of perMinute.
func (h *hostRecord) refill(now time.Time, perMinute float64) {
	if passed := now.Sub(h.at); passed > 0 {
		h.spent = max(0, h.spent-passed.Minutes()*perMinute)
	}
	h.at = now
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

// Admit implements Accountant. The attempt is taken at once, so that attempts
// side by side cannot exceed the bound, and given back by a success.
func (l *Limiter) Admit(client netip.Addr, name string) error {
	p := l.pair(client, name)
	if _, known := l.known.Get(p); known || name == "" {
		return nil
	}
	half := float64(l.settings().HostFailures) / 2
	var err error
	l.hosts.Update(p.host, func(h *hostRecord) {
		h.refill(time.Now(), half)
		if h.spent+1 > max(1, half) {
			err = ErrBlocked
			return
		}
		h.spent++
	})
	return err
}

// Failed implements Accountant; only logins count here.
func (l *Limiter) Failed(f Failure) time.Duration {
	if f.Kind != WrongLogin {
		return 0
	}
	p, now := l.pair(f.Client, f.Name), time.Now()
	free := l.known.Delete(p) // Admit took nothing
	var n int
	l.hosts.Update(p.host, func(h *hostRecord) {
		n = h.failures.add(now)
		if free {
			h.refill(now, float64(l.settings().HostFailures)/2)
			h.spent++
		}
	})
	if f.Name != "" {
		l.accounts.Update(p.name, func(s *streak) { n = max(n, s.add(now)) })
	}
	return delayAfter(n)
}

// Succeeded implements Accountant.
func (l *Limiter) Succeeded(client netip.Addr, name string, _ bool) {
	p := l.pair(client, name)
	l.accounts.Delete(p.name)
	if _, known := l.known.Get(p); !known {
		l.hosts.Update(p.host, func(h *hostRecord) { h.spent = max(0, h.spent-1) })
	}
	l.known.Set(p, struct{}{})
}

// delayAfter is 1, 2, 4, 8, 8 … seconds after the n-th failure.
func delayAfter(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	return min(longestDelay, time.Second<<min(n-1, 3))
}

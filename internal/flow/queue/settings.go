package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Settings say how often mail that cannot be delivered yet is tried, for how
// long, and how much is delivered at once.
type Settings struct {
	// Retry is the pauses between attempts: the first after the first attempt,
	// and so on; the last one repeats. Each varies by a tenth, so that messages
	// that failed together are not all tried together.
	Retry []time.Duration `default:"5m, 10m, 20m, 30m, 1h, 2h, 4h" min:"1" max:"50"`
	// Lifetime is how long a message is tried before its sender gets it back.
	// It counts from the acceptance, and for messages accepted from then on.
	Lifetime time.Duration `default:"5d" min:"1m" max:"30d"`
	// BounceLifetime is how long a notice that mail could not be delivered is
	// itself tried. It has nobody to go back to and is dropped in the end.
	BounceLifetime time.Duration `default:"2d" min:"1m" max:"30d"`
	// DelayNotice is the age at which the sender of a message that still waits
	// is told, once for each recipient; 0 tells nobody.
	DelayNotice time.Duration `default:"4h" min:"0" max:"30d"`
	// Workers is how many messages are delivered to other servers at once.
	Workers int `default:"100" min:"1" max:"2000"`
	// PerDestination is how many messages are delivered at once to one
	// destination: a domain or a relay host. Delivery begins with three at once
	// and takes more while the destination takes the mail, up to this number.
	PerDestination int `default:"20" min:"1" max:"500"`
	// Paused stops delivery to other servers. Mail is accepted and waits; mail
	// for mailboxes here is filed.
	Paused bool `default:"false"`
}

// Pauses shorter or longer than these make no sense.
const (
	leastPause = time.Second
	mostPause  = 7 * 24 * time.Hour
)

// Validate refuses a schedule that would spin or sleep.
func (s *Settings) Validate() error {
	for _, d := range s.Retry {
		if d < leastPause || d > mostPause {
			return fmt.Errorf("retry: a pause of %v; each must be between %v and 7 days", d, leastPause)
		}
	}
	if s.PerDestination > s.Workers {
		return errors.New("per_destination: must not be more than workers")
	}
	return nil
}

// LifetimeOf is the lifetime of a message from the sender.
func (s *Settings) LifetimeOf(sender mail.Address) time.Duration {
	if sender.IsNull() {
		return s.BounceLifetime
	}
	return s.Lifetime
}

// pause is how long to wait after so many attempts, at least one.
func (s *Settings) pause(attempts int, l luck) time.Duration {
	return l.vary(s.Retry[min(max(attempts, 1), len(s.Retry))-1])
}

// luck spreads what would fall on one moment. Recipients of one attempt share
// it, so that they go together the next time, too.
type luck float64

func drawLuck() luck { return luck(rand.Float64()) }

// vary changes a time by up to a tenth.
func (l luck) vary(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(float64(l)*float64(d/5))
}

// lastCall is how near its end a message is not kept for another attempt.
const lastCall = time.Minute

// next is when to try again, after an attempt that ended now. The last attempt
// is due when the message expires; after that there is none.
func (s *Settings) next(now time.Time, m *store.QueueMessage, attempts int, wait time.Duration, l luck) (at time.Time, more bool) {
	if m.Expires.Sub(now) < lastCall {
		return time.Time{}, false
	}
	at = now.Add(max(s.pause(attempts, l), wait))
	if at.After(m.Expires) {
		at = m.Expires
	}
	return at, true
}

// late reports whether the sender is to be told now that a recipient waits
// (RFC 3461 §4.1). A message that was to go out later (RFC 4865) is not late
// before its time.
func (s *Settings) late(now time.Time, m *store.QueueMessage, r *store.QueueRecipient) bool {
	if s.DelayNotice == 0 || r.Notified || m.Sender.IsNull() || r.Notify != 0 && r.Notify&store.NotifyDelay == 0 {
		return false
	}
	begin := m.Accepted
	if release := m.Expires.Add(-s.LifetimeOf(m.Sender)); release.After(begin) {
		begin = release
	}
	return now.Sub(begin) >= s.DelayNotice
}

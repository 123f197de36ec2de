package ban

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/state/store"
)

// marks are a host's failures, the oldest first: for each the time since the
// book was opened in microseconds, and in the lowest bits what it was.
type marks []int64

const markBits = 2

func mark(at time.Duration, f Failure) int64 { return at.Microseconds()<<markBits | int64(f) }

func markTime(m int64) time.Duration { return time.Duration(m>>markBits) * time.Microsecond }

func markFailure(m int64) Failure { return Failure(m & (1<<markBits - 1)) }

// Fail counts what a client did wrong, with one sentence for people. It bans the
// host when that makes too many within the window (B1G-BAN-01), and costs no
// input or output.
func (b *Book) Fail(client netip.Addr, f Failure, reason string) {
	s := b.o.Settings()
	if !client.IsValid() || client.Unmap().IsLoopback() || f >= failures || !s.counts(f) {
		return
	}
	host, at := limit.Host(client), time.Since(b.began)
	var all marks
	b.marks.Update(host, func(m *marks) {
		*m = append(m.since(at-s.Window), mark(at, f))
		if len(*m) >= s.Failures {
			all, *m = *m, nil
		}
	})
	if all == nil || b.exempt(client, store.BanFailures) != "" {
		return
	}
	now := time.Now()
	b.ban(store.BanRow{Host: host, Kind: store.BanFailures, Reason: all.summary(at, reason), First: now.Add(markTime(all[0]) - at), Last: now,
		Failures: int64(len(all)), Until: now.Add(s.Duration)})
}

// since drops what is older.
func (m marks) since(oldest time.Duration) marks {
	n := 0
	for n < len(m) && markTime(m[n]) < oldest {
		n++
	}
	if n == len(m) {
		return nil // and its room
	}
	return m[n:]
}

// summary says what a host did: 15 failures in 4m10s (12 × wrong login, 3 ×
// protocol error), the last: …
func (m marks) summary(at time.Duration, last string) string {
	var count [failures]int
	for _, one := range m {
		count[markFailure(one)]++
	}
	var parts []string
	for f, n := range count {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d × %s", n, Failure(f)))
		}
	}
	text := fmt.Sprintf("%d failures in %s (%s)", len(m), (at - markTime(m[0])).Round(time.Second), strings.Join(parts, ", "))
	if last != "" {
		text += ", the last: " + last
	}
	return text
}

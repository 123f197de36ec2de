package ban

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/state/store"
)

// Fail counts what a client did wrong, with one sentence for people. It bans the
// host when that makes too many within the window (B1G-BAN-01), and costs no
// input or output.
func (b *Book) Fail(client netip.Addr, f Failure, reason string) {
	s := b.o.Settings()
	if !client.IsValid() || client.Unmap().IsLoopback() || f >= failures || !s.counts(f) {
		return
	}
	now := time.Now()
	all := b.marks.Add(client, uint8(f), now, s.Failures, s.Window)
	if len(all) == 0 || b.exempt(client, store.BanFailures) != "" {
		return
	}
	b.ban(store.BanRow{Host: limit.Host(client), Kind: store.BanFailures, Reason: summary(all, reason), First: all[0].At, Last: now,
		Failures: int64(len(all)), Until: now.Add(s.Duration)})
}

// summary says what a host did: 15 failures in 4m10s (12 × wrong login, 3 ×
// protocol error), the last: …
func summary(all []limit.Mark, last string) string {
	var count [failures]int
	for _, one := range all {
		count[one.Kind]++
	}
	var parts []string
	for f, n := range count {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d × %s", n, Failure(f)))
		}
	}
	text := fmt.Sprintf("%d failures in %s (%s)", len(all), all[len(all)-1].At.Sub(all[0].At).Round(time.Second), strings.Join(parts, ", "))
	if last != "" {
		text += ", the last: " + last
	}
	return text
}

package app

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/policy"
	"posthorn/internal/server/auth"
	"posthorn/internal/state/ban"
	"posthorn/internal/state/regular"
	"posthorn/internal/state/store"
)

// watch connects what doors see with who is let in: it counts failures over
// all protocols, unknown recipients by the day, and hosts of good mail.
// It implements smtpd.Watch and policy.Regulars.
type watch struct {
	h        *House
	bans     *ban.Book
	unknown  *limit.Distinct
	regulars *regular.Book
}

func newWatch(h *House) *watch {
	return &watch{h: h, bans: h.bans, unknown: limit.NewDistinct(limit.DistinctOptions{}), regulars: h.regulars}
}

// WellKnown implements policy.Regulars.
func (w *watch) WellKnown(client netip.Addr) bool {
	return w.regulars.Knows(store.RegularMail, client)
}

// Accepted implements smtpd.Watch.
func (w *watch) Accepted(f *policy.Facts) {
	w.regulars.Note(store.RegularMail, f.Client)
}

// UnknownRecipient implements smtpd.Watch.
func (w *watch) UnknownRecipient(f *policy.Facts, address string) bool {
	client := f.Client.Unmap()
	if !client.IsValid() || client.IsLoopback() || w.allowed(client) {
		return false
	}
	w.bans.Fail(client, ban.UnknownRecipient, "mail to "+address+", which nobody here has")
	w.countDay(client, address)
	_, banned := w.bans.Banned(client, time.Now())
	return banned
}

// countDay counts different unknown recipients of a day (M-SEC-ADV-04).
func (w *watch) countDay(client netip.Addr, address string) {
	s := w.h.handles.policy.Get().Unknown
	if s.PerDay == 0 {
		return
	}
	host := limit.Host(client)
	if s.SingleAddress {
		host = netip.PrefixFrom(client, client.BitLen())
	}
	zone := w.h.zone()
	day := limit.DayOf(time.Now(), zone)
	t := w.unknown.Note(host, address, day, s.PerDay)
	if t.Reached && !t.Shared {
		w.bans.Day(host, fmt.Sprintf("mail to %d accounts that do not exist, in one day", t.Count), day.End(zone))
		w.unknown.Forget(host) // whom an administrator lets in again begins anew
	}
}

// allowed reports that an allow rule by address or network lifts bans (M-SEC-BW-10).
func (w *watch) allowed(client netip.Addr) bool {
	now := time.Now()
	for _, r := range w.h.access.Client(client) {
		if !r.Block && r.Live(now) && policy.Skips(r.Kind)&policy.TestClient != 0 {
			return true
		}
	}
	return false
}

// spared says why the server never bans a client, "" when it may (B1G-BAN-02).
func (h *House) spared(client netip.Addr, kind store.BanKind) string {
	if h.regulars.Knows(store.RegularAdministrator, client) {
		return "an administrator logged in from there"
	}
	f := &policy.Facts{Listener: "smtp", Client: client}
	h.Pipeline.Classify(f)
	switch {
	case f.Trust != policy.Untrusted:
		return "the client is trusted"
	case f.Class == policy.ClassNoGreylistNoBan && kind == store.BanFailures:
		return f.ClassBy + " says " + f.Class.String()
	}
	for _, p := range h.Config.Proxies {
		if p.Contains(client.Unmap()) {
			return "a listed proxy"
		}
	}
	for _, own := range machineAddresses() {
		if own == client.Unmap() {
			return "an address of this machine"
		}
	}
	now := time.Now()
	for _, r := range h.access.Client(client.Unmap()) {
		if !r.Block && r.Live(now) && policy.Skips(r.Kind)&policy.TestClient != 0 {
			return r.Describe()
		}
	}
	return ""
}

// accountant counts failed logins, and turns banned clients away at the doors
// that do not ask the rules: IMAP, POP3 and HTTP.
type accountant struct {
	*auth.Limiter
	bans     *ban.Book
	regulars *regular.Book
}

func (h *House) newAccountant() accountant {
	return accountant{auth.NewLimiter(h.handles.login.Get), h.bans, h.regulars}
}

// Admit implements auth.Accountant.
func (a accountant) Admit(ctx context.Context, client netip.Addr, name string) (taken bool, err error) {
	if b, banned := a.bans.Banned(client, time.Now()); banned {
		return false, fmt.Errorf("%w: %s", auth.ErrBlocked, b.Reason)
	}
	return a.Limiter.Admit(ctx, client, name)
}

// Failed implements auth.Accountant.
func (a accountant) Failed(f auth.Failure) time.Duration {
	switch f.Kind {
	case auth.WrongLogin:
		a.bans.Fail(f.Client, ban.WrongLogin, "a wrong login on "+f.Protocol)
	case auth.ProtocolError:
		a.bans.Fail(f.Client, ban.ProtocolError, "a command that no client of "+f.Protocol+" sends")
	}
	return a.Limiter.Failed(f)
}

// Succeeded implements auth.Accountant.
func (a accountant) Succeeded(s auth.Success) {
	if s.Administrator {
		a.regulars.Note(store.RegularAdministrator, s.Client)
	}
	a.Limiter.Succeeded(s)
}

// rates implements policy.Rates.
type rates struct{ windows *limit.Windows }

// Count implements policy.Rates.
func (r rates) Count(rate policy.Rate, client netip.Addr, now time.Time, most int, per time.Duration) policy.Pace {
	j := r.windows.Count(limit.Rule(rate), client, now, most, per)
	return policy.Pace{Count: j.Count, Over: j.Over, Until: j.Until, Shared: j.Shared}
}

// Look implements policy.Rates.
func (r rates) Look(rate policy.Rate, client netip.Addr, now time.Time, most int, per time.Duration) policy.Pace {
	j := r.windows.Look(limit.Rule(rate), client, now, most, per)
	return policy.Pace{Count: j.Count, Over: j.Over, Until: j.Until, Shared: j.Shared}
}

// peeking counts nothing: what is tried has not happened.
type peeking struct{ rates }

// Count implements policy.Rates.
func (p peeking) Count(rate policy.Rate, client netip.Addr, now time.Time, most int, per time.Duration) policy.Pace {
	j := p.Look(rate, client, now, most, per)
	j.Count++
	return j
}

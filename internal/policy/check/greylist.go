package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
)

// Greylist defers the first attempt of an unknown client: a proper mail server
// tries again, most senders of spam do not (B1G-GREY).
type Greylist struct {
	// Scope says whose mail is greylisted: "suspicious" clients only, which
	// have no name in DNS or one that looks like that of a private line, are
	// on a DNS list without being refused for it, or are not named by the SPF
	// record of the sender's domain; or "all" clients.
	Scope string `default:"suspicious" factory:"all" oneof:"suspicious,all"`
	// Interval is how soon after the first attempt a client may try again
	// (B1G-GREY-02).
	Interval time.Duration `default:"60s" min:"1s" max:"24h"`
	// Wait is how long an unconfirmed client is remembered and a new attempt
	// awaited (B1G-GREY-03). It must be longer than the interval.
	Wait time.Duration `default:"8h" min:"1m" max:"720h"`
	// Expiry is how long a confirmed client stays confirmed (B1G-GREY-04).
	Expiry time.Duration `default:"840h" factory:"72h" min:"1h" max:"8760h"`
	// Renew lets the expiry begin anew with every message accepted.
	Renew bool `default:"true" factory:"false"`
	// FromFirst lets the expiry begin with the first attempt, not with the
	// confirmation.
	FromFirst bool `default:"false" factory:"true"`
	// Key is what is remembered: each "address", or the "network" of /24 or, for
	// IPv6, /64, because large senders try again from other addresses.
	Key string `default:"network" factory:"address" oneof:"address,network"`
	// Most is how many clients the greylist remembers; beyond it the oldest
	// unconfirmed entries go first.
	Most int `default:"1000000" min:"1000" max:"10000000"`
	// Mode is how the verdict of the greylist counts (B1G-GREY-01).
	Mode policy.Mode `default:"enforce" trial:"observe" oneof:"enforce,observe,off"`
}

// Validate refuses a wait that ends before it may be used.
func (g *Greylist) Validate() error {
	if g.Wait <= g.Interval {
		return errors.New("policy.greylist.wait: must be longer than policy.greylist.interval, or nobody could ever confirm")
	}
	return nil
}

// Rules are the numbers as the store wants them.
func (g *Greylist) Rules() store.GreylistRules {
	return store.GreylistRules{Interval: g.Interval, Wait: g.Wait, Expiry: g.Expiry, Renew: g.Renew, FromFirst: g.FromFirst, Most: g.Most}
}

// KeyOf is what the list knows a client by.
func (g *Greylist) KeyOf(client netip.Addr) string {
	client = client.Unmap().WithZone("")
	if g.Key == "address" {
		return client.String()
	}
	bits := 24
	if client.Is6() {
		bits = 64
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return client.String()
	}
	return p.String()
}

// check defers clients that have not come back yet.
func (g *Greylist) check(n *Names, b *Blocklists, spf *SPF) policy.CheckFunc {
	return func(ctx context.Context, f *policy.Facts) policy.Verdict {
		switch {
		case !f.Client.IsValid() || f.Kind != policy.MX:
			return policy.Passed("only mail from outside is greylisted")
		case f.Class == policy.ClassNoGreylist || f.Class == policy.ClassNoGreylistNoBan:
			return policy.Passed(f.ClassBy + " says " + f.Class.String())
		case strings.EqualFold(f.Recipient.Local, "abuse"):
			return policy.Passed("abuse is always reachable")
		case spf.PassSkipsGreylist && spf.Mode != policy.Off && f.SPF(ctx).Result == "pass":
			return policy.Passed("SPF passed (policy.spf.pass_skips_greylist)")
		}
		why := "all clients are greylisted"
		if g.Scope != "all" {
			if why = suspicion(ctx, f, n, b, spf); why == "" {
				return policy.Passed("the client is not suspicious")
			}
		}
		f.Saw("why", why)
		a := store.GreylistRow{Key: g.KeyOf(f.Client), Sender: f.Sender.String(), Recipient: f.Recipient.String(), Helo: f.Helo}
		row, wait, err := f.Greylisted(ctx, a, g.Rules())
		switch {
		case err != nil:
			return policy.Unable("asking the greylist", err)
		case wait == 0:
			return policy.Passed(row.Key + " is confirmed since " + row.Confirmed.UTC().Format(time.RFC3339))
		}
		seconds := int((wait + time.Second - 1) / time.Second)
		return policy.Refused(reply.New(451, reply.E(4, 7, 1), fmt.Sprintf("Greylisted, try again in %d seconds", seconds)),
			fmt.Sprintf("%s (%s)", attempts(f, row), why))
	}
}

// attempts says since when the list knows a client: what it noted just now is
// the attempt that is being judged.
func attempts(f *policy.Facts, row store.GreylistRow) string {
	if f.Time.Sub(row.First) < time.Second {
		return row.Key + " comes for the first time"
	}
	return row.Key + " tried first at " + row.First.UTC().Format(time.RFC3339)
}

// suspicion says what is suspicious about the client, "" for nothing.
func suspicion(ctx context.Context, f *policy.Facts, n *Names, b *Blocklists, spf *SPF) string {
	switch r := n.lookUp(ctx, f); {
	case r.Finding == policy.Absent:
		return "it has no name in DNS"
	case r.Finding == policy.Astray:
		return "its name in DNS does not lead back to it"
	case dynamic(r.Name, f.Client.Unmap()):
		return "its name " + r.Name + " looks like that of a private line"
	}
	if b.Mode != policy.Off {
		if sum, list, _ := b.sum(ctx, f); sum > 0 {
			return "the DNS list " + list.Zone + " names it"
		}
	}
	if spf.Mode != policy.Off {
		if s := f.SPF(ctx); s.Result != "pass" && s.Result != "" && s.Result != "temperror" {
			return "SPF says " + s.Result
		}
	}
	return ""
}

// dynamicName are words of names that providers give to private lines.
var dynamicName = regexp.MustCompile(`(^|[-.0-9])(dyn|dynamic|dhcp|dial|dialup|dialin|ppp|pppoe|pool|dsl|adsl|vdsl|xdsl|cable|client|customer|cust|broadband|residential|res|mobile|home)([-.0-9]|$)`)

// dynamic reports that a name looks as if it was made from the address.
func dynamic(name string, ip netip.Addr) bool {
	if name == "" {
		return false
	}
	if dynamicName.MatchString(name) {
		return true
	}
	if !ip.Is4() {
		return false
	}
	o := ip.As4()
	// Two octets of the address, in either order, decimal or hexadecimal.
	for _, form := range [...]string{"%d-%d", "%d.%d", "%03d%03d", "%02x%02x"} {
		a, b := fmt.Sprintf(form, o[2], o[3]), fmt.Sprintf(form, o[3], o[2])
		if strings.Contains(name, a) || strings.Contains(name, b) {
			return true
		}
	}
	return false
}

package access

import (
	"fmt"
	"strings"
	"time"
)

// Warnings says what an administrator may not expect of a rule, in whole
// sentences: of its kind, and of rules of the other list in the table that it
// overlaps with (M-SEC-BW-03, M-SEC-BW-09, M-SEC-BW-11).
func (t *Table) Warnings(r *Rule, now time.Time) []string {
	var all []string
	if !r.masked.isZero() {
		all = append(all, fmt.Sprintf("The mask of %s has gaps: it matches every client that agrees with the address where the mask has bits set, on networks far apart.", r.Value))
	}
	if !r.Block && r.network.IsValid() && r.network.IsSingleIP() {
		all = append(all, fmt.Sprintf("%s is one address, but written as a network: its mail is still scanned for viruses. A rule of the kind ip lifts that, too.", r.Value))
	}
	if r.Forgeable() && !r.Authenticated {
		all = append(all, "Anybody can write such a sender, and the rule lifts the virus scan for whoever does. With authenticated it counts only when SPF or DKIM proves the sender's domain.")
	}
	if line := t.conflict(r, now); line != "" {
		all = append(all, line)
	}
	return all
}

// named is how many conflicting rules a warning names.
const named = 3

// conflict names the rules of the other list that can match the same mail.
func (t *Table) conflict(r *Rule, now time.Time) string {
	var names []string
	count := 0
	for _, o := range t.rules {
		if o.Block == r.Block || strings.EqualFold(o.Name, r.Name) || !o.Live(now) || !r.overlaps(o) {
			continue
		}
		if count++; count <= named {
			names = append(names, o.Describe())
		}
	}
	if count == 0 {
		return ""
	}
	list := strings.Join(names, ", ")
	if more := count - named; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return "It overlaps with the " + list + ": where both match, the allow rule wins."
}

// overlaps reports that both look at the same side of a mail and that some mail
// matches both. Rules by different sides meet only by chance.
func (r *Rule) overlaps(o *Rule) bool {
	switch {
	case r.byClient() && o.byClient():
		return r.meets(o)
	case r.Kind == Domain && o.Kind == Sender:
		return r.covers(o.address.Domain)
	case r.Kind == Sender && o.Kind == Domain:
		return o.covers(r.address.Domain)
	}
	return r.Kind == o.Kind && personOf(r.address) == personOf(o.address)
}

func (r *Rule) byClient() bool { return r.Kind == IP || r.Kind == Network }

// meets compares rules by client.
func (r *Rule) meets(o *Rule) bool {
	a, four := r.asMask()
	b, alsoFour := o.asMask()
	switch {
	case four != alsoFour:
		return false
	case four:
		return a.overlaps(b)
	case r.Kind == IP && o.Kind == IP:
		return r.client == o.client
	case r.Kind == IP:
		return o.network.Contains(r.client)
	case o.Kind == IP:
		return r.network.Contains(o.client)
	}
	return r.network.Overlaps(o.network)
}

// asMask is an IPv4 rule by client in the most general form.
func (r *Rule) asMask() (m masked, ok bool) {
	switch {
	case !r.masked.isZero():
		return r.masked, true
	case r.Kind == IP && r.client.Is4():
		return masked{number(r.client), ^uint32(0)}, true
	case r.Kind == Network && r.network.Addr().Is4():
		mask := ^uint32(0) << (32 - r.network.Bits())
		return masked{number(r.network.Addr()) & mask, mask}, true
	}
	return masked{}, false
}

// covers reports that a rule by domain matches senders of the domain.
func (r *Rule) covers(domain string) bool {
	if strings.HasPrefix(r.Value, ".") {
		return strings.HasSuffix(domain, r.Value) && len(domain) > len(r.Value)
	}
	return domain == r.Value
}

package evidence

import (
	"strconv"
	"strings"
	"time"

	"posthorn/internal/policy"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/dmarc"
)

// Seen turns what DMARC said of a message into the row our reports need
// (RFC 7489 §7.2). ok is false when there is nothing to tell, or nobody who
// wants to be told.
//
// Disposition is what the domain asks for, lowered by pct and by the word of a
// trusted forwarder; who does something else with the message sets Disposition,
// and Override "local_policy".
func Seen(f *policy.Facts, s policy.SPF, a policy.Authentication) (row store.DMARCSeen, ok bool) {
	o := a.Outcome
	if o == nil || o.Record == nil || len(o.Record.AggregateTo) == 0 || o.Result != dmarc.Pass && o.Result != dmarc.Fail {
		return row, false
	}
	row = store.DMARCSeen{
		Day: f.Time.UTC().Truncate(24 * time.Hour), Domain: o.Publisher, Source: f.Client.Unmap().WithZone(""),
		HeaderFrom: o.Author, EnvelopeFrom: f.Sender.Domain,
		Disposition: string(o.Action), DKIM: passed(o.DKIM), SPF: passed(o.SPF),
		SPFDomain: s.Domain, SPFRaw: s.Result, Policy: recordText(o.Record), Count: 1,
	}
	switch {
	case o.Sampled:
		row.Override = "sampled_out"
	case o.Action != dmarc.PolicyNone && a.Chain.Trusted && a.Chain.Passed:
		row.Disposition, row.Override = string(dmarc.PolicyNone), "trusted_forwarder"
	}
	if d := foremost(a.Signatures); d != nil {
		row.DKIMDomain, row.DKIMSelector, row.DKIMRaw = d.Domain, d.Selector, d.Result
	}
	return row, true
}

func passed(yes bool) string {
	if yes {
		return string(dmarc.Pass)
	}
	return string(dmarc.Fail)
}

// foremost is the signature that says most: one that made DMARC pass, else an
// aligned one, else one that passes, else the first.
func foremost(list []policy.Signature) *policy.Signature {
	var best *policy.Signature
	most := -1
	for i := range list {
		s := &list[i]
		weight := 0
		if s.Aligned {
			weight += 2
		}
		if s.Result == "pass" {
			weight++
		}
		if weight > most {
			best, most = s, weight
		}
	}
	return best
}

// recordText writes a record so that dmarc.ParseRecord reads the same from it,
// without ruf, which is nobody's business here.
func recordText(r *dmarc.Record) string {
	var b strings.Builder
	b.WriteString("v=DMARC1")
	tag := func(name, value string) { b.WriteString("; " + name + "=" + value) }
	tag("p", string(r.Policy))
	tag("sp", string(r.Subdomain))
	tag("np", string(r.Nonexistent))
	tag("adkim", string(r.DKIM))
	tag("aspf", string(r.SPF))
	tag("pct", strconv.Itoa(r.Percent))
	if r.Testing {
		tag("t", "y")
	}
	if r.PublicSuffix == "y" || r.PublicSuffix == "n" {
		tag("psd", r.PublicSuffix)
	}
	tag("ri", strconv.Itoa(int(r.Interval/time.Second)))
	tag("fo", strings.Join(r.FailureOptions, ":"))
	var list []string
	for _, d := range r.AggregateTo {
		list = append(list, d.URI+limit(d.Limit))
	}
	tag("rua", strings.Join(list, ","))
	return b.String()
}

// limit writes the size of a report as RFC 7489 §6.4 has it, in the largest unit
// that says it exactly.
func limit(octets int64) string {
	if octets == 0 {
		return ""
	}
	unit := ""
	for _, u := range [...]string{"k", "m", "g", "t"} {
		if octets%1024 != 0 {
			break
		}
		octets, unit = octets/1024, u
	}
	return "!" + strconv.FormatInt(octets, 10) + unit
}

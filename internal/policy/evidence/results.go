package evidence

import (
	"strconv"

	"posthorn/internal/policy"
	"posthorn/internal/wire/arc"
	"posthorn/internal/wire/authres"
	"posthorn/internal/wire/dmarc"
)

// field writes the Authentication-Results field (RFC 8601).
func (a *Authenticity) field(f *policy.Facts, seen *findings, r *policy.Authentication) string {
	id := a.o.Hostname()
	if id == "" {
		return ""
	}
	all := authres.Field{ID: id}
	add := func(list ...authres.Result) { all.Results = append(all.Results, list...) }
	add(spfResult(f, seen.spf)...)
	add(dkimResults(seen)...)
	add(arcResult(f, seen.arc, r.Chain.Sealer)...)
	add(dmarcResult(r))
	if f.Hostname != "" { // somebody has asked
		add(authres.Result{Method: "iprev", Value: "pass", Comment: plain(f.Hostname), Properties: []authres.Property{{Type: "policy", Name: "iprev", Value: address(f)}}})
	}
	return all.String()
}

func address(f *policy.Facts) string { return f.Client.Unmap().WithZone("").String() }

func spfResult(f *policy.Facts, s policy.SPF) []authres.Result {
	if s.Result == "" {
		return nil
	}
	r := authres.Result{Method: "spf", Value: s.Result}
	if s.Result == "temperror" || s.Result == "permerror" {
		r.Reason = s.Problem
	}
	switch {
	case s.Identity == "helo":
		r.Properties = []authres.Property{{Type: "smtp", Name: "helo", Value: plain(f.Helo)}}
	default: // UTF-8 only comes with SMTPUTF8, and then it may be in the field
		r.Properties = []authres.Property{{Type: "smtp", Name: "mailfrom", Value: f.Sender.String()}}
	}
	return []authres.Result{r}
}

func dkimResults(seen *findings) []authres.Result {
	if seen.unread != nil {
		return []authres.Result{{Method: "dkim", Value: "temperror", Reason: plain(seen.unread.Error())}}
	}
	if len(seen.dkim) == 0 {
		return []authres.Result{{Method: "dkim", Value: "none"}}
	}
	all := make([]authres.Result, 0, len(seen.dkim))
	for _, d := range seen.dkim {
		status, reason := verdict(d)
		r := authres.Result{Method: "dkim", Value: status.String(), Reason: reason}
		if d.Bits > 0 {
			r.Comment = strconv.Itoa(d.Bits) + "-bit key"
		}
		own := d.Identity
		if own == "@"+d.Domain {
			own = ""
		}
		for _, p := range [...]authres.Property{{Name: "d", Value: d.Domain}, {Name: "i", Value: own}, {Name: "s", Value: d.Selector}, {Name: "a", Value: d.Algorithm}, {Name: "b", Value: d.Mark}} {
			if p.Value != "" {
				r.Properties = append(r.Properties, authres.Property{Type: "header", Name: p.Name, Value: plain(p.Value)})
			}
		}
		all = append(all, r)
	}
	return all
}

func arcResult(f *policy.Facts, c arc.Chain, sealer string) []authres.Result {
	if c.Status == arc.None {
		return nil
	}
	r := authres.Result{Method: "arc", Value: c.Status.String(), Reason: plain(c.Reason)}
	if sealer != "" {
		r.Comment = "i=" + strconv.Itoa(len(c.Sets)) + " by " + sealer
	}
	if c.Status == arc.Pass {
		r.Properties = append(r.Properties, authres.Property{Type: "header", Name: "oldest-pass", Value: strconv.Itoa(c.OldestPass)})
	}
	if f.Client.IsValid() {
		r.Properties = append(r.Properties, authres.Property{Type: "smtp", Name: "remote-ip", Value: address(f)})
	}
	return []authres.Result{r}
}

func dmarcResult(r *policy.Authentication) authres.Result {
	d := authres.Result{Method: "dmarc", Value: r.DMARC.Result, Reason: r.DMARC.Reason}
	if r.DMARC.Policy != "" {
		d.Comment = "p=" + r.DMARC.Policy
	}
	if r.DMARC.Domain != "" {
		d.Properties = append(d.Properties, authres.Property{Type: "header", Name: "from", Value: r.DMARC.Domain})
	}
	if r.Outcome.Result == dmarc.Fail { // after pct, as the coming standard defines it
		d.Properties = append(d.Properties, authres.Property{Type: "policy", Name: "dmarc", Value: string(r.Outcome.Action)})
	}
	return d
}

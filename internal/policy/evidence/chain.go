package evidence

import (
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/wire/arc"
	"posthorn/internal/wire/authres"
)

// chain is the result of ARC in policy's words. Of a chain that failed before
// its last seal was verified nobody can say who sealed it.
func chain(c arc.Chain) policy.Chain {
	r := policy.Chain{Result: c.Status.String(), Reason: plain(c.Reason)}
	if n := len(c.Sets); n > 0 {
		r.Sealer = plain(c.Sets[n-1].Seal.Domain)
	}
	return r
}

// believe looks up what a known forwarder says of the message as it came there
// (RFC 8617 §7.2.1). What it says of another author is not about this message.
func (a *Authenticity) believe(c arc.Chain, r *policy.Authentication) {
	if c.Status == arc.TempError {
		a.wouldBelieve(c, r)
		return
	}
	if c.Status != arc.Pass || c.Testing || !known(a.o.Forwarders(), r.Chain.Sealer) {
		return
	}
	r.Chain.Trusted = true
	said, err := authres.Parse(c.Sets[len(c.Sets)-1].Results)
	if err != nil {
		return
	}
	for _, s := range said.Results {
		if s.Method == "dmarc" && s.Value == "pass" && about(s, r.DMARC.Domain) {
			r.Chain.Passed = true
		}
	}
}

// wouldBelieve marks a chain whose key cannot be looked up now, and which says
// that a known forwarder sealed it: the message must not be refused for good
// meanwhile.
func (a *Authenticity) wouldBelieve(c arc.Chain, r *policy.Authentication) {
	if len(c.Sets) == 0 {
		return
	}
	last := &c.Sets[len(c.Sets)-1]
	for _, domain := range [...]string{last.Seal.Domain, last.Message.Domain} {
		if domain != "" && known(a.o.Forwarders(), domain) {
			r.Chain.Trusted, r.Chain.Sealer = true, plain(domain)
		}
	}
}

// about reports a result on the author domain. Most name it; who does not means
// the one there is.
func about(s authres.Result, author string) bool {
	for _, p := range s.Properties {
		if p.Type == "header" && p.Name == "from" {
			domain, err := mail.ParseDomain(p.Value[strings.LastIndexByte(p.Value, '@')+1:])
			return err == nil && domain == author
		}
	}
	return true
}

// known reports a domain of the list: itself, or below an entry that begins with
// a dot.
func known(list []string, domain string) bool {
	for _, entry := range list {
		name, below := strings.CutPrefix(strings.TrimSpace(entry), ".")
		name, err := mail.ParseDomain(strings.TrimSuffix(name, "."))
		if err == nil && (!below && domain == name || below && strings.HasSuffix(domain, "."+name)) {
			return true
		}
	}
	return false
}

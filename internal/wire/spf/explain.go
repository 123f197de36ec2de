package spf

import (
	"context"
	"net"
	"sort"
	"strings"
)

// MaxExplanation bounds an explanation, in octets, so that it fits into a line
// of a reply. Longer ones are dropped; half a sentence helps nobody.
const MaxExplanation = 400

const (
	maxRedirects = 10 // RFC 7208 §4.6.4
	maxNames     = 10 // of a client's address, RFC 7208 §4.6.4
	maxShown     = 128
)

// decider finds the record that decided, after redirects, and the directive in
// it. The record is nil if it cannot be told, which costs the explanation.
func (e *evaluation) decider() (*record, string) {
	domain := e.domain
	for range maxRedirects + 1 {
		key, _ := lookupName(domain)
		r := e.memo.records[key]
		if r == nil {
			break
		}
		if m := e.match(r); m < len(r.directives) {
			return r, shown(r.directives[m])
		}
		if r.redirect == "" {
			return r, "default"
		}
		domain, _ = e.within(r).expand(r.redirect, mechanismLetters)
	}
	return nil, ""
}

// match returns the index of the directive that matches, or how many there
// are. Directives are tried in order, so it is the last of the shortest
// beginning of the record that matches.
func (e *evaluation) match(r *record) int {
	return sort.Search(len(r.directives), func(i int) bool {
		_, err := e.run(beginning{e.memo, e.domain, r, i + 1})
		return err != nil // the library says what matched as an error
	})
}

// beginning shows the first n directives of a record, to which the judged
// domain redirects, and answers everything else from memory.
type beginning struct {
	*memo
	judged string
	r      *record
	n      int
}

// LookupTXT implements spf.DNSResolver.
func (b beginning) LookupTXT(ctx context.Context, name string) ([]string, error) {
	switch key, _ := lookupName(name); key {
	case b.r.domain:
		return []string{"v=spf1 " + strings.Join(b.r.directives[:b.n], " ")}, nil
	case b.judged:
		return []string{"v=spf1 redirect=" + strings.ReplaceAll(b.r.domain, "%", "%%")}, nil
	}
	return b.memo.LookupTXT(ctx, name)
}

// within returns the values of macros in a record.
func (e *evaluation) within(r *record) *values {
	v := e.values
	v.domain = r.domain
	v.name = func() string { return e.validated(r.domain) }
	return &v
}

// explain fetches and expands the text of exp= (RFC 7208 §6.2); it returns ""
// when anything is wrong with it.
func (e *evaluation) explain(r *record) string {
	if r.exp == "" {
		return ""
	}
	v := e.within(r)
	name, ok := v.expand(r.exp, mechanismLetters)
	if !ok {
		return ""
	}
	if name, ok = lookupName(name); !ok {
		return ""
	}
	texts, err := e.memo.r.LookupTXT(e.ctx, name)
	if err != nil || len(texts) != 1 || strings.ContainsFunc(texts[0], unprintable) {
		return ""
	}
	text, ok := v.expand(texts[0], explanationLetters)
	text = clean(text)
	if !ok || len(text) > MaxExplanation {
		return ""
	}
	return text
}

// clean leaves printable ASCII: what the client said of itself stands in
// explanations too.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s))
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// shown bounds a directive for logs and fields.
func shown(directive string) string {
	return directive[:min(len(directive), maxShown)]
}

// validated is %{p}: a name of the client whose address leads back to it, best
// one in the domain, else "unknown" (RFC 7208 §7.3).
func (e *evaluation) validated(domain string) string {
	names, err := e.memo.LookupAddr(e.ctx, e.values.ip.String())
	if err != nil {
		return "unknown"
	}
	best, rank := "unknown", 0
	for _, name := range names[:min(len(names), maxNames)] {
		name, ok := lookupName(name)
		if ok && e.leadsBack(name) && closeness(name, domain) > rank {
			best, rank = name, closeness(name, domain)
		}
	}
	return best
}

func (e *evaluation) leadsBack(name string) bool {
	list, err := e.memo.LookupIPAddr(e.ctx, name)
	if err != nil {
		return false
	}
	for _, a := range list {
		if a.IP.Equal(net.IP(e.values.ip.AsSlice())) {
			return true
		}
	}
	return false
}

// closeness ranks a name for %{p}: the domain itself, one below it, any.
func closeness(name, domain string) int {
	switch {
	case name == domain:
		return 3
	case strings.HasSuffix(name, "."+domain):
		return 2
	}
	return 1
}

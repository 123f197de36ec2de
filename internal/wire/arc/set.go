package arc

import (
	"fmt"
	"strings"

	"posthorn/internal/wire/dkim"
)

// The three fields of a set.
const (
	resultsField = "arc-authentication-results"
	messageField = "arc-message-signature"
	sealField    = "arc-seal"
)

// part is one field of a set.
type part struct {
	instance int
	place    int
	tags     dkim.Tags // none for results
	results  string
}

// broken returns a chain that failed before any signature was looked at.
func (c Chain) broken(format string, values ...any) Chain {
	c.Status, c.Reason, c.Sets = Fail, fmt.Sprintf(format, values...), nil
	return c
}

// collect finds the sets and sees that the chain is whole (RFC 8617 §5.2 steps
// 1 to 3). The order of the fields in the message does not matter.
func collect(m *dkim.Message) Chain {
	var c Chain
	results, messages, seals := len(m.Find(resultsField)), len(m.Find(messageField)), len(m.Find(sealField))
	if results+messages+seals == 0 {
		return c // even of a malformed message: there is no chain
	}
	if wrong := m.Malformed(); wrong != "" {
		return c.broken("%s", wrong)
	}
	if max(results, messages, seals) > MaxSets {
		c.highest = MaxSets
		return c.broken("the chain has more than %d sets", MaxSets)
	}
	parts, bad := c.sort(m)
	if bad != "" {
		return c.broken("an %s field is malformed or has no instance from 1 to %d (i=)", bad, MaxSets)
	}
	c.Sets = make([]Set, c.highest)
	for name, list := range parts {
		if reason := c.fill(name, list); reason != "" {
			return c.broken("%s", reason)
		}
	}
	for _, name := range []string{resultsField, messageField, sealField} {
		if len(parts[name]) != c.highest {
			return c.broken("the chain of %d sets lacks an %s field", c.highest, name)
		}
	}
	return c.structure()
}

// sort reads all fields, and what even a broken chain tells: how long it is, and
// whether its last host sealed it as failed. bad is the kind of a malformed one.
func (c *Chain) sort(m *dkim.Message) (parts map[string][]part, bad string) {
	parts = map[string][]part{}
	for _, name := range []string{resultsField, messageField, sealField} {
		for _, place := range m.Find(name) {
			p, ok := parsePart(m.Fields()[place])
			if !ok {
				bad = name
				continue
			}
			p.place = place
			c.highest = max(c.highest, p.instance)
			parts[name] = append(parts[name], p)
		}
	}
	for _, p := range parts[sealField] {
		cv, _ := p.tags.Get("cv")
		c.ended = c.ended || p.instance == c.highest && strings.EqualFold(cv, "fail")
	}
	return parts, bad
}

// fill puts the fields of one kind into their sets.
func (c *Chain) fill(name string, list []part) (reason string) {
	seen := map[int]bool{}
	for _, p := range list {
		if seen[p.instance] {
			return fmt.Sprintf("instance %d has two %s fields", p.instance, name)
		}
		seen[p.instance] = true
		s := &c.Sets[p.instance-1]
		s.Instance = p.instance
		switch name {
		case resultsField:
			s.results, s.Results = p.place, p.results
		case messageField:
			s.message = p.place
			if h, _ := p.tags.Get("h"); namesSeal(h) { // RFC 8617 §4.1.2
				return fmt.Sprintf("the message signature of instance %d signs seals (h=)", p.instance)
			}
		case sealField:
			s.seal = p.place
			if reason := s.readSeal(p.tags); reason != "" {
				return fmt.Sprintf("the seal of instance %d: %s", p.instance, reason)
			}
		}
	}
	return ""
}

// structure sees what each host says of the chain before it.
func (c Chain) structure() Chain {
	last := c.Sets[len(c.Sets)-1]
	if last.CV == Fail {
		return c.broken("instance %d sealed the chain as failed", last.Instance)
	}
	for _, s := range c.Sets {
		if want := expected(s.Instance); s.CV != want {
			return c.broken("instance %d says cv=%v, which must be %v", s.Instance, s.CV, want)
		}
	}
	return c
}

// expected is the cv= of a chain that has not failed.
func expected(instance int) Status {
	if instance == 1 {
		return None
	}
	return Pass
}

// readSeal reads the tags of an ARC-Seal (RFC 8617 §4.1.3).
func (s *Set) readSeal(tags dkim.Tags) (reason string) {
	if _, ok := tags.Get("h"); ok {
		return "it has a list of fields (h=)"
	}
	cv, _ := tags.Get("cv")
	switch strings.ToLower(cv) {
	case "none":
		s.CV = None
	case "pass":
		s.CV = Pass
	case "fail":
		s.CV = Fail
	default:
		return "it does not say whether the chain was right (cv=)"
	}
	claim, r := dkim.ParseClaim(tags)
	s.sealed = claim
	if r.Status != dkim.Pass {
		return r.Reason
	}
	return ""
}

// parsePart reads a field of a set as far as its kind allows.
func parsePart(f dkim.Field) (p part, ok bool) {
	if f.Name == resultsField {
		// i= stands first and alone (RFC 8617 §4.1.1); what follows is no tag list.
		first, rest, _ := strings.Cut(f.Value(), ";")
		name, value, found := strings.Cut(first, "=")
		p.results = strings.Trim(rest, " \t\r\n")
		p.instance = instance(value)
		return p, found && strings.Trim(name, " \t\r\n") == "i" && p.instance > 0 && p.results != ""
	}
	tags, err := dkim.ParseTags(f.Value())
	if err != nil {
		return p, false
	}
	value, _ := tags.Get("i")
	p.tags, p.instance = tags, instance(value)
	return p, p.instance > 0
}

// instance reads i=, 0 if it is none.
func instance(s string) int {
	s = strings.Trim(s, " \t\r\n")
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || len(s) > 2 || s[0] == '0' {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	if n > MaxSets {
		return 0
	}
	return n
}

func namesSeal(h string) bool {
	for name := range strings.SplitSeq(h, ":") {
		if strings.EqualFold(strings.Trim(name, " \t\r\n"), sealField) {
			return true
		}
	}
	return false
}

package route

import (
	"fmt"
	"strings"

	"posthorn/internal/base/mail"
)

// Kind says what a rule looks at. Rules of a smaller kind come first
// (M-DEL-03d).
type Kind uint8

// The kinds of rules.
const (
	// NextHop is for relay domains (M-REL-02, M-REL-04); without a Relay DNS
	// names the main server.
	NextHop Kind = iota
	// ByRecipient looks at the forward-path (M-DEL-03a).
	ByRecipient
	// BySender looks at the reverse-path; the null one matches none (M-DEL-03b).
	BySender
	kinds
)

var kindNames = [kinds]string{"relay domain", "recipient rule", "sender rule"}

// String returns the words of traces.
func (k Kind) String() string { return kindNames[min(k, kinds-1)] }

// Rule sends some mail another way than the general mode (M-DEL-03).
type Rule struct {
	Name string // unique among its kind or the others, with its case folded
	Kind Kind
	// Disabled rules count as not there, but mail for a relay domain waits.
	Disabled bool
	// Targets are addresses (bob@far.test), domains (far.test) and the
	// subdomains of domains, without those themselves (.far.test).
	Targets []string
	// Relay takes the mail; nil sends it directly.
	Relay *Relay
}

// matcher finds the rule of one kind for an address: full address before exact
// domain before .domain, then the order of the list. It holds indexes into the
// table's rules.
type matcher struct {
	address, domain, below map[string]int
}

// ParseTarget returns a target of a rule in normal form: an address, a domain,
// or a domain with a dot before it, which stands for its subdomains.
func ParseTarget(text string) (string, error) {
	if strings.Contains(text, "@") {
		a, err := mail.ParseAddress(text)
		if err != nil {
			return "", err
		}
		return a.Key(), nil
	}
	rest, below := strings.CutPrefix(text, ".")
	d, err := mail.ParseDomain(rest)
	if below {
		d = "." + d
	}
	return d, err
}

// add enters a target unless an earlier rule has it.
func (m *matcher) add(target string, rule int) error {
	key, err := ParseTarget(target)
	if err != nil {
		return err
	}
	into := &m.domain
	if parent, below := strings.CutPrefix(key, "."); below {
		into, key = &m.below, parent
	} else if strings.Contains(key, "@") {
		into = &m.address
	}
	if *into == nil {
		*into = map[string]int{}
	}
	if _, taken := (*into)[key]; !taken {
		(*into)[key] = rule
	}
	return nil
}

// find returns the rule and the target that matched.
func (m *matcher) find(a mail.Address) (rule int, target string, ok bool) {
	if rule, ok = m.address[a.Key()]; ok {
		return rule, a.Key(), true
	}
	if rule, ok = m.domain[a.Domain]; ok {
		return rule, a.Domain, true
	}
	if len(m.below) == 0 || mail.IsLiteral(a.Domain) {
		return 0, "", false
	}
	for rest := a.Domain; ; {
		_, parent, more := strings.Cut(rest, ".")
		if !more {
			return rule, target, ok
		}
		if r, has := m.below[parent]; has && (!ok || r < rule) {
			rule, target, ok = r, "."+parent, true
		}
		rest = parent
	}
}

// check refuses rules that cannot be told apart or lead nowhere.
func check(rules []Rule) error {
	seen := make(map[string]bool, len(rules))
	for i := range rules {
		r := &rules[i]
		name := strings.ToLower(r.Name)
		if r.Kind == NextHop {
			name += " " // domains and rules are named apart
		}
		switch {
		case r.Name == "":
			return fmt.Errorf("rule %d has no name", i+1)
		case seen[name]:
			return fmt.Errorf("rule %q is there twice", r.Name)
		case r.Kind >= kinds:
			return fmt.Errorf("rule %q is of no known kind", r.Name)
		case r.Relay != nil && (len(r.Relay.Hosts) == 0 || r.Relay.Port == 0):
			return fmt.Errorf("rule %q has a relay without host or port", r.Name)
		}
		seen[name] = true
	}
	return nil
}

package route

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Table decides for one state of the settings where mail goes. It does not
// change and may be used by many goroutines.
type Table struct {
	general *Relay // nil: directly
	doubt   string // why the general way must not be taken
	rules   []Rule
	match   [kinds]matcher
	waits   matcher // relay domains that are disabled
}

// NewTable returns the table of valid settings and of rules in their order;
// its errors name the rule. doubt, if not empty, is why the general way must not
// be taken (RelaySettings.Doubt).
func NewTable(s *RelaySettings, doubt string, rules []Rule) (*Table, error) {
	if err := check(rules); err != nil {
		return nil, fmt.Errorf("route: %w", err)
	}
	t := &Table{doubt: doubt, rules: rules}
	if s.Mode == modeRelay {
		r, err := s.Relay()
		if err != nil {
			return nil, fmt.Errorf("route: %w", err)
		}
		t.general = r
	}
	for i := range rules {
		r := &rules[i]
		into := &t.match[r.Kind]
		if r.Disabled && r.Kind != NextHop {
			continue
		} else if r.Disabled {
			into = &t.waits
		}
		for _, target := range r.Targets {
			if err := into.add(target, i); err != nil {
				return nil, fmt.Errorf("route: rule %q: %w", r.Name, err)
			}
		}
	}
	return t, nil
}

// For is where a queued recipient goes: the zero Destination for one with an
// account here, which no rule concerns.
func (t *Table) For(m *store.QueueMessage, r store.QueueRecipient) Destination {
	if r.Local != 0 {
		return Destination{}
	}
	d, _, _ := t.find(m.Sender, r.Address)
	return d
}

// Explanation is where mail goes and why.
type Explanation struct {
	Destination Destination
	// Why is a sentence for the administrator.
	Why string
}

// Explain answers which way a message would take (M-DEL-03d). It assumes that
// the recipient is not local.
func (t *Table) Explain(sender, rcpt mail.Address) Explanation {
	d, rule, target := t.find(sender, rcpt)
	way := "directly to the mail servers of " + d.Domain
	if d.Inside {
		way = "to the main mail server of " + d.Domain + ", as DNS inside names it"
	}
	if d.Relay != nil {
		way = "through the relay host " + d.Relay.name()
	}
	if d.Suspended {
		return Explanation{Destination: d, Why: fmt.Sprintf("Mail for %s waits in the queue, because the %s %q is disabled and matches %s.", rcpt, rule.Kind, rule.Name, target)}
	}
	if d.Doubt != "" {
		return Explanation{Destination: d, Why: fmt.Sprintf("Mail for %s waits in the queue, because no rule matches and %s.", rcpt, d.Doubt)}
	}
	why := "no rule matches and the general mode is " + modeDirect
	switch {
	case rule != nil:
		why = fmt.Sprintf("the %s %q matches %s", rule.Kind, rule.Name, target)
	case d.Relay != nil:
		why = "no rule matches and the general mode is " + modeRelay
	}
	return Explanation{Destination: d, Why: fmt.Sprintf("Mail for %s goes %s, because %s.", rcpt, way, why)}
}

func (t *Table) find(sender, rcpt mail.Address) (d Destination, rule *Rule, target string) {
	for k := range kinds {
		about := rcpt
		if k == BySender {
			about = sender
		}
		if about.IsNull() {
			continue
		}
		if i, target, ok := t.match[k].find(about); ok {
			r := &t.rules[i]
			return r.destination(rcpt), r, target
		}
		if k != NextHop {
			continue
		}
		if i, target, ok := t.waits.find(rcpt); ok {
			r := &t.rules[i]
			return Suspended(r.Name), r, target
		}
	}
	if t.doubt != "" {
		return Doubted(t.doubt), nil, ""
	}
	return destination(rcpt, t.general, ""), nil, ""
}

// destination of a recipient the rule is for.
func (r *Rule) destination(rcpt mail.Address) Destination {
	if r.Kind != NextHop {
		return destination(rcpt, r.Relay, r.Name)
	}
	d := destination(rcpt, r.Relay, "domain: "+r.Name)
	d.Inside = r.Relay == nil
	if d.Inside {
		d.Key += " (inside)"
	}
	return d
}

// destination keeps the mail of two rules apart even where both name one
// host: their logins may differ.
func destination(rcpt mail.Address, relay *Relay, rule string) Destination {
	if relay == nil {
		return Destination{Key: rcpt.Domain, Domain: rcpt.Domain, Rule: rule}
	}
	d := Destination{Key: "relay " + relay.name(), Relay: relay, Rule: rule}
	if rule != "" {
		d.Key += " (" + rule + ")"
	}
	return d
}

// name is "smart.example.org:587", or several with commas.
func (r *Relay) name() string {
	names := make([]string, len(r.Hosts))
	for i, h := range r.Hosts {
		if strings.Contains(h, ":") {
			h = "[" + h + "]"
		}
		names[i] = h + ":" + strconv.Itoa(int(r.Port))
	}
	return strings.Join(names, ",")
}

// Router keeps the table for the settings in force. Use NewRouter.
type Router struct {
	settings func() (*RelaySettings, map[string]string)
	rules    func() *[]Rule
	now      atomic.Pointer[current]
}

// current is a table and what it was made of. Settings and rules in force are
// never changed, only replaced, so their addresses are their versions.
type current struct {
	settings *RelaySettings
	rules    *[]Rule
	table    *Table
}

// NewRouter returns a Router. settings gives those in force and what of the
// stored ones is not, as setting.Handle.Checked does; rules gives the rules in force, the same pointer
// while they are the same; nil stands for none.
func NewRouter(settings func() (*RelaySettings, map[string]string), rules func() *[]Rule) *Router {
	if rules == nil {
		var none []Rule
		rules = func() *[]Rule { return &none }
	}
	return &Router{settings: settings, rules: rules}
}

// Table returns the table in force. Its error is about rules that were stored
// without being checked.
func (r *Router) Table() (*Table, error) {
	s, unused := r.settings()
	c, rules := r.now.Load(), r.rules()
	if c != nil && c.settings == s && c.rules == rules {
		return c.table, nil
	}
	t, err := NewTable(s, s.Doubt(unused), *rules)
	if err != nil {
		return nil, err
	}
	r.now.Store(&current{settings: s, rules: rules, table: t})
	return t, nil
}

package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

// RelayRule sends some mail through a relay host of its own, or directly where
// the general mode has one for all (M-DEL-03).
type RelayRule struct {
	Name     string   `json:"name"`
	Position int      `json:"position" doc:"Place in the list; of two rules that match equally well the earlier counts"`
	Kind     string   `json:"kind" doc:"recipient or sender: what its targets are compared with"`
	Targets  []string `json:"targets" doc:"Addresses, domains, and subdomains of domains (.example.org)"`
	RelayHost
	User        string    `json:"user" doc:"Name to log in with; empty: no login"`
	PasswordSet bool      `json:"password_set"`
	ClearLogin  bool      `json:"clear_login" doc:"Logs in even without TLS"`
	Disabled    bool      `json:"disabled"`
	Created     time.Time `json:"created"`
}

// NewRelayRule is a rule to make.
type NewRelayRule struct {
	Name string `json:"name" doc:"What the rule is called" example:"partners"`
	RelayRuleChange
}

// RelayRuleChange sets the fields that are given.
type RelayRuleChange struct {
	Kind    *string   `json:"kind,omitempty" enum:"recipient,sender" doc:"What the targets are compared with; recipient unless said otherwise"`
	Targets *[]string `json:"targets,omitempty" doc:"Addresses, domains, and subdomains of domains (.example.org)"`
	RelayHostChange
	User       *string `json:"user,omitempty" doc:"Name to log in with; empty: no login"`
	Password   *string `json:"password,omitempty" writeOnly:"true"`
	ClearLogin *bool   `json:"clear_login,omitempty" doc:"Log in even without TLS: everybody on the way can read the password"`
	Disabled   *bool   `json:"disabled,omitempty"`
	Position   *int    `json:"position,omitempty" minimum:"1" doc:"Place in the list; new rules come last"`
}

// The inputs of the relay rule operations.
type (
	RelayListInput struct{ Paging }
	RelayAddInput  struct{ Body NewRelayRule }
	RelayInput     struct {
		Name string `json:"name" path:"name"`
	}
	RelaySetInput struct {
		Name string `json:"name" path:"name"`
		Body RelayRuleChange
	}
)

func relayOperations() []Operation {
	return []Operation{
		declare("relay-list", get, "/relay/rules", reader, "List the relay rules in their order", (*Service).relayRules),
		declare("relay-add", post, "/relay/rules", administrator, "Send some mail through a relay host of its own", (*Service).addRelayRule),
		declare("relay-show", get, "/relay/rules/{name}", reader, "Show a relay rule", (*Service).relayRule),
		declare("relay-set", patch, "/relay/rules/{name}", administrator, "Change a relay rule", (*Service).setRelayRule),
		declare("relay-remove", remove, "/relay/rules/{name}", administrator, "Remove a relay rule", (*Service).removeRelayRule),
		declare("relay-export", get, "/relay/rules-file", reader, "All relay rules, without their passwords", (*Service).exportRelayRules),
		declare("relay-import", post, "/relay/rules-file", administrator, "Add or replace relay rules, all or nothing", (*Service).importRelayRules),
		declare("relay-try", get, "/relay/try", reader, "Which way a message would take", (*Service).tryRelay),
	}
}

func kindWord(bySender bool) string {
	if bySender {
		return "sender"
	}
	return "recipient"
}

func relayRuleView(r store.RelayRule, position int) RelayRule {
	return RelayRule{Name: r.Name, Position: position, Kind: kindWord(r.BySender), Targets: r.Targets, RelayHost: relayHostView(r.Host),
		User: r.Host.User, PasswordSet: r.Host.Password != "", ClearLogin: r.Host.ClearLogin, Disabled: r.Disabled, Created: r.Created}
}

func (s *Service) relayRules(ctx context.Context, in *RelayListInput) (Page[RelayRule], error) {
	rules, err := s.o.Store.Directory().RelayRules(ctx)
	p := Page[RelayRule]{Items: []RelayRule{}}
	if err != nil {
		return p, err
	}
	first := ruleNamed(rules, in.After) + 1 // the whole list where nothing is named
	if in.After != "" && first == 0 {
		return p, inField("after", fmt.Errorf("there is no relay rule %q any more; begin again, without it", in.After))
	}
	for i := first; i < len(rules); i++ {
		if len(p.Items) == in.limit() {
			p.Next = rules[i-1].Name
			break
		}
		p.Items = append(p.Items, relayRuleView(rules[i], i+1))
	}
	return p, nil
}

// ruleNamed returns the index of a rule, -1 when there is none of the name.
func ruleNamed(rules []store.RelayRule, name string) int {
	key := mail.FoldLocal(name)
	return slices.IndexFunc(rules, func(r store.RelayRule) bool { return mail.FoldLocal(r.Name) == key })
}

func noRule(name string) error {
	return said{fmt.Sprintf("there is no relay rule %q; posthorn relay list shows them", name), store.ErrNotFound}
}

func (s *Service) relayRule(ctx context.Context, in *RelayInput) (RelayRule, error) {
	rules, err := s.o.Store.Directory().RelayRules(ctx)
	if err != nil {
		return RelayRule{}, err
	}
	i := ruleNamed(rules, in.Name)
	if i < 0 {
		return RelayRule{}, noRule(in.Name)
	}
	return relayRuleView(rules[i], i+1), nil
}

func (s *Service) addRelayRule(ctx context.Context, in *RelayAddInput) (None, error) {
	b := in.Body
	return None{}, s.o.Directory.ChangeRules(ctx, func(rules []store.RelayRule) ([]store.RelayRule, error) {
		if ruleNamed(rules, b.Name) >= 0 {
			return nil, said{fmt.Sprintf("relay rule %q exists already; change it with posthorn relay set", b.Name), store.ErrExists}
		}
		r := store.RelayRule{Name: b.Name, Created: time.Now()}
		if err := s.applyRule(b.RelayRuleChange, &r); err != nil {
			return nil, err
		}
		return placed(append(rules, r), len(rules), b.Position), nil
	})
}

func (s *Service) setRelayRule(ctx context.Context, in *RelaySetInput) (None, error) {
	c := in.Body
	if c.Kind == nil && c.Targets == nil && c.RelayHostChange.empty() && c.User == nil && c.Password == nil && c.ClearLogin == nil && c.Disabled == nil && c.Position == nil {
		return None{}, ErrNothing
	}
	return None{}, s.o.Directory.ChangeRules(ctx, func(rules []store.RelayRule) ([]store.RelayRule, error) {
		i := ruleNamed(rules, in.Name)
		if i < 0 {
			return nil, noRule(in.Name)
		}
		if err := s.applyRule(c, &rules[i]); err != nil {
			return nil, err
		}
		return placed(rules, i, c.Position), nil
	})
}

func (s *Service) removeRelayRule(ctx context.Context, in *RelayInput) (None, error) {
	return None{}, s.o.Directory.ChangeRules(ctx, func(rules []store.RelayRule) ([]store.RelayRule, error) {
		i := ruleNamed(rules, in.Name)
		if i < 0 {
			return nil, noRule(in.Name)
		}
		return slices.Delete(rules, i, i+1), nil
	})
}

// placed moves the rule at an index to a position, if one is given.
func placed(rules []store.RelayRule, i int, position *int) []store.RelayRule {
	if position == nil {
		return rules
	}
	r := rules[i]
	to := min(max(*position, 1), len(rules)) - 1
	return slices.Insert(slices.Delete(rules, i, i+1), to, r)
}

// applyRule puts the given fields into a row, and checks the whole.
func (s *Service) applyRule(c RelayRuleChange, r *store.RelayRule) error {
	switch {
	case c.Kind == nil:
	case *c.Kind == "recipient" || *c.Kind == "sender":
		r.BySender = *c.Kind == "sender"
	default:
		return inField("kind", fmt.Errorf("%q is not one of recipient, sender", *c.Kind))
	}
	if c.Targets != nil {
		r.Targets = nil
		for _, text := range *c.Targets {
			target, err := route.ParseTarget(text)
			if err != nil {
				return inField("targets", err)
			}
			if !slices.Contains(r.Targets, target) {
				r.Targets = append(r.Targets, target)
			}
		}
	}
	if len(r.Targets) == 0 {
		return inField("targets", errors.New("name the addresses or domains the rule is for"))
	}
	if c.Disabled != nil {
		r.Disabled = *c.Disabled
	}
	if err := c.RelayHostChange.apply(&r.Host); err != nil {
		return err
	}
	if err := s.applyLogin(c, r); err != nil {
		return err
	}
	return checkHost(&r.Host)
}

const maxRelayLogin = 256 // octets of a user name, as in the general settings

// applyLogin seals a new password. Without a user there is none to keep.
func (s *Service) applyLogin(c RelayRuleChange, r *store.RelayRule) error {
	if c.ClearLogin != nil {
		r.Host.ClearLogin = *c.ClearLogin
	}
	if c.User != nil {
		if len(*c.User) > maxRelayLogin {
			return inField("user", fmt.Errorf("at most %d octets", maxRelayLogin))
		}
		if r.Host.User = *c.User; *c.User == "" {
			r.Host.Password = ""
		}
	}
	if c.Password == nil || *c.Password == "" {
		return nil
	}
	if r.Host.User == "" {
		return inField("password", errors.New("nobody logs in with it; give a user too"))
	}
	if s.o.Seal == nil {
		return inField("password", errors.New("this server has no key to keep secrets with"))
	}
	var err error
	r.Host.Password, err = s.o.Seal(RelaySecret(r.Name), []byte(*c.Password))
	return err
}

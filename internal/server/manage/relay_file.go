package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

// RelayRuleFile is a list of rules as it is exported and imported.
type RelayRuleFile struct {
	Version string         `json:"version,omitempty" doc:"Of an export; where a list replaces all rules it counts as base"`
	Rules   []NewRelayRule `json:"rules"`
}

// The inputs of the relay operations that are about the whole list.
type (
	RelayExportInput struct{}
	RelayImportInput struct {
		Body struct {
			RelayRuleFile
			Replace bool   `json:"replace,omitempty" doc:"Rules that the list does not name are removed; base or version is needed, too"`
			Base    string `json:"base,omitempty" doc:"Version the list was made from (of relay-export); when the rules have another, nothing is changed (409)"`
		}
	}
	RelayTryInput struct {
		Sender    string `json:"sender" query:"sender" doc:"Envelope sender; empty is the null reverse-path"`
		Recipient string `json:"recipient" query:"recipient" doc:"Envelope recipient"`
	}
)

// RelayWay is which way a message would take.
type RelayWay struct {
	Destination string `json:"destination" doc:"What the queue calls it"`
	Rule        string `json:"rule" doc:"Rule that decides; empty: none does"`
	Why         string `json:"why"`
}

func (s *Service) exportRelayRules(ctx context.Context, _ *RelayExportInput) (RelayRuleFile, error) {
	rules, err := s.o.Store.Directory().RelayRules(ctx)
	f := RelayRuleFile{Version: rulesVersion(rules), Rules: []NewRelayRule{}}
	for i := range rules {
		f.Rules = append(f.Rules, exported(relayRuleView(rules[i], i+1)))
	}
	return f, err
}

// rulesVersion tells one list of rules from another, in whatever they differ. The
// directory's own version would grow with every change of an account, too.
func rulesVersion(rules []store.RelayRule) string {
	h := sha256.New()
	for i := range rules {
		r := rules[i]
		r.Created = time.Time{} // an import keeps it, a rule made anew is another by its place or its fields
		fmt.Fprintf(h, "%q\n", fmt.Sprintf("%+v", r))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func exported(v RelayRule) NewRelayRule {
	return NewRelayRule{Name: v.Name, RelayRuleChange: RelayRuleChange{Kind: &v.Kind, Targets: &v.Targets, User: &v.User, ClearLogin: &v.ClearLogin, Disabled: &v.Disabled,
		RelayHostChange: RelayHostChange{Hosts: &v.Hosts, Port: &v.Port, Secure: &v.Secure, AnyCertificate: &v.AnyCertificate, Fingerprint: &v.Fingerprint}}}
}

// importRelayRules makes the list's rules those of their names, whole: fields
// that are not given have their default, but a password stays with its user.
// New rules come last, in the order of the list; with replace it is the order
// of all.
func (s *Service) importRelayRules(ctx context.Context, in *RelayImportInput) (None, error) {
	b := in.Body
	if len(b.Rules) == 0 {
		return None{}, inField("rules", errors.New("there is none; relay-remove removes a rule"))
	}
	if b.Replace && b.Base == "" {
		b.Base = b.Version
	}
	if b.Replace && b.Base == "" && overHTTP(ctx) {
		return None{}, needsBase("GET /relay/rules-file")
	}
	return None{}, s.o.Directory.ChangeRules(ctx, func(old []store.RelayRule) ([]store.RelayRule, error) {
		if now := rulesVersion(old); b.Base != "" && b.Base != now {
			return nil, changedSince(now, b.Base)
		}
		var rules []store.RelayRule
		if !b.Replace {
			rules = old
		}
		seen := map[string]bool{}
		for _, n := range b.Rules {
			key := mail.FoldLocal(n.Name)
			if seen[key] {
				return nil, inField("rules", fmt.Errorf("rule %q is there twice", n.Name))
			}
			seen[key] = true
			r, err := s.imported(n, old)
			if err != nil {
				return nil, inField("rules", fmt.Errorf("rule %q: %w", n.Name, err))
			}
			if i := ruleNamed(rules, n.Name); i >= 0 {
				rules[i] = r
			} else {
				rules = append(rules, r)
			}
		}
		return rules, nil
	})
}

func (s *Service) imported(n NewRelayRule, old []store.RelayRule) (store.RelayRule, error) {
	r := store.RelayRule{Name: n.Name, Created: time.Now()}
	if i := ruleNamed(old, n.Name); i >= 0 {
		r.Created = old[i].Created
		if n.User != nil && *n.User == old[i].Host.User {
			r.Host.Password = old[i].Host.Password
		}
	}
	err := s.applyRule(n.RelayRuleChange, &r)
	return r, err
}

// tryRelay answers by what is stored now (M-DEL-03d).
func (s *Service) tryRelay(ctx context.Context, in *RelayTryInput) (RelayWay, error) {
	rcpt, err := mail.ParseAddress(in.Recipient)
	if err != nil {
		return RelayWay{}, inField("recipient", err)
	}
	var sender mail.Address
	if err := sender.UnmarshalText([]byte(in.Sender)); err != nil {
		return RelayWay{}, inField("sender", err)
	}
	to, err := s.o.Directory.Resolve(ctx, rcpt)
	if err != nil {
		return RelayWay{}, err
	}
	if to.Hosted() {
		return RelayWay{Why: fmt.Sprintf("Mail for %s stays here, because the domain %s is hosted here.", rcpt, rcpt.Domain)}, nil
	}
	table, err := s.routes(ctx)
	if err != nil {
		return RelayWay{}, err
	}
	e := table.Explain(sender, rcpt)
	return RelayWay{Destination: e.Destination.Key, Rule: e.Destination.Rule, Why: e.Why}, nil
}

// routes is the table of the rules and settings in force. Nobody logs in by it.
func (s *Service) routes(ctx context.Context) (*route.Table, error) {
	now, err := s.o.Directory.Routes(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := route.Stored(now.Domains, now.Rules, func(string, string) (string, error) { return "", nil })
	if err != nil {
		return nil, err
	}
	general, err := s.generalRelay()
	if err != nil {
		return nil, err
	}
	return route.NewTable(general, general.Doubt(s.o.Settings.NotInForce()), rules)
}

// generalRelay is the general mode as far as it says where mail goes.
func (s *Service) generalRelay() (*route.RelaySettings, error) {
	value := func(name string) (text string, err error) { return s.o.Settings.Get("relay." + name) }
	mode, err1 := value("mode")
	hosts, err2 := value("hosts")
	port, err3 := value("port")
	user, err4 := value("user")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	return &route.RelaySettings{Mode: mode, Hosts: strings.FieldsFunc(hosts, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' }), Port: n, User: user}, err
}

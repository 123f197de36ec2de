package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

var relayTests = []test{
	{name: "RelayDomainsComeBackWhole", run: relayDomains},
	{name: "ADomainIsHostedOrRelayed", run: hostedOrRelayed},
	{name: "HostedAndRelayedAtOnce", run: hostedOrRelayedTogether},
	{name: "RecipientsOfARelayDomain", run: relayRecipients},
	{name: "RulesKeepTheirOrder", run: relayRules},
	{name: "RulesOfTwoWriters", run: relayRulesTogether},
}

func relayHost(hosts ...string) store.RelayHost {
	return store.RelayHost{Hosts: hosts, Port: 587, Secure: true, AnyCertificate: true, Fingerprint: "ab"}
}

// putRelayDomain puts one against the newest version.
func putRelayDomain(e *env, row store.RelayDomain) error {
	d := e.s.Directory()
	for {
		base, err := d.Version(e.ctx)
		if err != nil {
			return err
		}
		if err := d.PutRelayDomain(e.ctx, base, row); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func relayDomains(e *env) {
	d := e.s.Directory()
	at := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC)
	want := []store.RelayDomain{
		{Name: "Under", Domain: ".b.test", Disabled: true},
		{Name: "Main Ä", Domain: "a.test", Next: relayHost("mx.a.test", "2001:db8::1"), Listed: true, Created: at},
	}
	e.must(putRelayDomain(e, store.RelayDomain{Name: "main ä", Domain: "old.test", Disabled: true}))
	e.must(putRelayDomain(e, want[1])) // the same name: it is replaced
	e.must(putRelayDomain(e, want[0]))
	got, err := d.RelayDomains(e.ctx)
	if err != nil || !reflect.DeepEqual(got, want) {
		e.t.Errorf("relay domains %+v, %v; want %+v", got, err, want)
	}
	e.wants(putRelayDomain(e, store.RelayDomain{Name: "other", Domain: "a.test"}), store.ErrExists, "a domain twice")
	e.wants(d.RemoveRelayDomain(e.ctx, "a.test"), store.ErrNotFound, "remove by the domain")
	before, err := d.Version(e.ctx)
	e.must(err)
	e.wants(d.PutRelayDomain(e.ctx, before-1, store.RelayDomain{Name: "late", Domain: "late.test"}), store.ErrConflict, "a relay domain made from an old version")
	e.must(d.RemoveRelayDomain(e.ctx, "MAIN ä"))
	if now, err := d.Version(e.ctx); err != nil || now <= before {
		e.t.Errorf("version %d after %d, %v", now, before, err)
	}
	if got, err = d.RelayDomains(e.ctx); err != nil || len(got) != 1 {
		e.t.Errorf("left are %+v, %v", got, err)
	}
}

func hostedOrRelayed(e *env) {
	d := e.s.Directory()
	e.must(d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: "hosted.test"}))
	e.must(putRelayDomain(e, store.RelayDomain{Name: "r", Domain: "relayed.test"}))
	e.wants(putRelayDomain(e, store.RelayDomain{Name: "h", Domain: "hosted.test"}), store.ErrInvalid, "relay a hosted domain")
	e.wants(d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: "relayed.test"}), store.ErrInvalid, "host a relayed domain")
	e.must(putRelayDomain(e, store.RelayDomain{Name: "below", Domain: ".hosted.test"})) // another domain
	e.must(d.RemoveDomain(e.ctx, "hosted.test"))
	e.must(putRelayDomain(e, store.RelayDomain{Name: "h", Domain: "hosted.test"}))
	e.must(d.RemoveRelayDomain(e.ctx, "r"))
	e.must(d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: "relayed.test"}))
}

func hostedOrRelayedTogether(e *env) {
	d := e.s.Directory()
	for round := range e.o.size(3, 10, 100) {
		name := fmt.Sprintf("d%d.test", round)
		won := make([]bool, 4)
		e.must(together(len(won), func(i int) error {
			var err error
			if i%2 == 0 {
				err = d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: name})
			} else {
				err = putRelayDomain(e, store.RelayDomain{Name: name, Domain: name})
			}
			if won[i] = err == nil; errors.Is(err, store.ErrInvalid) {
				return nil
			}
			return err
		}))
		if won[0] != won[2] || won[1] != won[3] || won[0] == won[1] {
			e.t.Errorf("hosted and relayed: %v", won)
		}
	}
}

func relayRecipients(e *env) {
	d := e.s.Directory()
	at := func(local string) mail.Address { return mail.Address{Local: local, Domain: "a.test"} }
	e.wants(d.AddRelayRecipients(e.ctx, "none", []mail.Address{at("x")}), store.ErrNotFound, "recipients of no domain")
	e.wants(d.DropRelayRecipients(e.ctx, "none", []mail.Address{at("x")}), store.ErrNotFound, "drop recipients of no domain")
	e.must(putRelayDomain(e, store.RelayDomain{Name: "one", Domain: "a.test", Listed: true}))
	e.must(putRelayDomain(e, store.RelayDomain{Name: "two", Domain: "b.test", Listed: true}))
	var all []mail.Address
	for i := range 25 {
		all = append(all, at(fmt.Sprintf("User%02d", i)))
	}
	e.must(d.AddRelayRecipients(e.ctx, "ONE", all))
	e.must(d.AddRelayRecipients(e.ctx, "one", all[:3]))
	e.must(d.DropRelayRecipients(e.ctx, "One", []mail.Address{at("USER01"), at("nobody")}))
	has := func(rule, local string) bool {
		e.t.Helper()
		has, err := d.HasRelayRecipient(e.ctx, rule, at(local))
		e.must(err)
		return has
	}
	if !has("one", "uSER00") || has("one", "user01") || has("two", "user00") || has("none", "user00") {
		e.t.Error("the wrong recipients are there")
	}
	var got []mail.Address
	for after := ""; ; {
		page, err := d.RelayRecipients(e.ctx, "one", after, 7)
		e.must(err)
		if got = append(got, page...); len(page) < 7 {
			break
		}
		after = page[len(page)-1].String()
	}
	if want := append(all[:1:1], all[2:]...); !reflect.DeepEqual(got, want) {
		e.t.Errorf("pages %v, want %v", got, want)
	}
	e.must(d.RemoveRelayDomain(e.ctx, "one"))
	e.must(putRelayDomain(e, store.RelayDomain{Name: "one", Domain: "a.test", Listed: true}))
	if has("one", "user00") {
		e.t.Error("a new relay domain has the recipients of the old one")
	}
}

func relayRules(e *env) {
	d := e.s.Directory()
	at := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC)
	login := relayHost("smart.test")
	login.User, login.Password, login.ClearLogin = "me", "sealed:v1:x", true
	want := []store.RelayRule{
		{Name: "Zwei", BySender: true, Targets: []string{"a@x.test", ".y.test"}, Host: login, Created: at},
		{Name: "Direct", Targets: []string{"z.test"}, Disabled: true},
		{Name: "a", Targets: []string{"z.test"}, Host: relayHost("1.test", "2.test")},
	}
	set := func(rules []store.RelayRule) {
		e.t.Helper()
		base, err := d.Version(e.ctx)
		e.must(err)
		e.must(d.SetRelayRules(e.ctx, base, rules))
		if got, err := d.RelayRules(e.ctx); err != nil || !reflect.DeepEqual(got, rules) {
			e.t.Errorf("rules %+v, %v; want %+v", got, err, rules)
		}
	}
	set(want)
	set([]store.RelayRule{want[2], want[0]})
	set(nil)
	base, err := d.Version(e.ctx)
	e.must(err)
	e.must(d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: "between.test"}))
	e.wants(d.SetRelayRules(e.ctx, base, want), store.ErrConflict, "rules made from an old version")
	if got, err := d.RelayRules(e.ctx); err != nil || len(got) != 0 {
		e.t.Errorf("a conflict left %+v, %v", got, err)
	}
}

func relayRulesTogether(e *env) {
	d := e.s.Directory()
	base, err := d.Version(e.ctx)
	e.must(err)
	won := make([]bool, 6)
	e.must(together(len(won), func(i int) error {
		err := d.SetRelayRules(e.ctx, base, []store.RelayRule{{Name: fmt.Sprint(i), Targets: []string{"a.test"}}})
		if won[i] = err == nil; errors.Is(err, store.ErrConflict) {
			return nil
		}
		return err
	}))
	rules, err := d.RelayRules(e.ctx)
	if err != nil || len(rules) != 1 {
		e.t.Fatalf("rules %+v, %v", rules, err)
	}
	for i, w := range won {
		if w != (rules[0].Name == fmt.Sprint(i)) {
			e.t.Errorf("writers %v, stored is rule %s", won, rules[0].Name)
		}
	}
}

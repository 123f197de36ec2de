package manage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/policy"
	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
)

// rule adds a rule as the API does.
func (o *office) rule(list, kind, value string, change func(*NewAccessRule)) AccessSaved {
	o.t.Helper()
	wish := NewAccessRule{List: list, Kind: kind, AccessChange: AccessChange{Value: &value}}
	if change != nil {
		change(&wish)
	}
	out, err := do[AccessSaved](o, "list-add", AccessAddInput{wish})
	if err != nil {
		o.t.Fatalf("%s %s %s: %v", list, kind, value, err)
	}
	return out
}

func TestNewRulesAskForAuthenticationAsTheSettingSays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if r := o.rule("allow", "domain", "Away.TEST", nil); !r.Rule.Authenticated || r.Rule.Name != "away.test" || r.Rule.Author != nobody || len(r.Warnings) != 0 {
		t.Errorf("recommended: %+v", r)
	}
	if r := o.rule("allow", "recipient", "ann@ours.test", nil); r.Rule.Authenticated {
		t.Errorf("a rule by recipient: %+v", r)
	}
	o.o.Access = func() *access.Settings { return &access.Settings{} }
	if r := o.rule("allow", "sender", "eve@away.test", nil); r.Rule.Authenticated || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "Anybody") {
		t.Errorf("factory: %+v", r)
	}
	yes := true
	if r := o.rule("allow", "sender", "bob@away.test", func(w *NewAccessRule) { w.Authenticated = &yes }); !r.Rule.Authenticated {
		t.Errorf("asked for: %+v", r)
	}
}

// M-SEC-BW-11.
func TestAConflictIsMarkedWhenARuleIsSaved(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.rule("block", "network", "192.0.2.0/24", func(w *NewAccessRule) { w.Name = "flooders" })
	if r := o.rule("allow", "ip", "192.0.2.7", func(w *NewAccessRule) { w.Name = "partner" }); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "flooders") {
		t.Errorf("added: %q", r.Warnings)
	}
	elsewhere := "198.51.100.0/24"
	change := AccessSetInput{Name: "Flooders"}
	change.Body.Value = &elsewhere
	if r, err := do[AccessSaved](o, "list-set", change); err != nil || len(r.Warnings) != 0 || r.Rule.Value != elsewhere {
		t.Errorf("moved away: %+v, %v", r, err)
	}
	back := "192.0.0.0/16"
	change.Body.Value = &back
	if r, err := do[AccessSaved](o, "list-set", change); err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "partner") {
		t.Errorf("moved back: %+v, %v", r, err)
	}
	old := int64(1)
	change.Body.Version = &old
	if _, err := do[AccessSaved](o, "list-set", change); !errors.Is(err, store.ErrConflict) {
		t.Errorf("from an old version: %v", err)
	}
	if _, err := do[AccessSaved](o, "list-set", AccessSetInput{Name: "flooders"}); !errors.Is(err, ErrInput) {
		t.Errorf("nothing to change: %v", err)
	}
}

func TestWrongRulesAreRefusedByTheirField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.rule("block", "ip", "192.0.2.1", nil)
	past := time.Now().Add(-time.Hour)
	text := func(s string) *string { return &s }
	for field, w := range map[string]NewAccessRule{
		"list":    {List: "deny", Kind: "ip", AccessChange: AccessChange{Value: text("192.0.2.2")}},
		"kind":    {List: "block", Kind: "domain", AccessChange: AccessChange{Value: text("away.test")}},
		"value":   {List: "block", Kind: "sender", AccessChange: AccessChange{Value: text("<>")}},
		"expires": {List: "block", Kind: "ip", AccessChange: AccessChange{Value: text("192.0.2.2"), Expires: &past}},
		"forever": {List: "block", Kind: "ip", AccessChange: AccessChange{Value: text("192.0.2.2"), Expires: &past, Forever: true}},
	} {
		_, err := do[AccessSaved](o, "list-add", AccessAddInput{w})
		if faults := faultsOf(err); !errors.Is(err, ErrInput) || len(faults) != 1 || faults[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := do[AccessSaved](o, "list-add", AccessAddInput{NewAccessRule{List: "allow", Kind: "ip", AccessChange: AccessChange{Value: text("192.0.2.1")}}}); !errors.Is(err, store.ErrExists) {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestAnImportIsAllOrNothingAndKnowsWhatIsThere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.rule("allow", "ip", "192.0.2.7", func(w *NewAccessRule) { w.Name = "partner"; w.Author = "ann" })
	o.rule("block", "ip", "192.0.2.8", nil)
	load := func(text string, replace, dry bool) (AccessImported, error) {
		var in AccessImportInput
		in.Body.File, in.Body.Replace, in.Body.DryRun, in.Body.Author = text, replace, dry, "bob"
		return do[AccessImported](o, "list-import", in)
	}
	names := func() string {
		all, err := do[Page[AccessRule]](o, "list-list", AccessListInput{})
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, r := range all.Items {
			s = append(s, r.Name+"="+r.Value+"/"+r.Author)
		}
		return strings.Join(s, " ")
	}
	before := names()
	for _, text := range []string{"block ip 192.0.2.9\nblock ip nowhere", "", "# nothing"} {
		if _, err := load(text, true, false); !errors.Is(err, ErrInput) || faultsOf(err)[0].Field != "file" || names() != before {
			t.Errorf("%q: %v, then %s", text, err, names())
		}
	}
	const text = "block network 192.0.2.0/24\nallow ip 192.0.2.9 name=PARTNER\nblock ip 192.0.2.8"
	want := AccessImported{Added: 1, Changed: 1, Unchanged: 1}
	for _, dry := range []bool{true, false} {
		got, err := load(text, false, dry)
		if err != nil || got.Added != want.Added || got.Changed != want.Changed || got.Unchanged != want.Unchanged || got.Removed != 0 || len(got.Warnings) != 2 {
			t.Errorf("dry run %v: %+v, %v", dry, got, err)
		}
		if dry && names() != before {
			t.Errorf("a dry run changed something: %s", names())
		}
	}
	if got := names(); got != "192.0.2.0/24=192.0.2.0/24/bob 192.0.2.8=192.0.2.8/API PARTNER=192.0.2.9/ann" {
		t.Errorf("then there are %s", got)
	}
	file, err := do[AccessFile](o, "list-export", None{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := load(file.File, true, false); err != nil || got.Unchanged != 3 || got.Added+got.Changed+got.Removed != 0 {
		t.Errorf("its own export: %+v, %v", got, err)
	}
	if got, err := load("block ip 192.0.2.8", true, false); err != nil || got.Removed != 2 || names() != "192.0.2.8=192.0.2.8/API" {
		t.Errorf("replaced: %+v, %v, then %s", got, err, names())
	}
}

func TestALongImportDoesNotLookForEveryConflict(t *testing.T) {
	t.Parallel()
	var rows []store.AccessRow
	for i := range 12_000 {
		value := fmt.Sprintf("10.%d.%d.%d", i>>14, i>>7&127, i&127)
		rows = append(rows, store.AccessRow{Name: value, Kind: "ip", Value: value, Block: i%2 == 0})
	}
	if got := warnings(nil, store.AccessChange{Add: rows}); len(got) != 1 || !strings.Contains(got[0], "were not looked at") {
		t.Errorf("%q", got)
	}
	for i := range rows {
		rows[i].Value = "192.0.2.1"
	}
	if got := warnings(nil, store.AccessChange{Add: rows[:1000]}); len(got) != maxWarnings+1 {
		t.Errorf("%d warnings", len(got))
	}
}

func TestTryingSaysWhichRulesMatchAndWhatTheyLift(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.rule("block", "network", "192.0.2.0/24", nil)
	o.rule("allow", "domain", ".away.test", nil)
	o.rule("allow", "recipient", "ann@ours.test", nil)
	o.rule("block", "sender", "eve@sub.away.test", func(w *NewAccessRule) { yes := true; w.Discard = &yes })
	for _, c := range []struct {
		ask     AccessQuestion
		names   string
		summary string
	}{
		{AccessQuestion{Client: "192.0.2.1"}, "192.0.2.0/24", "The block list decides."},
		{AccessQuestion{Client: "203.0.113.1", From: "<>"}, "", "No rule matches"},
		{AccessQuestion{From: "bob@sub.away.test"}, ".away.test", "The allow list lifts"},
		{AccessQuestion{From: "eve@sub.away.test"}, "eve@sub.away.test .away.test", "if the sender's domain is authenticated"},
		{AccessQuestion{Client: "192.0.2.1", To: []string{"bob@ours.test", "Ann@ours.test"}}, "192.0.2.0/24 ann@ours.test", "for the recipients that are allowed"},
	} {
		a, err := do[AccessAnswer](o, "list-try", AccessTryInput{c.ask})
		var names []string
		for _, m := range a.Matches {
			names = append(names, m.Rule.Name)
			if (m.Rule.List == "block") != (len(m.Lifts) == 0) || m.Effect == "" {
				t.Errorf("%+v", m)
			}
		}
		if err != nil || strings.Join(names, " ") != c.names || !strings.Contains(a.Summary, c.summary) {
			t.Errorf("%+v: %q, %q, %v", c.ask, names, a.Summary, err)
		}
	}
	for _, bad := range []AccessQuestion{{}, {Client: "x"}, {From: "x"}, {To: []string{"x"}}} {
		if _, err := do[AccessAnswer](o, "list-try", AccessTryInput{bad}); !errors.Is(err, ErrInput) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// Every test that an allow rule lifts has words.
func TestEveryLiftableTestHasWords(t *testing.T) {
	t.Parallel()
	var all, named policy.Tests
	for _, k := range access.Kinds() {
		all |= policy.Skips(k)
	}
	for _, l := range liftable {
		named |= l.test
	}
	if all != named {
		t.Errorf("rules lift %b, named are %b", all, named)
	}
}

func TestBansByHandAreSetShownAndLifted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, bad := range []string{"127.0.0.1", "::/0", "away.test"} {
		if _, err := do[Ban](o, "ban-add", BanAddInput{NewBan{Host: bad}}); !errors.Is(err, ErrInput) || faultsOf(err)[0].Field != "host" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	past := time.Now().Add(-time.Second)
	if _, err := do[Ban](o, "ban-add", BanAddInput{NewBan{Host: "192.0.2.1", Until: &past}}); !errors.Is(err, ErrInput) {
		t.Errorf("a time that is over: %v", err)
	}
	b, err := do[Ban](o, "ban-add", BanAddInput{NewBan{Host: "192.0.2.77/24", Reason: "spam", Author: "ann"}})
	if err != nil || b.Host != "192.0.2.0/24" || b.Kind != "manual" || b.Author != "ann" || b.Until != nil || !b.InForce {
		t.Errorf("%+v, %v", b, err)
	}
	now := time.Now()
	for _, row := range []store.BanRow{
		{Host: b4("192.0.2.1"), Kind: store.BanFailures, Until: now.Add(time.Hour)},
		{Host: b4("192.0.2.1"), Kind: store.BanDay, Until: now.Add(-time.Hour)},
		{Host: b4("198.51.100.1"), Kind: store.BanDay, Until: now.Add(time.Hour)},
	} {
		if err := o.o.Store.Bans().Put(t.Context(), row, 0); err != nil {
			t.Fatal(err)
		}
	}
	list := func(in BanListInput) (all []string) {
		t.Helper()
		for {
			p, err := do[Page[Ban]](o, "ban-list", in)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range p.Items {
				all = append(all, b.Host+" "+b.Kind)
			}
			if in.After = p.Next; in.After == "" {
				return all
			}
		}
	}
	if got := list(BanListInput{Paging: Paging{Limit: 1}}); !slices.Equal(got, []string{"192.0.2.0/24 manual", "192.0.2.1 failures", "198.51.100.1 day"}) {
		t.Errorf("in force: %q", got)
	}
	if got := list(BanListInput{Kind: "day", Ended: true}); !slices.Equal(got, []string{"192.0.2.1 day", "198.51.100.1 day"}) {
		t.Errorf("day bans: %q", got)
	}
	if p, err := do[Page[Ban]](o, "ban-show", BanInput{"192.0.2.1"}); err != nil || len(p.Items) != 2 {
		t.Errorf("the bans of a host and its network: %+v, %v", p, err)
	}
	if _, err := do[None](o, "ban-lift", BanInput{"192.0.2.9"}); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "192.0.2.0/24") {
		t.Errorf("lifting a part of a network: %v", err)
	}
	if _, err := do[None](o, "ban-lift", BanInput{"192.0.2.1"}); err != nil {
		t.Error(err)
	}
	if _, err := do[BansLifted](o, "ban-lift-all", BanLiftAllInput{}); !errors.Is(err, ErrInput) {
		t.Errorf("everything, without confirming: %v", err)
	}
	if l, err := do[BansLifted](o, "ban-lift-all", BanLiftAllInput{Kind: "day"}); err != nil || l.Lifted != 1 {
		t.Errorf("day bans lifted: %+v, %v", l, err)
	}
	if got := list(BanListInput{Ended: true}); !slices.Equal(got, []string{"192.0.2.0/24 manual"}) {
		t.Errorf("left: %q", got)
	}
}

package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

func TestWhoGetsMailForAnAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.account(t, "root@ours.test", admin)
	h.account(t, "bob@ours.test robert@two.test a+b@ours.test")
	h.account(t, "eve@ours.test")
	h.account(t, "gone@ours.test", disabled)
	h.account(t, "x@off.test", func(n *NewAccount) { n.Addresses = addrs(t, "y@ours.test x@off.test") })
	h.alias(t, "sales@ours.test", "bob@ours.test eve+orders@ours.test out@far.test")
	h.alias(t, "one@ours.test", "bob@ours.test")
	h.alias(t, "team@ours.test", "sales@ours.test BOB@ours.test root@ours.test out@far.test nobody@ours.test x@off.test", group)
	h.alias(t, "loop1@ours.test", "loop2@ours.test")
	h.alias(t, "loop2@ours.test", "loop1@ours.test bob@ours.test")
	h.alias(t, "void1@ours.test", "void2@ours.test")
	h.alias(t, "void2@ours.test", "void1@ours.test")
	h.alias(t, "away@ours.test", "me@far.test")
	h.alias(t, "was@ours.test", "gone@ours.test")
	h.alias(t, "hand@ours.test", "u@relay.test")
	h.must(t, h.AddDomain(t.Context(), store.DomainRow{Name: "all.test", Separator: "+", CatchAll: addr(t, "eve@ours.test")}))
	h.account(t, "own@all.test")
	for in, want := range map[string]string{
		"bob@ours.test":                    "local bob@ours.test",
		"BOB@OURS.test":                    "local bob@ours.test",
		"bob+news@ours.test":               "local bob@ours.test[news]",
		"bob+a+b@ours.test":                "local bob@ours.test[a+b]",
		"a+b@ours.test":                    "local bob@ours.test",
		"robert-x@two.test":                "local bob@ours.test[x]",
		"robert+x@two.test":                "unknown",
		"robert@ours.test":                 "unknown",
		"+news@ours.test":                  "unknown",
		"sales@ours.test":                  "local >out@far.test bob@ours.test eve@ours.test[orders]",
		"sales+q@ours.test":                "local >out@far.test bob@ours.test[q] eve@ours.test[orders]",
		"team@ours.test":                   "local >out@far.test bob@ours.test eve@ours.test[orders] root@ours.test",
		"team+q@ours.test":                 "local >out@far.test bob@ours.test eve@ours.test[orders] root@ours.test",
		"loop1@ours.test":                  "local bob@ours.test",
		"void1@ours.test":                  "unknown",
		"away@ours.test":                   "local >me@far.test",
		"hand@ours.test":                   "local >u@relay.test",
		"gone@ours.test":                   "disabled",
		"was@ours.test":                    "disabled",
		"x@off.test":                       "domain disabled",
		"nobody@off.test":                  "domain disabled",
		"who@far.test":                     "elsewhere",
		"who@relay.test":                   "relay",
		"any@all.test":                     "local eve@ours.test",
		"any+d@all.test":                   "local eve@ours.test",
		"own+d@all.test":                   "local own@all.test[d]",
		"u@[192.0.2.1]":                    "elsewhere",
		"someone":                          "elsewhere",
		"":                                 "elsewhere",
		"postmaster":                       "local root@ours.test (system)",
		"PostMaster@ours.test":             "local root@ours.test (system)",
		"mailer-daemon@two.test":           "local root@ours.test (system)",
		"postmaster+x@ours.test":           "local root@ours.test (system)",
		"postmaster@all.test":              "local root@ours.test (system)",
		"postmaster@off.test":              "local root@ours.test (system)",
		"Postmaster@MX.host.test":          "local root@ours.test (system)",
		"bob@mx.host.test":                 "elsewhere",
		"mailer-daemon":                    "elsewhere",
		"postmaster@far.test":              "elsewhere",
		"|/bin/sh@ours.test":               "unknown",
		`"../../x"@ours.test`:              "unknown",
		`":include:/etc/passwd"@ours.test`: "unknown",
		"${run{id}}@ours.test":             "unknown",
		"bob%far.test@ours.test":           "unknown",
		`"bob@far.test"@ours.test`:         "unknown",
		`"bob'; DROP TABLE x"@ours.test`:   "unknown",
		"b_b@ours.test":                    "unknown",
	} {
		for range 2 { // from the store, then from the cache
			if got := h.where(t, in); got != want {
				t.Errorf("%s: %s, want %s", in, got, want)
			}
		}
	}
}

func TestAResolutionTellsHowItCameAbout(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob := h.account(t, "bob@ours.test")
	gone := h.account(t, "gone@ours.test", disabled)
	h.alias(t, "one@ours.test", "bob@ours.test nobody@ours.test", sendAs, func(a *store.AliasRow) { a.Title = "One" })
	h.alias(t, "two@ours.test", "bob@ours.test a@far.test")
	check := func(in string, want func(r Resolution) bool) {
		t.Helper()
		if r, err := h.Resolve(t.Context(), addr(t, in)); err != nil || !want(r) {
			t.Errorf("%s: %+v, %v", in, r, err)
		}
	}
	check("bob@ours.test", func(r Resolution) bool { return r.Account == bob && r.Alias == nil && r.Via == "" && r.Hosted() })
	check("gone@ours.test", func(r Resolution) bool { return r.Account == gone && len(r.Deliveries) == 0 })
	check("one@ours.test", func(r Resolution) bool {
		return r.Account == bob && r.Via == "one@ours.test" && r.Alias.SendAs && r.Alias.Title == "One" && len(r.Dangling) == 1
	})
	check("two@ours.test", func(r Resolution) bool { return r.Account == 0 && len(r.Deliveries) == 1 && len(r.Forwards) == 1 })
}

func TestPostmasterGoesWhereTheSettingsSay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if got := h.where(t, "postmaster@ours.test"); got != ErrNoPostmaster.Error() {
		t.Errorf("without anybody: %s", got)
	}
	h.account(t, "late@ours.test")
	root := h.account(t, "root@ours.test", admin)
	h.account(t, "second@ours.test", admin)
	h.settings.ExternalPostmaster = addrs(t, "noc@far.test")
	if r, err := h.Resolve(t.Context(), addr(t, "postmaster")); err != nil || r.Account != root || len(r.Copies) != 1 {
		t.Errorf("oldest administrator: %+v, %v", r, err)
	}
	for set, want := range map[string]string{
		"late@ours.test":       "local late@ours.test (system)",
		"ops@far.test":         "local >ops@far.test (system)",
		"nobody@ours.test":     "local root@ours.test (system)",
		"postmaster@ours.test": "local root@ours.test (system)",
	} {
		h.settings.Postmaster = addr(t, set)
		if got := h.where(t, "mailer-daemon@two.test"); got != want {
			t.Errorf("postmaster is %s: %s, want %s", set, got, want)
		}
	}
	h.settings.Postmaster = addr(t, "postmaster@ours.test")
	h.alias(t, "postmaster@ours.test", "late@ours.test")
	if got := h.where(t, "postmaster@ours.test"); got != "local late@ours.test" {
		t.Errorf("an address of its own: %s", got)
	}
	if got := h.where(t, "postmaster@two.test"); got != "local late@ours.test (system)" {
		t.Errorf("settings may name an alias: %s", got)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.account(t, "bob@ours.test")
	for i := range MaxNesting + 1 {
		h.alias(t, fmt.Sprintf("n%d@ours.test", i), fmt.Sprintf("n%d@ours.test", i+1))
	}
	h.alias(t, fmt.Sprintf("n%d@ours.test", MaxNesting+1), "bob@ours.test")
	if got := h.where(t, "n2@ours.test"); got != "local bob@ours.test" {
		t.Errorf("%d levels: %s", MaxNesting, got)
	}
	for range 2 {
		if _, err := h.Resolve(t.Context(), addr(t, "n0@ours.test")); !errors.Is(err, ErrExpansion) {
			t.Errorf("too deep: %v", err)
		}
	}
	var many []string
	for i := range MaxMembers / 2 {
		many = append(many, fmt.Sprintf("m%d@far.test", i))
	}
	h.alias(t, "big1@ours.test", strings.Join(many, " "), group)
	h.alias(t, "big2@ours.test", strings.Join(many, " "), group)
	h.alias(t, "both@ours.test", "big1@ours.test big2@ours.test", group)
	r, err := h.Resolve(t.Context(), addr(t, "big1@ours.test"))
	if err != nil || len(r.Forwards) != MaxMembers/2 {
		t.Errorf("big group: %d, %v", len(r.Forwards), err)
	}
	if _, err := h.Resolve(t.Context(), addr(t, "both@ours.test")); !errors.Is(err, ErrExpansion) {
		t.Errorf("too many: %v", err)
	}
}

func TestTheCacheAnswersUntilSomethingChanges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.account(t, "bob@ours.test")
	h.where(t, "bob@ours.test")
	before := h.rows.owners
	for range 100 {
		h.where(t, "bob@ours.test")
	}
	if h.rows.owners != before {
		t.Errorf("%d reads of the store for cached answers", h.rows.owners-before)
	}
	h.alias(t, "new@ours.test", "bob@ours.test")
	if got := h.where(t, "new@ours.test"); got != "local bob@ours.test" {
		t.Errorf("an own change is not seen: %s", got)
	}
	h.must(t, h.RemoveAlias(t.Context(), addr(t, "new@ours.test")))
	if got := h.where(t, "new@ours.test"); got != "unknown" {
		t.Errorf("a removal is not seen: %s", got)
	}
}

// remote hides the hints of the store, as a change by another node would.
type remote struct{ *counted }

func (remote) Changed() <-chan struct{} { return nil }

func TestChangesOfOtherNodesAreSeenWithinASecond(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.account(t, "bob@ours.test")
	synctest.Test(t, func(t *testing.T) {
		rows := &counted{Directory: fixed{version: new(int64), known: map[string]bool{}}}
		d := New(remote{rows}, h.o)
		ask := func() Kind {
			r, err := d.Resolve(t.Context(), addr(t, "bob@ours.test"))
			if err != nil {
				t.Fatal(err)
			}
			return r.Kind
		}
		if ask() != Unknown {
			t.Fatal("bob is there already")
		}
		f := rows.Directory.(fixed)
		*f.version, f.known["bob@ours.test"] = 1, true
		if ask() != Unknown {
			t.Error("asked the store each time")
		}
		time.Sleep(time.Second)
		if ask() != Local {
			t.Error("not seen after a second")
		}
		polls := rows.versions
		time.Sleep(time.Hour)
		if rows.versions != polls {
			t.Error("polled while nobody asked")
		}
		rows.fail = store.ErrUnavailable
		if _, err := d.Resolve(t.Context(), addr(t, "bob@ours.test")); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("answered from a cache of unknown age: %v", err)
		}
	})
}

// fixed is a store with one domain.
type fixed struct {
	store.Directory
	version *int64
	known   map[string]bool
}

func (f fixed) Version(context.Context) (int64, error) { return *f.version, nil }
func (f fixed) Domain(context.Context, string) (store.DomainRow, error) {
	return store.DomainRow{Name: "ours.test"}, nil
}
func (f fixed) Owner(_ context.Context, a mail.Address) (store.AddressOwner, error) {
	if f.known[a.Key()] {
		return store.AddressOwner{Account: 1}, nil
	}
	return store.AddressOwner{}, store.ErrNotFound
}

func TestTheCacheStaysBounded(t *testing.T) {
	t.Parallel()
	c := newCache(100)
	for i := range 10_000 {
		c.put(0, fmt.Sprint(i), entry{cost: 1 + i%7})
		if _, ok := c.get("0"); !ok {
			t.Fatalf("an entry in use was dropped after %d others", i)
		}
	}
	cost := 0
	for _, e := range c.young {
		cost += e.cost
	}
	for _, e := range c.old {
		cost += e.cost
	}
	if cost > 100 {
		t.Errorf("cost %d", cost)
	}
	c.put(0, "huge", entry{cost: 51})
	c.reset()
	c.put(0, "late", entry{cost: 1})
	if _, ok := c.get("0"); ok || len(c.young) != 0 {
		t.Error("outdated entries stay")
	}
}

// TestResolutionAgreesWithAModel expands random alias graphs.
func TestResolutionAgreesWithAModel(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := rand.New(rand.NewPCG(1, 2))
	const n = 6
	for i := range n {
		h.account(t, fmt.Sprintf("u%d@ours.test", i))
	}
	graph := map[string][]string{}
	for i := range 12 {
		name := fmt.Sprintf("a%d@ours.test", i)
		seen := map[string]bool{name: true}
		var targets []string
		for range 1 + r.IntN(4) {
			target := fmt.Sprintf("u%d@ours.test", r.IntN(n+1)) // u6 is nobody
			if r.IntN(2) == 0 {
				target = fmt.Sprintf("a%d@ours.test", r.IntN(12))
			}
			if !seen[target] {
				seen[target] = true
				targets = append(targets, target)
			}
		}
		if len(targets) == 0 {
			targets = []string{"far@far.test"}
		}
		graph[name] = targets
		h.alias(t, name, strings.Join(targets, " "))
	}
	for name := range graph {
		want := map[string]bool{}
		visited := map[string]bool{}
		var walk func(string)
		walk = func(a string) {
			if targets, ok := graph[a]; ok {
				if !visited[a] {
					visited[a] = true
					for _, x := range targets {
						walk(x)
					}
				}
			} else if a != "u6@ours.test" {
				want[a] = true
			}
		}
		walk(name)
		got, err := h.Resolve(t.Context(), addr(t, name))
		if errors.Is(err, ErrExpansion) {
			continue // a path of over MaxNesting aliases
		}
		if err != nil || len(got.Deliveries)+len(got.Forwards) != len(want) {
			t.Fatalf("%s: %+v, %v; want %v", name, got, err, want)
		}
		for _, d := range got.Deliveries {
			if !want[h.names[d.Account]] {
				t.Errorf("%s leads to %s", name, h.names[d.Account])
			}
		}
	}
}

func FuzzResolve(f *testing.F) {
	h := newHouse(f)
	h.account(f, "root@ours.test", admin)
	h.account(f, "bob@ours.test")
	for _, s := range []string{"bob", "bob+x", "|/bin/sh", "../../x", "a%b", "postmaster+", "+", "\x00", "ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, local string) {
		r, err := h.Resolve(t.Context(), mail.Address{Local: local, Domain: "ours.test"})
		if err != nil {
			t.Fatal(err)
		}
		folded := mail.FoldLocal(local)
		known := folded == "bob" || folded == "root" || strings.HasPrefix(folded, "bob+") || strings.HasPrefix(folded, "root+")
		if (r.Kind == Local) != (known || isSystemLocal(local, "+")) {
			t.Fatalf("%q is %s", local, r.Kind)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	h := newHouse(b)
	h.account(b, "bob@ours.test")
	a := mail.Address{Local: "bob", Domain: "ours.test"}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := h.Resolve(b.Context(), a); err != nil || r.Kind != Local {
				b.Error(r, err)
			}
		}
	})
}

func TestACatchAllWhoseAddressWentRefusesUnknownNames(t *testing.T) {
	h := newHouse(t)
	id, err := h.AddAccount(t.Context(), NewAccount{AccountRow: store.AccountRow{Addresses: []mail.Address{addr(t, "kept@ours.test")}}})
	h.must(t, err)
	other, err := h.AddAccount(t.Context(), NewAccount{AccountRow: store.AccountRow{Addresses: []mail.Address{addr(t, "catch@ours.test")}}})
	h.must(t, err)
	catch := func(text string) error {
		return h.ChangeDomain(t.Context(), "ours.test", func(d *store.DomainRow) error {
			d.CatchAll = addr(t, text)
			return nil
		})
	}
	h.must(t, catch("catch@ours.test"))
	if err := catch("nobody@ours.test"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a catch-all that only the catch-all gets was taken: %v", err)
	}
	h.must(t, h.RemoveAccount(t.Context(), other))
	r, err := h.Resolve(t.Context(), addr(t, "anybody@ours.test"))
	if err != nil || r.Kind != Unknown || !r.CatchAll {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := h.Resolve(t.Context(), addr(t, "kept@ours.test")); err != nil || r.Account != id {
		t.Errorf("%+v, %v", r, err)
	}
}

package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/seal"
	"posthorn/internal/state/store"
)

// sealing gives the office a key.
func (o *office) sealing() *seal.Box {
	o.t.Helper()
	box, err := seal.OpenOrCreate(filepath.Join(o.t.TempDir(), "secret.key"), true)
	if err != nil {
		o.t.Fatal(err)
	}
	o.o.Seal = box.Seal
	return box
}

// does runs an operation on JSON and returns its answer.
func (o *office) does(id, input string) (string, error) {
	o.t.Helper()
	out, err := o.Call(o.t.Context(), id, []byte(input))
	return string(out), err
}

func (o *office) must(id, input string) string {
	o.t.Helper()
	out, err := o.does(id, input)
	if err != nil {
		o.t.Fatalf("%s %s: %v", id, input, err)
	}
	return out
}

func (o *office) rules() []store.RelayRule {
	o.t.Helper()
	rules, err := o.o.Store.Directory().RelayRules(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return rules
}

func TestPasswordsOfRulesAreSealedAndNeverShown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const add = `{"Body":{"name":"Partner","targets":["far.test"],"hosts":["smart.test"],"port":587,"user":"me","password":"hunter2"}}`
	if _, err := o.does("relay-add", add); err == nil || !strings.Contains(err.Error(), "password") {
		t.Fatalf("kept without a key: %v", err)
	}
	box := o.sealing()
	o.must("relay-add", add)
	stored := o.rules()[0].Host.Password
	if plain, err := box.Open(RelaySecret("PARTNER"), stored); err != nil || string(plain) != "hunter2" {
		t.Fatalf("stored %q: %q, %v", stored, plain, err)
	}
	file := o.must("relay-export", `{}`)
	for _, answer := range []string{file, o.must("relay-show", `{"name":"partner"}`), o.must("relay-list", `{}`)} {
		if strings.Contains(answer, "hunter2") || strings.Contains(answer, "sealed") {
			t.Errorf("the password is in %s", answer)
		}
	}
	// An import keeps the password of the same user, and demands one of another.
	body := strings.TrimSuffix(file, "}")
	o.must("relay-import", `{"Body":`+body+`,"replace":true}}`)
	if got := o.rules(); len(got) != 1 || got[0].Host.Password != stored || got[0].Created.IsZero() {
		t.Errorf("after an import: %+v", got)
	}
	other := strings.Replace(body, `"user":"me"`, `"user":"you"`, 1)
	if _, err := o.does("relay-import", `{"Body":`+other+`}}`); err == nil || !strings.Contains(err.Error(), "Partner") || !strings.Contains(err.Error(), "password") {
		t.Errorf("another user without a password: %v", err)
	}
	o.must("relay-set", `{"name":"partner","Body":{"user":""}}`)
	if r := o.rules()[0]; r.Host.Password != "" || r.Host.User != "" {
		t.Errorf("without a user: %+v", r)
	}
}

func TestRulesStandInTheOrderWanted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	order := func() string {
		var names []string
		for _, r := range o.rules() {
			names = append(names, r.Name)
		}
		return strings.Join(names, " ")
	}
	for i, c := range []struct{ id, input, want string }{
		{"relay-add", `{"Body":{"name":"a","targets":["a.test"],"hosts":[]}}`, "a"},
		{"relay-add", `{"Body":{"name":"b","targets":["b.test"]}}`, "a b"},
		{"relay-add", `{"Body":{"name":"c","targets":["c.test"],"position":1}}`, "c a b"},
		{"relay-set", `{"name":"C","Body":{"position":2}}`, "a c b"},
		{"relay-set", `{"name":"a","Body":{"position":99}}`, "c b a"},
		{"relay-import", `{"Body":{"rules":[{"name":"d","targets":["d.test"]},{"name":"B","targets":["bb.test"]}]}}`, "c B a d"},
		{"relay-import", `{"Body":{"rules":[{"name":"d","targets":["d.test"]},{"name":"a","targets":["a.test"]}],"replace":true}}`, "d a"},
		{"relay-remove", `{"name":"D"}`, "a"},
	} {
		o.must(c.id, c.input)
		if got := order(); got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
	for i := range 5 {
		name := string(rune('p' + i))
		o.must("relay-add", `{"Body":{"name":"`+name+`","targets":["X@`+name+`.Test"]}}`)
	}
	var names []string
	for after := ""; ; {
		var p Page[RelayRule]
		if err := json.Unmarshal([]byte(o.must("relay-list", `{"after":"`+after+`","limit":4}`)), &p); err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Items {
			if names = append(names, r.Name); r.Position != len(names) {
				t.Errorf("%s at %d", r.Name, r.Position)
			}
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if strings.Join(names, "") != "apqrst" {
		t.Errorf("pages %v", names)
	}
	if got := o.rules()[1].Targets[0]; got != "x@p.test" {
		t.Errorf("target %s", got)
	}
}

func TestRulesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must("relay-add", `{"Body":{"name":"there","targets":["a.test"]}}`)
	o.must("relay-domain-add", `{"Body":{"name":"branch","domain":"branch.test"}}`)
	for _, c := range []struct {
		id, input string
		kind      error
		want      string
	}{
		{"relay-add", `{"Body":{"name":"x"}}`, ErrInput, "targets: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a b"]}}`, ErrInput, "targets: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a.test"],"kind":"both"}}`, ErrInput, "kind: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a.test"],"hosts":["a b"]}}`, ErrInput, "hosts: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a.test"],"hosts":["h.test"],"port":70000}}`, ErrInput, "port: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a.test"],"hosts":["h.test"],"fingerprint":"ab"}}`, ErrInput, "fingerprint: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a.test"],"hosts":["h.test"],"user":"me"}}`, ErrInput, "password: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a.test"],"user":"me"}}`, ErrInput, "hosts: "},
		{"relay-add", `{"Body":{"name":"x","targets":["a.test"],"hosts":["h.test"],"password":"p"}}`, ErrInput, "give a user"},
		{"relay-add", `{"Body":{"name":"a/b","targets":["a.test"]}}`, store.ErrInvalid, "rule name"},
		{"relay-add", `{"Body":{"name":"THERE","targets":["a.test"]}}`, store.ErrExists, "posthorn relay set"},
		{"relay-set", `{"name":"there","Body":{}}`, ErrInput, "nothing to change"},
		{"relay-set", `{"name":"gone","Body":{"disabled":true}}`, store.ErrNotFound, "posthorn relay list"},
		{"relay-show", `{"name":"gone"}`, store.ErrNotFound, "gone"},
		{"relay-remove", `{"name":"gone"}`, store.ErrNotFound, "gone"},
		{"relay-import", `{"Body":{"rules":[{"name":"x","targets":["a.test"]},{"name":"X","targets":["b.test"]}]}}`, ErrInput, "twice"},
		{"relay-import", `{"Body":{"rules":[]}}`, ErrInput, "there is none"},
		{"relay-import", `{"Body":{"rules":[],"replace":true}}`, ErrInput, "there is none"},
		{"relay-domain-add", `{"Body":{"name":"x","domain":"a b"}}`, ErrInput, "domain: "},
		{"relay-domain-add", `{"Body":{"name":"x","domain":"x.test","recipients":"some"}}`, ErrInput, "recipients: "},
		{"relay-domain-add", `{"Body":{"name":"x","domain":"x.test","add_recipients":["a@y.test"]}}`, store.ErrInvalid, "not in x.test"},
		{"relay-domain-add", `{"Body":{"name":"x","domain":"x.test","hosts":["a b"]}}`, ErrInput, "hosts: "},
		{"relay-domain-set", `{"name":"branch","Body":{}}`, ErrInput, "nothing to change"},
		{"relay-domain-set", `{"name":"gone","Body":{"disabled":true}}`, store.ErrNotFound, "gone"},
		{"relay-domain-show", `{"name":"gone"}`, store.ErrNotFound, "gone"},
		{"relay-domain-recipients", `{"name":"gone"}`, store.ErrNotFound, "gone"},
		{"domain-add", `{"Body":{"name":"branch.test"}}`, store.ErrInvalid, "remove the rule first"},
	} {
		if _, err := o.does(c.id, c.input); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.id, c.input, err)
		}
	}
	if len(o.rules()) != 1 {
		t.Errorf("rules %+v", o.rules())
	}
	if rows, err := o.o.Directory.RelayDomains(t.Context()); err != nil || len(rows) != 1 {
		t.Errorf("a refused relay domain stayed: %+v, %v", rows, err)
	}
}

func TestRelayDomainsWarnOfBackscatter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if got := o.must("relay-domain-add", `{"Body":{"name":"all","domain":"All.test","hosts":["MX.All.test"]}}`); !strings.Contains(got, backscatter) || !strings.Contains(got, `"domain":"all.test"`) ||
		!strings.Contains(got, `"hosts":["mx.all.test"],"port":25`) {
		t.Error(got)
	}
	if got := o.must("relay-domain-add", `{"Body":{"name":"few","domain":"few.test","add_recipients":["A@few.test","b@few.test"]}}`); strings.Contains(got, "warning") || !strings.Contains(got, `"recipients":"listed"`) {
		t.Error(got)
	}
	if got := o.must("relay-domain-recipients", `{"name":"FEW","limit":1}`); got != `{"items":["A@few.test"],"next":"A@few.test"}` {
		t.Error(got)
	}
	o.must("relay-domain-set", `{"name":"few","Body":{"add_recipients":["c@few.test"],"drop_recipients":["a@few.test"]}}`)
	if got := o.must("relay-domain-recipients", `{"name":"few"}`); got != `{"items":["b@few.test","c@few.test"]}` {
		t.Error(got)
	}
	d, err := o.o.Directory.RelayDomain(t.Context(), "few")
	if err != nil || d.Disabled || !d.Listed {
		t.Errorf("%+v, %v", d, err)
	}
	o.must("relay-domain-set", `{"name":"few","Body":{"recipients":"all"}}`)
	if got := o.must("relay-domain-list", `{"limit":1}`); !strings.Contains(got, `"next":"all.test"`) {
		t.Error(got)
	}
	if got := o.must("relay-domain-show", `{"name":"few"}`); !strings.Contains(got, backscatter) {
		t.Error(got)
	}
}

func TestForwardingOfAccountsAndDomains(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must("domain-add", `{"Body":{"name":"ours.test","forwarding":"no"}}`)
	o.must("account-add", `{"Body":{"addresses":["bob@ours.test"],"forward":["Bob@far.test"],"keep_copy":false}}`)
	for _, c := range []struct{ id, input, show string }{
		{"", "", `"forward":["Bob@far.test"],"keep_copy":false,"forwarding":"inherit","may_forward":false`},
		{"account-set", `{"address":"bob@ours.test","Body":{"forwarding":"yes"}}`, `"forwarding":"yes","may_forward":true`},
		{"account-set", `{"address":"bob@ours.test","Body":{"forwarding":"no","keep_copy":true}}`, `"keep_copy":true,"forwarding":"no","may_forward":false`},
		{"account-set", `{"address":"bob@ours.test","Body":{"forwarding":"inherit"}}`, `"may_forward":false`},
		{"domain-set", `{"name":"ours.test","Body":{"forwarding":"inherit"}}`, `"may_forward":true`},
		{"account-set", `{"address":"bob@ours.test","Body":{"keep_copy":false}}`, `"keep_copy":false`},
		{"account-set", `{"address":"bob@ours.test","Body":{"forward":[]}}`, `"forward":[],"keep_copy":true`},
	} {
		if c.id != "" {
			o.must(c.id, c.input)
		}
		if got := o.must("account-show", `{"address":"bob@ours.test"}`); !strings.Contains(got, c.show) {
			t.Errorf("%s: %s, want %s", c.input, got, c.show)
		}
	}
	for input, want := range map[string]string{
		`{"keep_copy":false}`: "keep_copy: ", `{"forwarding":"perhaps"}`: "forwarding: ", `{"forward":["x y"]}`: "forward: ", `{"forward":["BOB@ours.test"]}`: "own address",
	} {
		if _, err := o.does("account-set", `{"address":"bob@ours.test","Body":`+input+`}`); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}

func TestWhatWaitedForADisabledRelayDomainIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, c := range []struct{ id, input string }{
		{"relay-domain-set", `{"name":"MAIN","Body":{"disabled":false}}`},
		{"relay-domain-remove", `{"name":"main"}`},
	} {
		if c.id == "relay-domain-set" {
			o.must("relay-domain-add", `{"Body":{"name":"Main","domain":".main.test"}}`)
		}
		o.must("relay-domain-set", `{"name":"main","Body":{"disabled":true}}`)
		waits := o.queued(func(m *store.QueueMessage) { m.Recipients[0].Route = "relay domain Main (disabled)" }, "x@a.main.test")
		other := o.queued(nil, "x@far.test")
		o.must("relay-domain-set", `{"name":"main","Body":{"hosts":["mx.main.test"]}}`) // still disabled
		if o.due(waits) {
			t.Error("tried while the domain is disabled")
		}
		o.must(c.id, c.input)
		if !o.due(waits) || o.due(other) {
			t.Errorf("%s: due %v, the other %v", c.id, o.due(waits), o.due(other))
		}
	}
}

// While its list is made a new relay domain is disabled, and mail of users here
// comes to wait for it.
func TestWhatWaitedForANewRelayDomainsListIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	waits := o.queued(func(m *store.QueueMessage) { m.Recipients[0].Route = "relay domain few (disabled)" }, "a@few.test")
	o.must("relay-domain-add", `{"Body":{"name":"off","domain":"off.test","disabled":true,"add_recipients":["a@off.test"]}}`)
	if o.due(waits) {
		t.Error("tried before its domain was there")
	}
	o.must("relay-domain-add", `{"Body":{"name":"few","domain":"few.test","add_recipients":["a@few.test"]}}`)
	if !o.due(waits) {
		t.Error("it still waits")
	}
}

// due reports a queued message that is tried now.
func (o *office) due(id ident.ID) bool {
	o.t.Helper()
	e, err := o.o.Store.Queue().Get(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return !e.Due.After(time.Now())
}

// Two administrators change different things of one relay domain at the same
// time; each change holds.
func TestTwoChangesOfARelayDomainBothHold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must("relay-domain-add", `{"Body":{"name":"main","domain":"main.test"}}`)
	for round := range 20 {
		host, off := fmt.Sprintf("mx%d.test", round), round%2 == 0
		var together sync.WaitGroup
		for _, change := range []string{`"hosts":["` + host + `"]`, fmt.Sprintf(`"disabled":%v`, off)} {
			together.Go(func() {
				if _, err := o.does("relay-domain-set", `{"name":"main","Body":{`+change+`}}`); err != nil {
					t.Error(err)
				}
			})
		}
		together.Wait()
		d, err := o.o.Directory.RelayDomain(t.Context(), "main")
		if err != nil || d.Next.Hosts[0] != host || d.Disabled != off {
			t.Fatalf("round %d: %+v, %v", round, d, err)
		}
	}
}

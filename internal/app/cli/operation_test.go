package cli

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/server/api"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
)

const relayedApart = "relay is about rules, relay domain about domains"

// named are the operations whose command has another name, with the reason.
var named = map[string]struct{ command, because string }{
	"setting-change":          {"setting set", "people set a value; a program changes several at once"},
	"queue-retry-many":        {"queue retry", "one command acts on a message or on all that are selected"},
	"queue-hold-many":         {"queue hold", "one command acts on a message or on all that are selected"},
	"queue-release-many":      {"queue release", "one command acts on a message or on all that are selected"},
	"queue-remove-many":       {"queue remove", "one command acts on a message or on all that are selected"},
	"dns-host":                {"dns check", "one command looks up this server, or the domain it is given"},
	"relay-domain-list":       {"relay domain list", relayedApart},
	"relay-domain-add":        {"relay domain add", relayedApart},
	"relay-domain-show":       {"relay domain show", relayedApart},
	"relay-domain-set":        {"relay domain set", relayedApart},
	"relay-domain-remove":     {"relay domain remove", relayedApart},
	"relay-domain-recipients": {"relay domain recipients", relayedApart},
	"dns-domain":              {"dns check", "one command looks up this server, or the domain it is given"},
}

// Whoever can do something by the API can do it at the prompt.
func TestEveryOperationHasACommand(t *testing.T) {
	t.Parallel()
	var r root
	parser, err := kong.New(&r, kong.Name("posthorn"), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range manage.Operations() {
		command := strings.Replace(op.ID, "-", " ", 1)
		if n, ok := named[op.ID]; ok {
			command = n.command
		}
		node := parser.Model.Node
		for word := range strings.FieldsSeq(command) {
			var next *kong.Node
			for _, child := range node.Children {
				if child.Name == word {
					next = child
				}
			}
			if node = next; node == nil {
				t.Errorf("the operation %s has no command posthorn %s; write it, or say in named what it is called", op.ID, command)
				break
			}
		}
	}
	for id := range named {
		if !isOperation(id) {
			t.Errorf("named has %s, which is no operation", id)
		}
	}
}

func isOperation(id string) bool {
	for _, op := range manage.Operations() {
		if op.ID == id {
			return true
		}
	}
	return false
}

// use is how one operation is called in a house that has what newBench made.
// MESSAGE stands for a waiting message of the case's own, TRIAL for the version
// of a change on trial.
type use struct {
	id string
	// path and body of a good request; command is the same by the prompt, in
	// the same house, afterwards. Both must succeed.
	path, body string
	command    string
}

// uses has every operation, in an order in which each finds what it needs.
var uses = append([]use{
	{"domain-list", "/domains", "", "domain list"},
	{"domain-add", "/domains", `{"name":"new.test"}`, "domain add newer.test"},
	{"domain-show", "/domains/new.test", "", "domain show new.test"},
	{"domain-set", "/domains/new.test", `{"disabled":true}`, "domain set new.test --no-disabled"},
	{"domain-remove", "/domains/new.test", "", "domain remove newer.test"},
	{"account-list", "/accounts?limit=1", "", "account list"},
	{"account-add", "/accounts", `{"addresses":["a@ours.test"],"quota_bytes":"10GB"}`, "account add b@ours.test"},
	{"account-show", "/accounts/a@ours.test", "", "account show b@ours.test"},
	{"account-set", "/accounts/a@ours.test", `{"full_name":"Ann","quota_bytes":1048576}`, "account set b@ours.test --name Bob"},
	{"alias-list", "/aliases", "", "alias list"},
	{"alias-add", "/aliases", `{"address":"info@ours.test","targets":["a@ours.test"]}`, "alias add help@ours.test a@ours.test"},
	{"alias-show", "/aliases/info@ours.test", "", "alias show help@ours.test"},
	{"alias-set", "/aliases/info@ours.test", `{"add":["b@ours.test"]}`, "alias set help@ours.test --add b@ours.test"},
	{"alias-remove", "/aliases/info@ours.test", "", "alias remove help@ours.test"},
	{"group-list", "/groups", "", "group list"},
	{"group-add", "/groups", `{"address":"team@ours.test","targets":["a@ours.test"],"send_as":true}`, "group add crew@ours.test a@ours.test"},
	{"group-show", "/groups/team@ours.test", "", "group show crew@ours.test"},
	{"group-set", "/groups/team@ours.test", `{"title":"The team"}`, "group set crew@ours.test --title Crew"},
	{"group-remove", "/groups/team@ours.test", "", "group remove crew@ours.test"},
	{"relay-list", "/relay/rules?limit=1", "", "relay list"},
	{"relay-add", "/relay/rules", `{"name":"partners","targets":["far.test",".far.test"],"hosts":["smart.else.test"],"port":587}`, "relay add bulk --from news@ours.test --direct"},
	{"relay-show", "/relay/rules/partners", "", "relay show BULK"},
	{"relay-set", "/relay/rules/partners", `{"secure":true,"position":2}`, "relay set bulk --host 192.0.2.25 --disabled"},
	{"relay-try", "/relay/try?sender=a@ours.test&recipient=x@far.test", "", "relay try --from a@ours.test --to x@far.test"},
	{"relay-export", "/relay/rules-file", "", "relay export"},
	{"relay-import", "/relay/rules-file", `{"rules":[{"name":"more","kind":"sender","targets":["shop.test"],"hosts":["192.0.2.26"]}]}`, "relay import testdata/rules.json"},
	{"relay-remove", "/relay/rules/partners", "", "relay remove bulk"},
	{"relay-domain-list", "/relay/domains", "", "relay domain list"},
	{"relay-domain-add", "/relay/domains", `{"name":"branch","domain":"branch.test","hosts":["10.0.0.5"],"add_recipients":["ann@branch.test"]}`, "relay domain add office .office.test"},
	{"relay-domain-show", "/relay/domains/branch", "", "relay domain show office"},
	{"relay-domain-set", "/relay/domains/branch", `{"recipients":"all","drop_recipients":["ann@branch.test"]}`, "relay domain set office --recipient ann@x.office.test --host 10.0.0.6"},
	{"relay-domain-recipients", "/relay/domains/branch/recipients", "", "relay domain recipients office"},
	{"relay-domain-remove", "/relay/domains/branch", "", "relay domain remove office"},
	{"account-remove", "/accounts/a@ours.test", "", "account remove b@ours.test --yes"},
	{"setting-list", "/settings?match=banner", "", "setting list banner"},
	{"setting-explain", "/settings/smtp.banner", "", "setting explain smtp.banner"},
	{"setting-change", "/settings", `{"set":{"smtp.banner":"one"},"base":0}`, "setting set smtp.banner=two"},
	{"setting-export", "/settings-file", "", "setting export"},
	{"setting-apply", "/settings-file", `{"file":"","dry_run":true,"replace":true}`, "setting apply --profile trial --dry-run"},
	{"setting-history", "/settings-history?limit=1", "", "setting history"},
	{"setting-undo", "/settings-history/2/undo", "", "setting undo 1"},
	{"setting-confirm", "/settings-history/TRIAL/confirm", "", "setting confirm TRIAL"},
	{"queue-list", "/queue?state=queued", "", "queue list"},
	{"queue-show", "/queue/MESSAGE", "", "queue show MESSAGE"},
	{"queue-retry", "/queue/MESSAGE/retry", "", "queue retry MESSAGE"},
	{"queue-hold", "/queue/MESSAGE/hold", "", "queue hold MESSAGE"},
	{"queue-release", "/queue/MESSAGE/release", "", "queue release MESSAGE"},
	{"queue-redirect", "/queue/MESSAGE/redirect", `{"to":"c@else.test"}`, "queue redirect MESSAGE d@else.test"},
	{"queue-remove", "/queue/MESSAGE", "", "queue remove MESSAGE --yes"},
	{"queue-hold-many", "/queue/hold?recipient=else.test", "", "queue hold --to else.test"},
	{"queue-release-many", "/queue/release?state=held", "", "queue release --state held"},
	{"queue-retry-many", "/queue/retry?recipient=else.test", "", "queue retry --to else.test"},
	{"queue-remove-many", "/queue?recipient=else.test&confirm=true", "", "queue remove --to else.test --yes"},
	{"policy-list", "/policies", "", "policy list"},
	{"policy-try", "/policies/try", `{"client":"192.0.2.1","from":"x@else.test","to":["admin@ours.test"],"size":"1MB"}`, "policy try --client 192.0.2.1 --rcpt admin@ours.test"},
	{"policy-replay", "/policies/replay", `{"since":"7d","set":{"policy.size.inbound":"1MB"},"add":["block ip 192.0.2.1"]}`, "policy replay --since yesterday --zone=-05:00 --set policy.size.inbound=1MB --set policy.hops.inbound="},
	{"policy-scanners", "/policies/scanners", "", "policy scanners"},
	{"list-list", "/lists?list=allow&kind=ip&search=x", "", "list list --block x"},
	{"list-add", "/lists", `{"name":"one","list":"allow","kind":"sender","value":"eve@else.test","expires":"2099-01-01T00:00:00Z"}`, "list add two --block --network 198.51.100.0/24 --discard --expires 30d"},
	{"list-show", "/lists/one", "", "list show two"},
	{"list-set", "/lists/one", `{"reason":"because","forever":true}`, "list set two --disabled --no-discard"},
	{"list-try", "/lists-try", `{"client":"192.0.2.1","from":"eve@else.test","to":["admin@ours.test"]}`, "list try --client 198.51.100.7 --from eve@else.test --to admin@ours.test"},
	{"list-remove", "/lists/one", "", "list remove two"},
	{"list-export", "/lists-file", "", "list export"},
	{"list-import", "/lists-file", `{"file":"block ip 192.0.2.66\nallow domain .else.test"}`, "list import --dry-run RULES"},
	{"ban-list", "/bans?kind=manual&ended=true", "", "ban list --kind day"},
	{"ban-add", "/bans", `{"host":"192.0.2.7","reason":"spam","until":"2099-01-01T00:00:00Z"}`, "ban add 2001:db8::7 --for 7d --reason spam"},
	{"ban-show", "/bans/192.0.2.7", "", "ban show 2001:db8::8"},
	{"ban-lift", "/bans/192.0.2.7", "", "ban lift 2001:db8::7"},
	{"ban-lift-all", "/bans?kind=day", "", "ban lift-all --yes"},
	{"greylist-list", "/greylist?confirmed=yes&sort=last", "", "greylist list --waiting"},
	{"greylist-confirm", "/greylist/192.0.2.8/confirm", "", "greylist confirm 2001:db8::8"},
	{"greylist-show", "/greylist/192.0.2.8", "", "greylist show 2001:db8::8"},
	{"greylist-except", "/greylist/192.0.2.8/except", "", "greylist except 2001:db8::8"},
	{"greylist-remove", "/greylist/192.0.2.8", "", "greylist remove 2001:db8::8"},
	{"greylist-reset", "/greylist?confirm=true", "", "greylist reset --yes"},
	{"trace", "/trace?since=1h", "", "trace --since 1h"},
	{"status", "/status", "", "status"},
	{"dns-host", "/dns/host", "", "dns check"},
	{"dns-domain", "/dns/domain/ours.test", "", "dns check ours.test"},
	{"token-list", "/tokens", "", "token list"},
	{"token-add", "/tokens", `{"name":"one","role":"reader","networks":["192.0.2.0/24"],"expires":"2099-01-01T00:00:00Z"}`, "token add two --role operator --expires 90d"},
	{"token-show", "/tokens/one", "", "token show two"},
	{"token-remove", "/tokens/one", "", "token remove two"},
}, heldUses...)

func useOf(id string) (use, bool) {
	for _, u := range uses {
		if u.id == id {
			return u, true
		}
	}
	return use{}, false
}

// bench is a house with its API and its control socket.
type bench struct {
	t     *testing.T
	h     *app.House
	web   http.Handler
	token map[manage.Role]string
	dir   string
}

// trusting lets everybody try; what is wrong costs nothing.
type trusting struct{ api.Guard }

func (trusting) Bearer(_ context.Context, verify func() error) error { return verify() }
func (trusting) Penalty() (time.Duration, bool)                      { return 0, false }
func anybody(netip.Addr, string, *event.Logger) api.Guard            { return trusting{} }

func newBench(t *testing.T) *bench {
	t.Helper()
	names := authority.New(t, "ours.test. 60 IN MX 10 mx.ours.test.\nmx.ours.test. 60 IN A 192.0.2.1\n")
	b := &bench{t: t, dir: t.TempDir(), token: map[manage.Role]string{}}
	var err error
	if b.h, err = app.Open(t.Context(), boot.Config{Data: b.dir, DNS: boot.DNS{Preferred: names.Listen("127.0.0.1:0")}}, app.OpenOptions{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	control, err := manage.OpenControl(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var socket sync.WaitGroup
	socket.Go(func() {
		if err := b.h.Service.ServeControl(ctx, control); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		socket.Wait()
		if err := b.h.Close(); err != nil {
			t.Error(err)
		}
	})
	b.web = api.New(api.Deps{Service: b.h.Service, Guard: anybody})
	for _, role := range manage.Roles() {
		b.token[role] = invoke[manage.NewToken](b, "token-add", manage.TokenAddInput{Body: manage.TokenWish{Name: "the-" + string(role), Role: string(role)}}).Secret
	}
	invoke[manage.None](b, "domain-add", manage.DomainAddInput{Body: manage.NewDomain{Name: "ours.test"}})
	admin := true
	invoke[manage.Account](b, "account-add", manage.AccountAddInput{Body: manage.AccountChange{Addresses: []string{"admin@ours.test"}, Admin: &admin}})
	return b
}

func invoke[O any](b *bench, id string, in any) O {
	b.t.Helper()
	out, err := manage.Invoke[O](b.t.Context(), b.h.Service, id, in)
	if err != nil {
		b.t.Fatalf("%s: %v", id, err)
	}
	return out
}

// message puts a message for elsewhere into the queue, where nobody works.
func (b *bench) message() string {
	b.t.Helper()
	body, err := b.h.Store.NewDraft(b.t.Context(), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer body.Discard()
	if _, err := body.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		b.t.Fatal(err)
	}
	id, now := ident.NewSource().New(), time.Now()
	_, err = b.h.Store.Accept(b.t.Context(), &store.Acceptance{Key: id, Time: now, Body: body, Queue: &store.QueueMessage{ID: id, Accepted: now, Expires: now.Add(time.Hour),
		Recipients: []store.QueueRecipient{{Address: mail.Address{Local: "b", Domain: "else.test"}, NextTry: now}}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return id.String()
}

// call sends a request as a role and returns the status and the answer.
func (b *bench) call(role manage.Role, method, path, body string) (int, string) {
	b.t.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequestWithContext(b.t.Context(), method, "/api/v1"+path, http.NoBody)
	} else {
		r = httptest.NewRequestWithContext(b.t.Context(), method, "/api/v1"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	r.RemoteAddr = "127.0.0.1:1"
	if role != "" {
		r.Header.Set("Authorization", "Bearer "+b.token[role])
	}
	w := httptest.NewRecorder()
	b.web.ServeHTTP(w, r)
	if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
		b.t.Errorf("%s %s: an error as %s", method, path, w.Header().Get("Content-Type"))
	}
	return w.Code, w.Body.String()
}

// prompt runs a command on the bench's data folder.
func (b *bench) prompt(line string) (int, string) {
	return b.say("", line)
}

// Every operation is called once well by each door, and once badly: an unknown
// field, or parameter, is refused by its name.
func TestEveryOperationByEachDoor(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, u := range uses {
		known[u.id] = true
	}
	operations := map[string]manage.Operation{}
	for _, op := range manage.Operations() {
		if operations[op.ID] = op; !known[op.ID] {
			t.Errorf("%s is called by no test: add it to uses", op.ID)
		}
	}
	b := newBench(t)
	for _, u := range uses {
		op, ok := operations[u.id]
		if !ok {
			t.Errorf("uses has %s, which is no operation", u.id)
			continue
		}
		path := b.fill(u.path)
		b.refusesUnknown(op, path, u.body)
		code, answer := b.call(manage.Administrator, op.Method, path, u.body)
		if code != http.StatusOK && code != http.StatusCreated {
			t.Errorf("%s %s %s: %d %s", op.Method, path, u.body, code, answer)
		}
		if (code == http.StatusCreated) != strings.HasSuffix(op.ID, "-add") {
			t.Errorf("%s: %d", op.ID, code)
		}
		if code, said := b.prompt(b.fill(u.command)); code != 0 {
			t.Errorf("posthorn %s: exit %d: %s", u.command, code, said)
		}
	}
}

// fill puts a message, a change on trial, or a file of rules of its own into a
// case.
func (b *bench) fill(text string) string {
	text = b.fillHeld(text)
	if strings.Contains(text, "RULES") {
		file := filepath.Join(b.t.TempDir(), "rules")
		if err := os.WriteFile(file, []byte("block ip 192.0.2.67 # from a list\n"), 0o600); err != nil {
			b.t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "RULES", file)
	}
	if strings.Contains(text, "MESSAGE") {
		text = strings.ReplaceAll(text, "MESSAGE", b.message())
	}
	if strings.Contains(text, "TRIAL") {
		in := manage.SettingChangeInput{Body: manage.SettingChange{Set: map[string]string{"smtp.banner": text}, SettingSaving: manage.SettingSaving{Trial: "1h"}}}
		text = strings.ReplaceAll(text, "TRIAL", fmt.Sprint(invoke[manage.SettingOutcome](b, "setting-change", in).Version))
	}
	return text
}

// refusesUnknown sends what the operation does not know.
func (b *bench) refusesUnknown(op manage.Operation, path, body string) {
	b.t.Helper()
	const stranger = "no_such_field"
	query := "?"
	if strings.Contains(path, "?") {
		query = "&"
	}
	bad := map[string]string{path + query + stranger + "=1": body}
	if body != "" {
		var fields map[string]any
		if err := json.Unmarshal([]byte(body), &fields); err != nil {
			b.t.Fatal(err)
		}
		fields[stranger] = 1
		text, err := json.Marshal(fields)
		if err != nil {
			b.t.Fatal(err)
		}
		bad[path] = string(text)
	}
	for path, body := range bad {
		code, answer := b.call(manage.Administrator, op.Method, path, body)
		var problem struct {
			Detail string `json:"detail"`
			Errors []struct{ Message, Location string }
		}
		err := json.Unmarshal([]byte(answer), &problem)
		if code != http.StatusUnprocessableEntity || err != nil || !strings.Contains(problem.Detail, stranger) ||
			len(problem.Errors) != 1 || !strings.HasSuffix(problem.Errors[0].Location, "."+stranger) {
			b.t.Errorf("%s %s %s: %d %s", op.Method, path, body, code, answer)
		}
	}
}

// The table of roles: every operation lets in the roles it declares and those
// above, and nobody else. What lets somebody in must not have done anything yet,
// so each request is one that the operation refuses later.
func TestRolesOpenWhatIsTheirs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, op := range manage.Operations() {
		u, ok := useOf(op.ID)
		if !ok {
			continue // another test says so
		}
		path, _, _ := strings.Cut(strings.ReplaceAll(u.path, "MESSAGE", "nothing"), "?")
		for _, role := range append([]manage.Role{""}, manage.Roles()...) {
			code, answer := b.call(role, op.Method, path, u.body)
			switch {
			case role == "":
				if code != http.StatusUnauthorized {
					t.Errorf("%s without a login: %d", op.ID, code)
				}
			case role.Covers(op.Role) == (code == http.StatusForbidden):
				t.Errorf("%s needs %s; %s gets %d %s", op.ID, op.Role, role, code, answer)
			case code == http.StatusForbidden && (!strings.Contains(answer, string(op.Role)) || !strings.Contains(answer, string(role))):
				t.Errorf("%s: a refusal that does not help: %s", op.ID, answer)
			}
		}
	}
	if code, _ := b.call(manage.Reader, http.MethodGet, "/settings-file?secrets=true", ""); code != http.StatusForbidden {
		t.Errorf("a reader gets secrets: %d", code)
	}
}

// A token works at once, where it may, and not a moment longer.
func TestTokensEndWhenTheyShould(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, networks := range map[string][]string{"elsewhere": {"192.0.2.0/24"}, "here": {"192.0.2.0/24", "127.0.0.0/8"}, "removed": nil} {
		wish := manage.TokenWish{Name: name, Role: "reader", Networks: networks}
		k := invoke[manage.NewToken](b, "token-add", manage.TokenAddInput{Body: wish})
		if !strings.HasPrefix(k.Secret, manage.TokenPrefix) || len(k.Secret) != len(manage.TokenPrefix)+52 {
			t.Errorf("the secret %q", k.Secret)
		}
		b.token[manage.Role(name)] = k.Secret
	}
	for name, left := range map[string]time.Duration{"ended": -time.Second, "lasting": time.Hour} {
		secret := manage.TokenPrefix + name
		err := b.h.Store.Tokens().Add(t.Context(), store.TokenRow{Name: name, Hash: sha256.Sum256([]byte(secret)), Role: "reader", Expires: time.Now().Add(left)})
		if err != nil {
			t.Fatal(err)
		}
		b.token[manage.Role(name)] = secret
	}
	want := map[string]int{"elsewhere": 401, "here": 200, "removed": 200, "ended": 401, "lasting": 200, "nobody's": 401}
	for range 2 {
		for name, code := range want {
			if got, answer := b.call(manage.Role(name), "GET", "/status", ""); got != code {
				t.Errorf("%s: %d %s", name, got, answer)
			}
		}
		if want["removed"] == 200 {
			invoke[manage.None](b, "token-remove", manage.TokenInput{Name: "removed"})
			want["removed"] = 401
		}
	}
	shown := invoke[manage.Token](b, "token-show", manage.TokenInput{Name: "here"})
	if shown.Used == nil || time.Since(*shown.Used) > time.Minute {
		t.Errorf("the use was not noted: %+v", shown)
	}
}

package cli

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"posthorn/internal/server/manage"
)

func TestRelayRulesAtThePrompt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "relay list", "No rules", "relay.mode")
	b.want(2, "", "relay add x --host smart.test", "--to or --from")
	b.want(2, "", "relay add x --to far.test", "--host or --direct")
	b.want(2, "", "relay add x --to far.test --from a@ours.test --host h.test", "can't be used together")
	b.want(0, "", "relay add partners --to far.test,.far.test --host smart.test --host 192.0.2.25 --port 587 --secure", "posthorn relay try --to ADDRESS")
	b.want(0, "", "relay add near --to bob@far.test --direct --position 1")
	b.want(0, "", "relay add news --from news@ours.test --host bulk.test")
	b.want(0, "", "relay list", "to far.test, .far.test", "smart.test, 192.0.2.25 port 587 with TLS", "directly", "from news@ours.test")
	for line, say := range map[string]string{
		"relay try --to x@far.test":                         `through the relay host smart.test:587,192.0.2.25:587, because the recipient rule "partners" matches far.test.`,
		"relay try --to Bob@far.test":                       `directly to the mail servers of far.test, because the recipient rule "near" matches bob@far.test.`,
		"relay try --from news@ours.test --to x@else.test":  `the sender rule "news"`,
		"relay try --from admin@ours.test --to x@else.test": "directly to the mail servers of else.test, because no rule matches and the general mode is direct.",
		"relay try --to admin@ours.test":                    "stays here",
	} {
		b.want(0, "", line, say)
	}
	// The general mode, and what it does not affect.
	b.want(0, "", "setting set relay.mode=relay relay.hosts=one.test,two.test relay.port=2525")
	b.want(0, "", "relay domain add branch branch.test", "Mail for branch.test now goes on to the main server that DNS names inside", "Warning", "relay domain set branch --recipient ADDRESS")
	b.want(0, "", "relay try --to x@else.test", "through the relay host one.test:2525,two.test:2525, because no rule matches and the general mode is relay.")
	b.want(0, "", "relay try --to x@branch.test", `to the main mail server of branch.test, as DNS inside names it, because the relay domain "branch" matches branch.test.`)
	b.want(0, "", "relay domain set branch --host 10.0.0.5")
	b.want(0, "", "relay try --to x@branch.test", "through the relay host 10.0.0.5:25")
	b.want(0, "", "relay domain set branch --by-dns --recipients listed --recipient ann@branch.test,bob@branch.test")
	b.want(0, "", "relay domain recipients branch", "ann@branch.test\nbob@branch.test\n")
	b.want(0, "", "relay domain list", "by DNS", "listed")
	b.want(0, "", "relay set near --disabled")
	b.want(0, "", "relay show near", "disabled", "For the recipient", "directly")

	file := filepath.Join(t.TempDir(), "rules.json")
	_, text := b.say("", "relay export")
	version := regexp.MustCompile(`"version":.*`) // without it a list is taken as it stands
	if err := os.WriteFile(file, []byte(version.ReplaceAllString(text, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	b.want(0, "", "relay remove partners")
	b.want(0, "", "relay import --replace "+file, "3 rules imported.")
	if _, again := b.say("", "relay export"); version.ReplaceAllString(again, "") != version.ReplaceAllString(text, "") {
		t.Errorf("imported %s, exported %s", text, again)
	}
	b.want(1, `{"rules":[{"nme":"x"}]}`, "relay import -", "nme")
}

// A domain is hosted or relayed; the refusal names the remedy.
func TestHostedAndRelayedExcludeEachOtherAtThePrompt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(1, "", "relay domain add x ours.test", "ours.test is hosted here; remove the domain first")
	b.want(0, "", "relay domain add far far.test")
	b.want(1, "", "domain add far.test", `far.test is a relay domain (rule "far"); remove the rule first`)
	b.want(0, "", "relay domain remove far")
	b.want(0, "", "domain add far.test")
}

func TestForwardingAtThePrompt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "account add bob@ours.test --forward bob@far.test,b@else.test")
	b.want(0, "", "account show bob@ours.test", "bob@far.test, b@else.test (a copy stays here)", "as the domain says")
	b.want(0, "", "account set bob@ours.test --no-keep-copy")
	b.want(0, "", "account show bob@ours.test", "(no copy stays here)")
	b.want(0, "", "setting set directory.forwarding=false")
	b.want(0, "", "account show bob@ours.test", "bob@far.test, b@else.test (disabled by the administrator: mail stays in the mailbox)")
	b.want(0, "", "domain set ours.test --forwarding yes")
	b.want(0, "", "domain show ours.test", "Accounts may forward", "yes")
	b.want(0, "", "account show bob@ours.test", "(no copy stays here)")
	b.want(0, "", "account set bob@ours.test --forwarding no")
	b.want(0, "", "account show bob@ours.test", "disabled by the administrator")
	b.want(2, "", "account set bob@ours.test --forwarding perhaps", "is none of")
	b.want(0, "", "account set bob@ours.test --no-forward --forwarding inherit")
	b.want(0, "", "account show bob@ours.test", "nobody")
	if _, said := b.say("", "account show bob@ours.test --json"); !strings.Contains(said, `"forward": []`) || !strings.Contains(said, `"keep_copy": true`) {
		t.Error(said)
	}
}

// Who replaces a list does not remove what somebody else has added since he read
// it.
func TestAReplacedListLosesNobodysRules(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "relay add one --to one.test --direct")
	b.want(0, "", "list add first --block --ip 192.0.2.1")
	dir := t.TempDir()
	relays, lists := filepath.Join(dir, "relay.json"), filepath.Join(dir, "lists")
	_, text := b.say("", "relay export")
	_, access := b.say("", "list export")
	if err := errors.Join(os.WriteFile(relays, []byte(text), 0o600), os.WriteFile(lists, []byte(access), 0o600)); err != nil {
		t.Fatal(err)
	}
	b.want(0, "", "relay import --replace "+relays, "1 rule imported")
	b.want(0, "", "list import --replace "+lists, "1 as they were")
	b.want(0, "", "account add new@ours.test") // changes the directory, no rule
	b.want(0, "", "relay import --replace "+relays, "1 rule imported")
	b.want(0, "", "relay add two --to two.test --direct")
	b.want(0, "", "list add second --block --ip 192.0.2.2")
	b.want(1, "", "relay import --replace "+relays, "the list was made from")
	b.want(1, "", "list import --replace "+lists, "the list was made from")
	b.want(0, "", "relay import "+relays, "1 rule imported") // removes nothing
	b.want(0, "", "list import "+lists, "1 as they were")
	b.want(0, "", "relay show two")
	b.want(0, "", "list show second")
	for _, c := range []struct {
		path, body string
		code       int
		says       string
	}{
		{"/relay/rules-file", `{"rules":[{"name":"one","targets":["one.test"]}],"replace":true}`, 422, "body.base"},
		{"/relay/rules-file", `{"rules":[{"name":"one","targets":["one.test"]}],"replace":true,"base":"0123"}`, 409, "0123"},
		{"/relay/rules-file", `{"rules":[],"replace":true}`, 422, "body.rules"},
		{"/lists-file", `{"file":"block ip 192.0.2.9","replace":true}`, 422, "body.base"},
		{"/lists-file", `{"file":"block ip 192.0.2.9","replace":true,"base":1}`, 409, "made from 1"},
	} {
		if code, said := b.call(manage.Administrator, "POST", c.path, c.body); code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d, %s", c.body, code, said)
		}
	}
}

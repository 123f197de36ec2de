package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"posthorn/internal/testkit/authority"
	"posthorn/internal/testkit/daemon"
)

// commands asks the help texts for every command there is.
func commands(t *testing.T, posthorn string) []string {
	t.Helper()
	var all []string
	var walk func(prefix []string)
	walk = func(prefix []string) {
		_, list, ok := strings.Cut(must(t, nil, posthorn, append(slices.Clone(prefix), "--help")...), "\nCommands:\n")
		if !ok {
			all = append(all, strings.Join(prefix, " "))
			return
		}
		for line := range strings.Lines(list) {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "  "), "  ")
			words := strings.Fields(name)
			if !strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "   ") || len(words) == 0 {
				continue
			}
			walk(append(slices.Clone(prefix), words[len(words)-1]))
		}
	}
	walk(nil)
	return all
}

// Every command answers programs in JSON, and never with a secret.
func TestEveryCommandAnswersInJSON(t *testing.T) {
	t.Parallel()
	s := start(t, "--dns", authority.New(t).Listen(""))
	posthorn := daemon.Binary(t, false)
	var ids []string
	for range 2 {
		s.do("try", "send", "--from", demo, "--to", "x@foreign.example")
		var page struct{ Items []struct{ ID string } }
		if err := json.Unmarshal([]byte(s.do("queue", "list", "--json")), &page); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, page.Items[len(page.Items)-1].ID)
	}
	exported := write(t, "settings.toml", []byte(s.do("setting", "export")))
	asked := []string{"quickstart", "serve", // servers, which have tests of their own
		"quarantine show", "quarantine release", "quarantine remove", "report show"} // want something to be there: app/cli
	for _, args := range [][]string{
		{"domain", "add", "json.example"}, {"domain", "list"}, {"domain", "show", "json.example"},
		{"domain", "set", "json.example", "--catch-all", demo}, {"domain", "set", "json.example", "--catch-all", ""},
		{"account", "add", "u@json.example"}, {"account", "add", "v@json.example", "--password-stdin"}, {"account", "list"}, {"account", "show", "u@json.example"},
		{"account", "set", "u@json.example", "--name", "U", "--password-stdin"}, {"account", "remove", "u@json.example", "--yes"},
		{"alias", "add", "a@json.example", demo}, {"alias", "list"}, {"alias", "show", "a@json.example"},
		{"alias", "set", "a@json.example", "--add", admin}, {"alias", "remove", "a@json.example"},
		{"group", "add", "g@json.example", demo}, {"group", "list"}, {"group", "show", "g@json.example"},
		{"group", "set", "g@json.example", "--title", "G"}, {"group", "remove", "g@json.example"},
		{"account", "remove", "v@json.example", "--yes"}, {"domain", "remove", "json.example"},
		{"token", "add", "json", "--role", "reader"}, {"token", "list"}, {"token", "show", "json"}, {"token", "remove", "json"},
		{"setting", "list"}, {"setting", "get", "smtp.banner"}, {"setting", "explain", "smtp.banner"},
		{"setting", "set", "smtp.banner=x"}, {"setting", "set", "smtp.banner=y", "--trial", "1h"}, {"setting", "confirm", "3"},
		{"setting", "undo", "3"}, {"setting", "history"}, {"setting", "export"}, {"setting", "apply", exported},
		{"queue", "list"}, {"queue", "show", ids[0]}, {"queue", "hold", ids[0]}, {"queue", "release", ids[0]}, {"queue", "retry", ids[0]},
		{"queue", "redirect", ids[0], admin}, {"queue", "remove", ids[1], "--yes"},
		{"policy", "list"}, {"policy", "try", "--client", "192.0.2.1", "--rcpt", demo}, {"policy", "replay", "--since", "1h", "--set", "policy.spf.mode=off"}, {"policy", "scanners"},
		{"quarantine", "list"}, {"report", "list"}, {"report", "sources", "example.test"},
		{"relay", "domain", "add", "branch", "branch.example"}, {"relay", "domain", "list"}, {"relay", "domain", "show", "branch"},
		{"relay", "domain", "set", "branch", "--host", "192.0.2.9", "--recipients", "listed", "--recipient", "a@branch.example"}, {"relay", "domain", "recipients", "branch"}, {"relay", "domain", "remove", "branch"},
		{"relay", "add", "partner", "--to", "partner.example", "--host", "192.0.2.8"}, {"relay", "list"}, {"relay", "show", "partner"}, {"relay", "set", "partner", "--port", "587"},
		{"relay", "try", "--to", "a@partner.example"}, {"relay", "export"}, {"relay", "remove", "partner"}, {"relay", "import", write(t, "relays.json", []byte(`{"rules":[{"name":"partner","kind":"recipient","targets":["partner.example"],"hosts":["192.0.2.8"],"port":25}]}`))},
		{"list", "add", "evil", "--block", "--sender", "evil@away.example"}, {"list", "list"}, {"list", "show", "evil"}, {"list", "set", "evil", "--reason", "spam"},
		{"list", "try", "--from", "evil@away.example"}, {"list", "export"}, {"list", "import", write(t, "rules.txt", []byte("block sender worse@away.example name=worse\n"))}, {"list", "remove", "evil"},
		{"ban", "add", "192.0.2.66", "--reason", "tries"}, {"ban", "list"}, {"ban", "show", "192.0.2.66"}, {"ban", "lift", "192.0.2.66"}, {"ban", "lift-all", "--yes"},
		{"greylist", "confirm", "192.0.2.77"}, {"greylist", "list"}, {"greylist", "show", "192.0.2.77"}, {"greylist", "remove", "192.0.2.77"}, {"greylist", "except", "192.0.2.78"}, {"greylist", "reset", "--yes"},
		{"trace"}, {"trace", ids[1]}, {"trace", "--from", "nobody@nowhere.example"},
		{"try", "send", "--from", demo, "--to", admin}, {"try", "read", "--login", admin}, {"try", "read", "--login", admin, "--pop3"},
		{"dns", "check"}, {"dns", "check", "example.test"},
		{"status"}, {"version"},
	} {
		name := args[0]
		if len(args) > 1 && !slices.Contains([]string{"trace", "status", "version"}, name) {
			name += " " + args[1]
			if name == "relay domain" {
				name += " " + args[2]
			}
		}
		asked = append(asked, name)
		out, err := s.Run(daemon.Password+"\n", append(args, "--json")...)
		if err != nil {
			t.Errorf("%q: %v", args, err)
		}
		if !json.Valid([]byte(out)) || strings.TrimSpace(out) == "null" {
			t.Errorf("%q answers no JSON: %q", args, tail(out))
		}
		for _, secret := range []string{daemon.Password, "$argon2", "StoredKey", "SCRAM-SHA-256$"} {
			if strings.Contains(out, secret) {
				t.Errorf("%q tells a secret: %q", args, tail(out))
			}
		}
	}
	for _, name := range commands(t, posthorn) {
		if !slices.Contains(asked, name) {
			t.Errorf("posthorn %s is not tried here", name)
		}
	}
	// A failure is told on standard error with exit code 1, as text or JSON.
	if r := run(t, nil, posthorn, "domain", "show", "nowhere.example", "--json", "--data", s.Data); r.code != 1 || r.out != "" || !strings.Contains(r.err, "nowhere.example") {
		t.Errorf("exit %d %q %q", r.code, r.out, r.err)
	}
}

// Every command explains itself, and every setting says what it means.
func TestHelpIsComplete(t *testing.T) {
	t.Parallel()
	s := start(t)
	posthorn := daemon.Binary(t, false)
	all := commands(t, posthorn)
	if len(all) < 40 {
		t.Fatalf("the help lists %q", all)
	}
	for _, name := range all {
		out := must(t, nil, posthorn, append(strings.Fields(name), "--help")...)
		contains(t, out, "Usage: posthorn "+name, "--data", "--json")
	}
	contains(t, must(t, nil, posthorn), "posthorn quickstart") // no argument is a question too
	var settings struct {
		Items []struct{ Name, Summary string }
	}
	if err := json.Unmarshal([]byte(s.do("setting", "list", "--json")), &settings); err != nil {
		t.Fatal(err)
	}
	for _, x := range settings.Items {
		if x.Summary == "" {
			t.Errorf("setting %s has no meaning", x.Name)
		}
	}
	if len(settings.Items) < 30 {
		t.Errorf("%d settings", len(settings.Items))
	}
}

// What commands print and the server logs is never a password, also not at
// the finest level and when a login fails.
func TestSecretsStayOutOfOutputAndLog(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	mine, wrong := "this is my password", "this is the wrong one"
	s.with(mine+"\n", "account", "add", "eva@example.test", "--password-stdin")
	c := dial(t, "tcp", s.Addr("pop3"))
	c.expect("", "+OK")
	c.expect("USER eva@example.test", "+OK")
	c.expect("PASS "+wrong, "-ERR")
	c.expect("USER eva@example.test", "+OK")
	c.expect("PASS "+mine, "+OK")
	m := dial(t, "tcp", s.Addr("imap"))
	m.expect("", "* OK")
	m.expect(`a LOGIN eva@example.test "`+wrong+`"`, "a NO")
	text := s.do("trace", "--all", "--long") + s.do("setting", "history") + s.do("setting", "export") +
		s.do("account", "show", "eva@example.test") + s.do("status") + s.Stderr()
	for _, secret := range []string{mine, wrong, daemon.Password} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is told", secret)
		}
	}
	// The folder is the owner's alone.
	for _, name := range []string{"", "secret.key", "trial.sealed", "control.sock", "store", "records.db", "tls/ca-key.pem", "tls/server.pem"} {
		info, err := os.Stat(filepath.Join(s.Data, name))
		if err != nil {
			t.Error(err)
		} else if name != "" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

// Commands at the same moment: all of them take turns while the server runs;
// without one, each succeeds or says clearly that another holds the data.
func TestCommandsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	at := func(names ...string) []error {
		var wait sync.WaitGroup
		errs := make([]error, len(names))
		for i, name := range names {
			wait.Go(func() { _, errs[i] = s.Run("", "domain", "add", name) })
		}
		wait.Wait()
		return errs
	}
	for i, err := range at("a.example", "b.example", "c.example", "d.example") {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	worked := 0
	for _, err := range at("e.example", "f.example", "g.example", "h.example") {
		if err == nil {
			worked++
		} else if !strings.Contains(err.Error(), s.Data) || !strings.Contains(err.Error(), "another") || strings.Contains(err.Error(), "goroutine ") {
			t.Errorf("not clear: %v", err)
		}
	}
	if worked == 0 {
		t.Error("none of four commands worked")
	}
	list := s.do("domain", "list")
	contains(t, list, "a.example", "d.example")
	if got := strings.Count(list, ".example"); got != 4+worked {
		t.Errorf("%d domains, %d commands worked:\n%s", got, 4+worked, list)
	}
}

package cli

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"posthorn/internal/policy"
	"posthorn/internal/server/manage"
)

func TestTheListOfChecksExplainsItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	code, said := b.prompt("policy list")
	if code != 0 || strings.Contains(said, "M-SEC-") || strings.Contains(said, "B1G-") {
		t.Errorf("exit %d, requirements for administrators:\n%s", code, said)
	}
	for _, want := range []string{"WHAT IT IS FOR", "WORST    the most it can do", "policy.spf.mode", "policy.greylist.mode", "policy.names.client", "Hosts that an administrator banned"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) > 4 && (f[1] == "virus" || f[1] == "blocklists") && f[2] != "not" {
			t.Errorf("no scanner and no list is set: %s", line)
		}
	}
	if _, said := b.prompt("policy list --long"); !strings.Contains(said, "M-SEC-BW-15") || !strings.Contains(said, "not set up") || !strings.Contains(said, "enforce (policy.spf.mode)") {
		t.Errorf("the long list has no requirements or says that all is set up:\n%s", said)
	}
}

// Programs are told a setting only where it is one.
func TestTheListOfChecksNamesSettingsToPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	checks := func() []policy.Row {
		var page manage.Page[policy.Row]
		_, said := b.prompt("policy list --json")
		if err := json.Unmarshal([]byte(said), &page); err != nil || len(page.Items) < 40 {
			t.Fatalf("%v: %s", err, said)
		}
		return page.Items
	}
	off := map[string]bool{}
	for _, r := range checks() {
		for _, name := range []string{r.Setting, r.ModeBy} {
			if _, err := b.h.Settings.Get(name); name != "" && err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
		if (r.ModeBy == "") != r.Fixed || r.GoesBy == "" || r.Setting != "" && r.Setting != r.GoesBy {
			t.Errorf("%+v", r)
		}
		if !r.Fixed {
			off[r.ModeBy+"=off"] = true
		}
	}
	b.want(0, "", "setting set "+strings.Join(slices.Collect(maps.Keys(off)), " "))
	for _, r := range checks() {
		if !r.Fixed && r.Mode != "off" {
			t.Errorf("%s is not switched off by %s", r.Name, r.ModeBy)
		}
	}
	b.want(2, "", "policy try --client 192.0.2.1 --rcpt admin@ours.test --set smtp.banner=x", "posthorn setting list policy")
}

// A login is judged on a connection on which the server offers one.
func TestALoginIsTriedOverTLS(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const line, assumed = "policy try --client 192.0.2.1 --login admin@ours.test --from admin@ours.test --rcpt admin@ours.test", "taken to be encrypted, for without TLS no login is offered"
	b.want(0, "", line+" --listener submission", assumed, "would be accepted")
	if _, said := b.prompt(line); !strings.Contains(said, "skipped        helo-full: names of such clients are not judged") || !strings.Contains(said, "--all lists them") {
		t.Error(said)
	}
	for _, door := range []string{"submissions", "submission --tls"} {
		if code, said := b.prompt(line + " --listener " + door); code != 0 || strings.Contains(said, assumed) || !strings.Contains(said, "would be accepted") {
			t.Errorf("%s: exit %d: %s", door, code, said)
		}
	}
	if _, said := b.prompt("policy try --client 192.0.2.1 --listener submissions --rcpt admin@ours.test --json"); strings.Contains(said, "tls_assumed") {
		t.Error(said)
	}
	b.want(2, "", line+" --set policy.auth.enabled=false", "--login: nobody can log in to send while policy.auth.enabled is false")
	b.want(0, "", "setting set login.plaintext_needs_tls=false")
	if _, said := b.prompt(line + " --listener submission"); strings.Contains(said, assumed) {
		t.Error(said)
	}
}

func TestRecipientsToTryAreGivenByEitherName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if code, said := b.prompt("policy try --client 192.0.2.1 --to admin@ours.test"); code != 0 || !strings.Contains(said, "<admin@ours.test>") {
		t.Errorf("exit %d: %s", code, said)
	}
}

package cli

import (
	"strings"
	"testing"
)

func TestTheListOfChecksExplainsItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	code, said := b.prompt("policy list")
	if code != 0 || strings.Contains(said, "M-SEC-") || strings.Contains(said, "B1G-") {
		t.Errorf("exit %d, requirements for administrators:\n%s", code, said)
	}
	for _, want := range []string{"WHAT IT IS FOR", "WORST  the most it can do", "Hosts that an administrator banned"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) > 4 && (f[1] == "virus" || f[1] == "blocklists") && f[2] != "not" {
			t.Errorf("no scanner and no list is set: %s", line)
		}
	}
	if _, said := b.prompt("policy list --long"); !strings.Contains(said, "M-SEC-BW-15") || !strings.Contains(said, "not set up") {
		t.Errorf("the long list has no requirements or says that all is set up:\n%s", said)
	}
}

// A login is judged on a connection on which the server offers one.
func TestALoginIsTriedOverTLS(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const line, assumed = "policy try --client 192.0.2.1 --login admin@ours.test --from admin@ours.test --rcpt admin@ours.test", "taken to be encrypted, for without TLS no login is offered"
	b.want(0, "", line+" --listener submission", assumed, "would be accepted")
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

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

func TestRecipientsToTryAreGivenByEitherName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if code, said := b.prompt("policy try --client 192.0.2.1 --to admin@ours.test"); code != 0 || !strings.Contains(said, "<admin@ours.test>") {
		t.Errorf("exit %d: %s", code, said)
	}
}

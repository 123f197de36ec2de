package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// inboxOf reads subjects from whichever server runs on the data of s.
func inboxOf(t *testing.T, s *server, who string) []string {
	t.Helper()
	var addr string
	for line := range strings.Lines(s.do("status")) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "imap" {
			addr = f[1]
		}
	}
	found, err := subjects(addr, who)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What was there before is there after a stop, after kill -9, and after both
// in turn; accounts, settings, queue and records too.
func TestEverythingSurvivesRestartAndKill(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	s.account("anna@example.test")
	s.do("setting", "set", "smtp.banner=Kept")
	var want []string
	for round := range 4 {
		for _, to := range []string{"anna@example.test", "x@foreign.example"} {
			if _, err := deliver(s.Addr("submission"), demo, demo, []string{to}); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, fmt.Sprintf("from %s to anna@example.test", demo))
		if round%2 == 0 {
			s.Kill()
		} else if err := s.Stop(); err != nil {
			t.Error(err)
		}
		s.Daemon = s.Again()
		if got := inboxOf(t, s, "anna@example.test"); !slices.Equal(got, want) {
			t.Fatalf("round %d: %q", round, got)
		}
		contains(t, s.do("queue", "list"), fmt.Sprintf("for %d recipient", round+1))
		dial(t, "tcp", s.Addr("smtp")).expect("", "220 mx.example.test ESMTP Kept")
	}
	// Records may lose what was written just before a kill, not more.
	if out := s.do("trace", "--to", "anna@example.test"); strings.Contains(out, "No record") {
		t.Error("no record is left")
	}
	c := s.imap("anna@example.test")
	box, err := c.Select("INBOX", nil).Wait()
	if err != nil || box.NumMessages != 4 || box.UIDNext < 5 {
		t.Errorf("INBOX: %+v %v", box, err)
	}
}

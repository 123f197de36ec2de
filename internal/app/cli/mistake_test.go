package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"posthorn/internal/testkit/need"
)

// What is typed wrong is answered in words of mail, not of the parser, and
// with the place that helps.
func TestMistakesAreNamedWithTheirRemedy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, say, try string }{
		{"domain", "say what to do: add, list, show, set, remove", "domain --help"},
		{"queue", "say what to do: list, show, retry, hold, release, redirect, remove", "queue --help"},
		{"domain add", "missing: <name>", "domain add --help"},
		{"alias add info@example.test", "missing: <target> ...", "alias add --help"},
		{"try send", "missing: --from=ADDRESS, --to=ADDRESS", "try send --help"},
		{"account add a@example.test --quota -5", `--quota: "-5" is not a value it can have`, "account add --help"},
		{"account add a@example.test --quota-messages -3", `--quota-messages: "-3" is not a value it can have`, "account add --help"},
		{"setting undo last", `<version>: "last" is not a whole number`, "setting undo --help"},
		{"queue list --state lost", `--state: "lost" is none of "queued", "held"`, "queue list --help"},
		{"policy try --client 192.0.2.1 --rcpt a@example.test --message /nowhere", "--message: the file /nowhere does not exist", "policy try --help"},
		{"acount list", `did you mean "account"?`, "--help"},
		{"account password a@example.test", "password is no command here; there are: add, list, show, set, remove", "account --help"},
		{"check", "check is no command here; perhaps: posthorn dns check", "--help"},
		{"account explain x", "perhaps: posthorn setting explain", "account --help"},
		{"account lst", `did you mean one of "list", "set"?`, "account --help"},
	} {
		var out, err bytes.Buffer
		code := Run(t.Context(), strings.Fields(tt.line), Streams{In: strings.NewReader(""), Out: &out, Err: &err})
		if code != 2 || !strings.Contains(err.String(), tt.say) || !strings.Contains(err.String(), "Try: posthorn "+tt.try) || out.Len() > 0 {
			t.Errorf("%s: exit %d, want 2 with %q and %q: %s", tt.line, code, tt.say, tt.try, err.String())
		}
	}
}

func TestServeWantsToKnowItsFolder(t *testing.T) {
	t.Parallel()
	if exists(ConfigFile) {
		need.Missing(t, "this machine has a "+ConfigFile)
	}
	var out, err bytes.Buffer
	if code := Run(t.Context(), []string{"serve"}, Streams{Out: &out, Err: &err}); code != 2 || !strings.Contains(err.String(), "--config FILE or --data DIR") {
		t.Errorf("exit %d: %s", code, err.String())
	}
}

func TestHelpAndVersionAreFoundByHabit(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"": "Usage: posthorn", "help": "Usage: posthorn", "help queue list": "Usage: posthorn queue list", "--version": "posthorn ",
	} {
		var out, err bytes.Buffer
		if code := Run(t.Context(), strings.Fields(line), Streams{Out: &out, Err: &err}); code != 0 || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%q: exit %d: %s%s", line, code, out.String(), err.String())
		}
	}
}

func TestBusyPortIsToldOnce(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("listen: smtp: another program listens at 127.0.0.1:25 already: %w", errors.Join(fmt.Errorf("listen tcp4 127.0.0.1:25: bind: %w", syscall.EADDRINUSE)))
	if got := explain(err); strings.Contains(got, "bind") || !strings.Contains(got, "at 127.0.0.1:25 already; ") || !strings.Contains(got, "--listen") || !strings.Contains(got, "those not named stay closed") {
		t.Error(got)
	}
}

func TestTextsFitTheTerminal(t *testing.T) {
	t.Parallel()
	text := wrap(strings.Repeat("wörter ", 40)+strings.Repeat("x", 100), 76, "  ")
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); len([]rune(line)) > 76 && !strings.Contains(line, "xxx") || !strings.HasPrefix(line, "  ") {
			t.Errorf("%q", line)
		}
	}
}

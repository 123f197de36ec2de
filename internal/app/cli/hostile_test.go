package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// hostile is legal in a local part (RFC 5322 §3.2.3 atext) and in the name of a
// rule, and means much to a shell.
const hostile = "x`reboot`$HOME&|'y"

// What is printed to be copied into a shell has no command but posthorn in it.
func TestNamesInCommandsAreOneWordOfAShell(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr := hostile + "@ours.test"
	b.want(0, "", "account add "+addr)
	b.want(0, "", "alias add to"+addr+" "+addr)
	b.want(0, "", "group add all"+addr+" "+addr)
	b.want(0, "", "domain set ours.test --catch-all "+addr)
	quoted := "'x`reboot`$HOME&|'\\''y"
	for _, c := range []struct {
		code       int
		line, says string
	}{
		{2, "alias set to" + addr + " --drop " + addr, "posthorn alias remove 'to"},
		{0, "account remove " + addr + " --yes", "--drop " + quoted + "@ours.test'"},
		{0, "list add " + hostile + " --block --sender eve@far.test", "added"},
		{0, "list set " + hostile + " --disabled", "posthorn list set " + quoted + "'"},
		{0, "list show " + hostile, "posthorn list set " + quoted + "'"},
		{0, "relay domain add " + hostile + " inside.test", "posthorn relay domain set " + quoted + "'"},
		{0, "relay add " + hostile + " --to far.test --direct", ""},
		{1, "relay add " + hostile + " --to far.test --direct", "posthorn relay set"},
		{2, "token add " + hostile, "--"},
		{2, "domain add " + hostile + ".test", "is not a domain name"},
		{1, "relay show no" + hostile, "posthorn relay list"},
		{1, "list show no" + hostile, ""},
		{0, "domain add bücher.test", "posthorn account add 'NAME@bücher.test'"},
	} {
		code, said := b.say("", c.line)
		if code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d, %s; want %d, %s", c.line, code, said, c.code, c.says)
		}
		if cmd := naked(said); cmd != "" {
			t.Errorf("%s: would run more than posthorn: %s", c.line, cmd)
		}
	}
	if said := badLogin(errors.New("refused"), addr).Error(); naked(said) != "" {
		t.Errorf("would run more than posthorn: %s", said)
	}
}

// naked returns the first command in the text in which a shell would see a sign
// of its own, "" for none.
func naked(text string) string {
	for line := range strings.Lines(text) {
		_, rest, found := strings.Cut(line, "posthorn ")
		if !found {
			continue
		}
		quoted := false
		for i := 0; i < len(rest); i++ {
			switch c := rest[i]; {
			case c == '\'':
				quoted = !quoted
			case quoted:
			case c == '\\':
				i++
			case slices.Contains([]byte("`$&|"), c):
				return rest
			}
		}
	}
	return ""
}

// The flags that name the server do not end the quotes of a value that looks
// like a command.
func TestAQuotedValueIsNoHint(t *testing.T) {
	t.Parallel()
	w := &Where{Data: "/tmp/a b"}
	for text, want := range map[string]string{
		"(posthorn list set 'posthorn status `id`' --no-disabled)": "(posthorn list set --data '/tmp/a b' 'posthorn status `id`' --no-disabled)",
		`posthorn list set 'it'\''s posthorn status'`:              `posthorn list set --data '/tmp/a b' 'it'\''s posthorn status'`,
		"the server's own: posthorn status; its users' too":        "the server's own: posthorn status --data '/tmp/a b'; its users' too",
	} {
		if got := w.hint(text); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

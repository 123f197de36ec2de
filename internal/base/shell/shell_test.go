package shell

import (
	"os/exec"
	"strings"
	"testing"
)

func TestWordsAreQuotedWhereTheyMustBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     "''",
		"info@here.test":       "info@here.test",
		"/var/lib/posthorn":    "/var/lib/posthorn",
		"2001:db8::/32":        "2001:db8::/32",
		"a b":                  "'a b'",
		"x`reboot`&@here.test": "'x`reboot`&@here.test'",
		"$HOME":                "'$HOME'",
		"it's":                 `'it'\''s'`,
		"müller":               "'müller'",
		"~root":                "'~root'",
		"a\nb":                 "'a\nb'",
	} {
		if got := Word(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// The shell itself is the judge.
func FuzzAShellReadsTheWordBack(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"a", "x`id`", "$(id)", "a'b'", "&|;<>", "\\", "a\nb", "-n", "~", "!x", "*", "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			return // no argument holds a NUL
		}
		out, err := exec.CommandContext(t.Context(), sh, "-c", "printf '%s|' "+Word(s)).CombinedOutput()
		if err != nil || string(out) != s+"|" {
			t.Errorf("%q became %q: %v", s, out, err)
		}
	})
}

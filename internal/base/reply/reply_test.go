package reply

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// written are the lines of a reply, checked for what holds of every line.
func written(t *testing.T, r Reply) []string {
	t.Helper()
	wire := string(r.Append([]byte("before")))
	wire, ok := strings.CutPrefix(wire, "before")
	if !ok || !strings.HasSuffix(wire, "\r\n") {
		t.Fatalf("%q", wire)
	}
	lines := strings.Split(strings.TrimSuffix(wire, "\r\n"), "\r\n")
	for i, line := range lines {
		dash := "-"
		if i == len(lines)-1 {
			dash = " "
		}
		if head := "550" + dash + "5.7.23 "; !strings.HasPrefix(line, head) || len(line)+2 > maxLine || !utf8.ValidString(line) {
			t.Errorf("line %d of %d octets: %q", i, len(line), line)
		}
		lines[i] = line[len("550 5.7.23 "):]
	}
	return lines
}

func TestLongTextGoesOnInTheNextLine(t *testing.T) {
	t.Parallel()
	words := strings.TrimSpace(strings.Repeat("nine of ten ", 100))
	for name, text := range map[string]string{
		"words": words, "no spaces": strings.Repeat("x", 1200), "characters": strings.Repeat("x", 1) + strings.Repeat("\U0001f4ee", 400),
		"a short word first": "word " + strings.Repeat("\u00e4", 600), "fits": strings.Repeat("x", 499), "one too many": strings.Repeat("x", 500),
	} {
		lines := written(t, New(550, E(5, 7, 23), text))
		if got := strings.Join(lines, ""); got != strings.ReplaceAll(text, " ", "") && name != "words" && name != "a short word first" {
			t.Errorf("%s: %q", name, lines)
		}
		if more := len(lines) > 1; more != (len(text) > 499) {
			t.Errorf("%s: %d lines", name, len(lines))
		}
	}
	if got := strings.Join(written(t, New(550, E(5, 7, 23), words)), " "); got != words {
		t.Errorf("words are cut: %q", got)
	}
	if got := written(t, Reply{Code: 550, Enhanced: E(5, 7, 23), Text: []string{strings.Repeat("x", 600), "second\r\n", ""}}); len(got) != 4 || got[2] != "second??" || got[3] != "" {
		t.Errorf("%q", got)
	}
	if got := written(t, New(550, E(5, 7, 23), strings.Repeat("x", 100_000))); len(got) != maxParts {
		t.Errorf("%d lines", len(got))
	}
}

func TestOctetsThatAreNoCharactersAreCutAnywhere(t *testing.T) {
	t.Parallel()
	wire := New(550, E(5, 7, 23), strings.Repeat("\x80", 1000)).Append(nil)
	for line := range strings.SplitAfterSeq(string(wire), "\r\n") {
		if len(line) > maxLine {
			t.Errorf("%d octets", len(line))
		}
	}
	if n := strings.Count(string(wire), "\x80"); n != 1000 {
		t.Errorf("%d of 1000 octets", n)
	}
}

// A challenge that were parted would be no challenge (RFC 4954 §4).
func TestChallengeStaysWhole(t *testing.T) {
	t.Parallel()
	if got := string(New(334, Enhanced{}, strings.Repeat("x", 2000)).Append(nil)); got != "334 "+strings.Repeat("x", 2000)+"\r\n" {
		t.Errorf("%d octets", len(got))
	}
}

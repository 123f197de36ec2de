package imapd

import (
	"strings"
	"testing"
)

func TestANeedleIsFoundInAnyCase(t *testing.T) {
	for _, c := range []struct {
		needle, text string
		found        bool
	}{
		{"abc", "xxABcxx", true},
		{"abc", "ababab", false},
		{"", "anything", true},
		{"ÄRGER", "viel ärger", true},
		{"a\u0308rger", "viel Ärger", true},
		{"straße", "STRASSE", false},
		{"ελλάς", "ΕΛΛΆΣ", true},
		{"x", "", false},
		{"1-2", "0-1-2", true},
	} {
		n := newNeedle(c.needle)
		if n.in(c.text) != c.found {
			t.Errorf("%q in %q is not %v", c.needle, c.text, c.found)
		}
		for _, pad := range []int{0, streamSize - 3, streamSize, 3*streamSize + 1} {
			text := strings.Repeat(".", pad) + c.text + strings.Repeat(".", pad)
			found, err := n.stream(t.Context(), strings.NewReader(text))
			if err != nil || found != c.found {
				t.Errorf("%q in a stream, %d octets before: %v %v", c.needle, pad, found, err)
			}
		}
	}
}

func FuzzContainsFold(f *testing.F) {
	f.Add("Hello World", "o w")
	f.Add("aAaAaB", "aab")
	f.Add("\x80K\x00", "k")
	f.Fuzz(func(t *testing.T, text, needle string) {
		if !isASCII(needle) {
			return // needles are ASCII
		}
		lower := func(s string) string {
			b := []byte(s)
			for i, c := range b {
				if c >= 'A' && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
		if got, want := containsFold([]byte(text), lower(needle)), strings.Contains(lower(text), lower(needle)); got != want {
			t.Errorf("%q in %q: %v", needle, text, got)
		}
	})
}

package imapd

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"posthorn/internal/wire/mime"
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
		var room []byte
		if n.in(c.text) != c.found {
			t.Errorf("%q in %q is not %v", c.needle, c.text, c.found)
		}
		for _, pad := range []int{0, streamSize - 3, streamSize, 3*streamSize + 1} {
			text := strings.Repeat(".", pad) + c.text + strings.Repeat(".", pad)
			found, err := n.stream(t.Context(), strings.NewReader(text), &room)
			if err != nil || found != c.found {
				t.Errorf("%q in a stream, %d octets before: %v %v", c.needle, pad, found, err)
			}
		}
	}
}

// TestManyNeedlesShareABuffer counts what a search for many texts takes.
func TestManyNeedlesShareABuffer(t *testing.T) {
	const needles = 1000
	m := mime.Parse([]byte("Subject: x\r\n\r\nzzz\r\n"))
	body, s := held{strings.NewReader("Subject: x\r\n\r\nzzz\r\n")}, searcher{needle: map[string]*needle{}}
	text := &texts{ctx: t.Context(), body: body, structure: m, room: &s.room}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range needles {
		if text.bodies(s.text(fmt.Sprint("a", i))) || text.err != nil {
			t.Fatal("found what is not there:", text.err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / needles; took > streamSize/2 {
		t.Errorf("%d octets for each needle", took)
	}
}

// held is a body in memory.
type held struct{ *strings.Reader }

func (held) Close() error { return nil }

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

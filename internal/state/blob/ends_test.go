package blob

import (
	"bytes"
	"strings"
	"testing"
)

func TestUnevenIsWhatCRLFAtEveryLineEndAdds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"": 0, "\r\n": 0, "a\r\n\r\nb\r\n": 0, "a": 2, "a\n": 1, "a\r": 1, "\n": 1, "\r": 1,
		"a\nb\r\nc\n": 2, "a\rb\r\n": 1, "\r\r\n": 1, "\n\r": 2, "\n\r\n": 1, "a\r\nb": 2, "a\n\nb": 4,
	} {
		if got := Uneven([]byte(text)); got != want {
			t.Errorf("%q grows by %d, want %d", text, got, want)
		}
	}
}

// evened is content with every line ended in CRLF.
func evened(content string) string {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(content), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	return strings.Join(append(lines, ""), "\r\n")
}

func FuzzUneven(f *testing.F) {
	f.Add([]byte("a\r\nb\n\rc\r"), 1)
	f.Add(bytes.Repeat([]byte("\r\n"), 50), 7)
	f.Fuzz(func(t *testing.T, content []byte, n int) {
		want := int64(len(evened(string(content))) - len(content))
		var d Draft
		d.Init(0, nil)
		defer d.Discard()
		for rest := content[:min(len(content), MemoryLimit)]; len(rest) > 0; {
			piece := rest[:min(len(rest), 1+n&15)]
			if _, err := d.Write(piece); err != nil {
				t.Fatal(err)
			}
			rest = rest[len(piece):]
		}
		if got := Uneven(content); got != want || len(content) <= MemoryLimit && d.Uneven() != want {
			t.Errorf("%q grows by %d, in pieces %d, want %d", content, got, d.Uneven(), want)
		}
	})
}

func BenchmarkUneven(b *testing.B) {
	content := bytes.Repeat([]byte(strings.Repeat("x", 70)+"\r\n"), 900)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if Uneven(content) != 0 {
			b.Fatal("grows")
		}
	}
}

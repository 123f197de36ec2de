package pop3

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestContentIsStuffedAndEnded(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": ".\r\n", "a": "a\r\n.\r\n", "a\r\n": "a\r\n.\r\n", "a\nb\n": "a\r\nb\r\n.\r\n", "a\rb\r": "a\r\nb\r\n.\r\n", "\r\r\n\n": "\r\n\r\n\r\n.\r\n",
		".": "..\r\n.\r\n", ".\r\n": "..\r\n.\r\n", "..\n": "...\r\n.\r\n", "a\r.\rb": "a\r\n..\r\nb\r\n.\r\n", "a.\n.b": "a.\r\n..b\r\n.\r\n",
		"a\n.\n": "a\r\n..\r\n.\r\n", "a\x00\xff": "a\x00\xff\r\n.\r\n", "\n": "\r\n.\r\n", "\r": "\r\n.\r\n",
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			var b bytes.Buffer
			n, err := WriteContent(&b, r)
			if err != nil || b.String() != want || n != int64(len(want)) {
				t.Errorf("%q became %q (%d), %v; want %q", in, &b, n, err, want)
			}
		}
	}
}

func TestTopCutsTheBody(t *testing.T) {
	t.Parallel()
	const m = "A: 1\r\n.b: 2\n\r\none\r\n.two\n\r\nfour"
	for _, c := range []struct {
		in    string
		lines int
		want  string
	}{
		{m, 0, "A: 1\r\n..b: 2\r\n\r\n.\r\n"}, {m, 1, "A: 1\r\n..b: 2\r\n\r\none\r\n.\r\n"}, {m, 2, "A: 1\r\n..b: 2\r\n\r\none\r\n..two\r\n.\r\n"},
		{m, 3, "A: 1\r\n..b: 2\r\n\r\none\r\n..two\r\n\r\n.\r\n"}, {m, 4, "A: 1\r\n..b: 2\r\n\r\none\r\n..two\r\n\r\nfour\r\n.\r\n"},
		{m, 1 << 30, "A: 1\r\n..b: 2\r\n\r\none\r\n..two\r\n\r\nfour\r\n.\r\n"},
		{"A: 1\r\n", 5, "A: 1\r\n.\r\n"}, {"A: 1", 0, "A: 1\r\n.\r\n"}, {"", 0, ".\r\n"}, {"\r\nbody\r\nmore", 1, "\r\nbody\r\n.\r\n"},
		{"A: 1\r\rone\rtwo\r", 1, "A: 1\r\n\r\none\r\n.\r\n"}, {"A: 1\r\r", 0, "A: 1\r\n\r\n.\r\n"}, {"A: 1\n\nx\n", 0, "A: 1\r\n\r\n.\r\n"},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			var b bytes.Buffer
			n, err := WriteTop(&b, r, c.lines)
			if err != nil || b.String() != c.want || n != int64(len(c.want)) {
				t.Errorf("%q %d became %q (%d), %v; want %q", c.in, c.lines, &b, n, err, c.want)
			}
		}
	}
}

// endless is a body that never ends.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = "x\n"[i%2]
	}
	e.read += len(b)
	return len(b), nil
}

func TestTopReadsNoFurtherThanItNeeds(t *testing.T) {
	t.Parallel()
	e := &endless{}
	if _, err := WriteTop(io.Discard, io.MultiReader(strings.NewReader("A: 1\n\n"), e), 20); err != nil || e.read > chunk {
		t.Errorf("read %d octets, %v", e.read, err)
	}
}

// idle never gives an octet.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// full takes no octet.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestBrokenContentIsNotEnded(t *testing.T) {
	t.Parallel()
	for r, want := range map[io.Reader]error{iotest.ErrReader(io.ErrClosedPipe): io.ErrClosedPipe, idle{}: io.ErrNoProgress} {
		var b bytes.Buffer
		_, err := WriteContent(&b, io.MultiReader(strings.NewReader("half\r\n"), r))
		if !errors.Is(err, want) || strings.Contains(b.String(), ".\r\n") {
			t.Errorf("%q, %v", &b, err)
		}
	}
	if _, err := WriteContent(full{}, strings.NewReader("a")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%v", err)
	}
}

// unstuff is what a client makes of an answer; ok is false if it breaks RFC 1939 §3.
func unstuff(answer string) (lines []string, ok bool) {
	for {
		line, rest, found := strings.Cut(answer, "\r\n")
		if !found || strings.ContainsAny(line, "\r\n") {
			return nil, false
		}
		if line == "." {
			return lines, rest == ""
		}
		if strings.HasPrefix(line, ".") {
			if line = line[1:]; !strings.HasPrefix(line, ".") {
				return nil, false
			}
		}
		lines, answer = append(lines, line), rest
	}
}

func FuzzContent(f *testing.F) {
	f.Add([]byte("A: 1\r\n\r\n.one\n\r.\r"), 1)
	f.Add([]byte(strings.Repeat("\r", 40000)), 3)
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		plain := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(in))
		var want []string
		if plain != "" {
			want = strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
		}
		var b bytes.Buffer
		if _, err := WriteContent(&b, bytes.NewReader(in)); err != nil {
			t.Fatal(err)
		}
		got, ok := unstuff(b.String())
		if !ok || strings.Join(got, "\n") != strings.Join(want, "\n") || len(got) != len(want) {
			t.Fatalf("%q became %q", in, b.String())
		}
		header := len(want)
		for i, line := range want {
			if line == "" {
				header = i + 1
				break
			}
		}
		n &= 0xff
		want = want[:min(len(want), header+n)]
		b.Reset()
		if _, err := WriteTop(&b, iotest.HalfReader(bytes.NewReader(in)), n); err != nil {
			t.Fatal(err)
		}
		if got, ok = unstuff(b.String()); !ok || strings.Join(got, "\n") != strings.Join(want, "\n") || len(got) != len(want) {
			t.Fatalf("TOP %d of %q is %q", n, in, b.String())
		}
	})
}

func BenchmarkWriteContent(b *testing.B) {
	in := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20000))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := WriteContent(io.Discard, bytes.NewReader(in)); err != nil {
			b.Fatal(err)
		}
	}
}

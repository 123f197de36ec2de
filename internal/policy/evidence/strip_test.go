package evidence

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"posthorn/internal/wire/authres"
)

const self = "mx.example.test"

// strip sends a message through a Stripper in pieces of the size; 0 is whole.
func strip(t testing.TB, text string, size int) (string, int) {
	t.Helper()
	var out bytes.Buffer
	s := NewStripper(self, &out)
	for rest := text; rest != ""; {
		n := len(rest)
		if size > 0 {
			n = min(n, size)
		}
		if got, err := io.WriteString(s, rest[:n]); err != nil || got != n {
			t.Fatal(got, err)
		}
		rest = rest[n:]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), s.Removed()
}

func TestForgedResultsAreRemoved(t *testing.T) {
	t.Parallel()
	const ours, other = "Authentication-Results: mx.example.test; spf=pass\r\n", "Authentication-Results: mx.other.test; spf=pass\r\n"
	for name, c := range map[string]struct {
		in, out string
		removed int
	}{
		"alone":                  {ours, "", 1},
		"first":                  {ours + "From: a\r\n\r\nbody", "From: a\r\n\r\nbody", 1},
		"between":                {"A: b\r\n" + ours + "From: a\r\n\r\n" + ours, "A: b\r\nFrom: a\r\n\r\n" + ours, 1},
		"several":                {ours + other + ours + "\r\n", other + "\r\n", 2},
		"folded":                 {"AUTHENTICATION-results \t:\r\n  MX.Example.Test.\r\n\t;\r\n dkim=pass\r\nTo: b\r\n", "To: b\r\n", 1},
		"line ends with LF":      {"To: b\nAuthentication-Results:\n mx.example.test 1;\n spf=pass\n\nbody", "To: b\n\nbody", 1},
		"quoted":                 {"Authentication-Results: \"mx.\\example.test\"; spf=pass\r\n\r\n", "\r\n", 1},
		"behind a comment":       {"Authentication-Results: (x (y)) mx.example.test; none\r\n\r\n", "\r\n", 1},
		"comment does not end":   {"Authentication-Results: (mx.example.test; none\r\n\r\n", "\r\n", 1},
		"no line end":            {"To: b\r\nAuthentication-Results: mx.example.test", "To: b\r\n", 1},
		"others":                 {other + "Authentication-Results-X: mx.example.test\r\nAuthentication-Result: mx.example.test\r\n\r\n", "", 0},
		"a line that is another": {" Authentication-Results: mx.example.test\r\nX:\r\n Authentication-Results: mx.example.test\r\n\r\n", "", 0},
		"no colon":               {"Authentication-Results\r\n : mx.example.test\r\nAuthentication-Results   ", "", 0},
		"in the body":            {"\r\n" + ours, "", 0},
		"in the body, LF":        {"\n" + ours, "", 0},
		"CR":                     {"\rA: b\r\n\rAuthentication-Results: mx.example.test\r\nAuthentication\rResults: mx.example.test\r\n\r\n", "", 0},
		"empty":                  {"", "", 0},
	} {
		if c.removed == 0 {
			c.out = c.in
		}
		for size := range 70 {
			if out, n := strip(t, c.in, size); out != c.out || n != c.removed {
				t.Errorf("%s, pieces of %d: removed %d\n%q, want\n%q", name, size, n, out, c.out)
			}
		}
	}
}

func TestWithoutANameNothingIsOurs(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	text := "Authentication-Results: ; spf=pass\r\n\r\n"
	if _, err := io.WriteString(NewStripper("", &out), text); err != nil || out.String() != text {
		t.Fatal(err, out.String())
	}
}

func TestOversizedResultsAreDroppedAndNotKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(" x\r\n", maxResults)
	for name, field := range map[string]string{
		"others":   "Authentication-Results: mx.other.test;\r\n" + long,
		"ours":     "Authentication-Results: mx.example.test;\r\n" + long,
		"name":     "Authentication-Results" + strings.Repeat(" ", 2*maxResults) + ": mx.other.test\r\n",
		"last one": "Authentication-Results: mx.other.test;" + strings.Repeat("x", maxResults) + "\r\n",
	} {
		for _, size := range []int{0, 1000, 32 << 10} {
			out, n := strip(t, "A: b\r\n"+field+"C: d\r\n\r\nbody", size)
			if want := "A: b\r\nC: d\r\n\r\nbody"; out != want || n != 1 {
				t.Errorf("%s, pieces of %d: removed %d, left %.80q of %d", name, size, n, out, len(out))
			}
		}
	}
	var out bytes.Buffer
	s := NewStripper(self, &out)
	if _, err := io.WriteString(s, "Authentication-Results: a;"); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := s.Write(make([]byte, 32<<10)); err != nil || cap(s.held) > 2*maxResults {
			t.Fatalf("%d octets are held: %v", cap(s.held), err)
		}
	}
	// One that just fits passes.
	field := "Authentication-Results: mx.other.test;\r\n "
	field += strings.Repeat("x", maxResults-len(field)-2) + "\r\n"
	for _, size := range []int{0, 1, 1000} {
		if out, n := strip(t, field+"\r\n", size); out != field+"\r\n" || n != 0 {
			t.Errorf("pieces of %d: %d octets left of %d", size, len(out), len(field)+2)
		}
	}
}

func TestErrorsOfTheWriterBehindReachTheOneBefore(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	for _, text := range []string{"A: b\r\n", "Authentication-Results: other.test\r\nTo: b\r\n", "X: y\r\nAuthentication-Results:"} {
		s := NewStripper(self, writerFunc(func([]byte) (int, error) { return 0, full }))
		if n, err := io.WriteString(s, text); n != 0 || !errors.Is(err, full) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// FuzzStripper compares with what wire/authres does to a whole header section.
func FuzzStripper(f *testing.F) {
	f.Add("From: a\r\nAuthentication-Results: mx.example.test; spf=pass\r\n\tsmtp.helo=x\r\nTo: b\r\n\r\nbody", uint8(3))
	f.Add("authentication-results \t: (c) MX.EXAMPLE.TEST\n\n", uint8(1))
	f.Add("A\rAuthentication-Results: mx.example.test\r\n\r\r\n\n", uint8(0))
	f.Add("Authentication-Results: (mx.example.test\r\n\"", uint8(9))
	f.Add("Authentication-Results: a\r\nAuthentication-Results:mx.example.test\r\n \r\n\r\n", uint8(17))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		if len(text) > maxResults {
			return
		}
		spans := authres.Own([]byte(text), self)
		want := string(authres.Remove([]byte(text), spans))
		if out, n := strip(t, text, int(size)); out != want || n != len(spans) {
			t.Errorf("removed %d of %d\n%q, want\n%q", n, len(spans), out, want)
		}
	})
}

// clean is a message of 20 kB as most are: no field of that name, but others
// that begin like it.
func clean() []byte {
	var b strings.Builder
	for range 8 {
		b.WriteString("Received: from a.example.org (a.example.org [192.0.2.1])\r\n\tby mx.example.test with ESMTPS id 01jz;\r\n\tTue, 1 Jul 2025 10:00:00 +0000\r\n")
	}
	b.WriteString("ARC-Seal: i=1; a=rsa-sha256; cv=none\r\nAutocrypt: addr=a@example.org\r\nFrom: a@example.org\r\nSubject: Hello\r\n\r\n")
	for b.Len() < 20<<10 {
		b.WriteString("0123456789abcdef0123456789abcdef0123456789abcdef0123456789 lorem ipsum\r\n")
	}
	return []byte(b.String())
}

func TestMessagesWithoutResultsPassInOnePieceWithoutMemory(t *testing.T) {
	text := clean()
	writes := 0
	s := NewStripper(self, writerFunc(func(p []byte) (int, error) { writes++; return len(p), nil }))
	per := testing.AllocsPerRun(20, func() {
		*s = Stripper{w: s.w, id: s.id}
		s.held = s.small[:0]
		for rest := text; len(rest) > 0; {
			n := min(len(rest), 97) // in the midst of lines
			if _, err := s.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	})
	if per != 0 {
		t.Errorf("%v allocations", per)
	}
	writes = 0
	*s = Stripper{w: s.w, id: s.id}
	if _, err := s.Write(text); err != nil || writes != 1 {
		t.Errorf("%d writes, %v", writes, err)
	}
}

func BenchmarkStripper(b *testing.B) {
	text := clean()
	forged := append([]byte("Authentication-Results: mx.example.test;\r\n\tspf=pass smtp.mailfrom=a@example.org\r\n"), text...)
	for name, message := range map[string][]byte{"clean": text, "forged": forged} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			s := NewStripper(self, io.Discard)
			for b.Loop() {
				*s = Stripper{w: io.Discard, id: self}
				s.held = s.small[:0]
				for rest := message; len(rest) > 0; {
					n := min(len(rest), 4<<10)
					if _, err := s.Write(rest[:n]); err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
			}
		})
	}
}

// Random sequences of what matters in header sections, against the same model.
func TestStripperDoesWhatRemoveDoes(t *testing.T) {
	t.Parallel()
	tokens := []string{"Authentication-Results", "AUTHENTICATION-results", "Authentication-Results:", "authentication-Result", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", "\n\t",
		" ", ":", ";", "(", ")", `"`, `\`, "/", "1", "=", "x", "mx.example.test", "MX.example.test.", "mx.other.test", "A", "To: b", "none"}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var b strings.Builder
		for range r.IntN(24) {
			b.WriteString(tokens[r.IntN(len(tokens))])
		}
		text := b.String()
		spans := authres.Own([]byte(text), self)
		want := string(authres.Remove([]byte(text), spans))
		if out, n := strip(t, text, r.IntN(30)); out != want || n != len(spans) {
			t.Fatalf("%q: removed %d of %d\n%q, want\n%q", text, n, len(spans), out, want)
		}
	}
}

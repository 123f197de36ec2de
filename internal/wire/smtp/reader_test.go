package smtp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// naiveData is RFC 5321 §4.5.2 written without regard to speed: what ends the
// content, and what the stuffed dots leave.
func naiveData(raw []byte) (content, rest []byte, done bool) {
	s := append([]byte("\r\n"), raw...)
	end := bytes.Index(s, []byte("\r\n.\r\n"))
	if end < 0 {
		return nil, nil, false
	}
	content = bytes.ReplaceAll(s[:end+2], []byte("\r\n."), []byte("\r\n"))
	return content[2:], s[end+5:], true
}

// pieces delivers what it holds in reads of the lengths given.
type pieces struct {
	data  []byte
	sizes []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := len(p.data)
	if len(p.sizes) > 0 {
		n = min(n, int(p.sizes[0])+1)
		p.sizes = p.sizes[1:]
	}
	n = copy(b, p.data[:n])
	p.data = p.data[n:]
	return n, nil
}

func checkData(t *testing.T, raw, sizes []byte) {
	t.Helper()
	var got bytes.Buffer
	var d Dot
	r := NewReader(&pieces{raw, sizes})
	err := r.ReadData(&d, &got)
	want, rest, done := naiveData(raw)
	if !done {
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%q ends: %v", raw, err)
		}
		return
	}
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Fatalf("%q in %v: got %q, want %q, %v", raw, sizes, got.Bytes(), want, err)
	}
	left, err := io.ReadAll(io.MultiReader(bytes.NewReader(r.buf[r.r:r.w]), r.src))
	if err != nil || !bytes.Equal(left, rest) {
		t.Fatalf("%q: left %q, want %q, %v", raw, left, rest, err)
	}
	crlfs := bytes.Count(want, []byte("\r\n"))
	if d.BareCR() != (bytes.Count(want, []byte("\r")) != crlfs) || d.BareLF() != (bytes.Count(want, []byte("\n")) != crlfs) {
		t.Fatalf("%q: bare CR %v, bare LF %v", raw, d.BareCR(), d.BareLF())
	}
	var naive bytes.Buffer
	for i, c := range want {
		switch {
		case c == '\r' && (i+1 == len(want) || want[i+1] != '\n'):
			naive.WriteString("\r\n")
		case c == '\n' && (i == 0 || want[i-1] != '\r'):
			naive.WriteString("\r\n")
		default:
			naive.WriteByte(c)
		}
	}
	var n Normalizer
	var out []byte
	for at := 0; at < len(want); {
		end := min(len(want), at+1+len(sizes)%5)
		out = n.Append(out, want[at:end])
		at = end
	}
	if out = n.End(out); !bytes.Equal(out, naive.Bytes()) {
		t.Fatalf("%q normalised: %q, want %q", want, out, naive.Bytes())
	}
}

func TestOnlyCRLFDotCRLFEndsContent(t *testing.T) {
	for _, raw := range []string{
		".\r\n", "a\r\n.\r\n", "a\r\n.\r\nQUIT\r\n", "a\n.\n\r\n.\r\n", "a\n.\r\n\r\n.\r\n", "a\r\n.\n\r\n.\r\n",
		"a\r.\r\r\n.\r\n", "a\r\n.\r\r\n.\r\n", "a\r\n.\rb\r\n.\r\n", "a\r\n\x00.\r\n.\r\n", "a\r\n.\x00\r\n.\r\n", "a\r\r\n.\r\n", "a\r\n..\r\n...\r\n.\r\n",
		"a\r\n. \r\n.\r\n", "a\r.\r\n\r\n.\r\n", "\n.\r\n.\r\n", "\r\n.\r\n", "a", "a\r\n.\r", "a\r\n..\r\n", "..\r\n.\r\n", "\r\n.\r\r\n.\r\n",
	} {
		for step := range 6 {
			checkData(t, []byte(raw), bytes.Repeat([]byte{byte(step)}, 40))
		}
		checkData(t, []byte(raw), nil)
	}
}

func FuzzData(f *testing.F) {
	f.Add([]byte("a\r\n.b\r\n..\r\n.\r\nNOOP\r\n"), []byte{0, 3, 1})
	f.Add([]byte("a\n.\n\r.\r\r\n.\r\r\n.\r\n"), []byte{2})
	f.Add([]byte("\r\n.\r\r\n\x00.\r\n.\r\n"), []byte{})
	f.Fuzz(func(t *testing.T, raw, sizes []byte) { checkData(t, raw, sizes) })
}

func FuzzBdat(f *testing.F) {
	f.Add([]byte("a\r\n.\r\nRSET\r\n"), []byte{0, 3, 1}, uint16(5))
	f.Fuzz(func(t *testing.T, raw, sizes []byte, n uint16) {
		var got bytes.Buffer
		r := NewReader(&pieces{raw, sizes})
		err := r.ReadChunk(int64(n), &got)
		if int(n) > len(raw) {
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			return
		}
		if err != nil || !bytes.Equal(got.Bytes(), raw[:n]) {
			t.Fatalf("%q, %v", got.Bytes(), err)
		}
		var whole, parts LineEnds
		whole.Note(raw)
		for _, c := range raw {
			parts.Note([]byte{c})
		}
		if whole != parts {
			t.Fatalf("%+v, octet by octet %+v", whole, parts)
		}
	})
}

func TestLinesEndInCRLF(t *testing.T) {
	r := NewReader(iotest.OneByteReader(strings.NewReader("NOOP\r\nA\rB\r\nC\n\r\n\nD")))
	for _, want := range []struct {
		line string
		err  error
	}{{"NOOP", nil}, {"A\rB", nil}, {"", ErrBareLF}, {"", nil}, {"", ErrBareLF}, {"", io.ErrUnexpectedEOF}} {
		got, err := r.ReadLine(100)
		if string(got) != want.line || !errors.Is(err, want.err) {
			t.Errorf("%q %v, want %q %v", got, err, want.line, want.err)
		}
	}
	if _, err := NewReader(strings.NewReader("")).ReadLine(10); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestLineLimitIsExact(t *testing.T) {
	for n := 508; n < 516; n++ {
		line := strings.Repeat("x", n)
		got, err := NewReader(strings.NewReader(line + "\r\n")).ReadLine(512)
		if (n <= 512) != (err == nil) || err == nil && string(got) != line {
			t.Errorf("%d: %v", n, err)
		}
	}
	long := strings.Repeat("y", MaxAuth)
	if got, err := NewReader(strings.NewReader(long + "\r\n")).ReadLine(MaxAuth); string(got) != long || err != nil {
		t.Error(len(got), err)
	}
}

// counting is an endless line that counts how much of it was read.
type counting int

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	*c += counting(len(b))
	return len(b), nil
}

func TestEndlessLineIsNotBuffered(t *testing.T) {
	var c counting
	r := NewReader(&c)
	if _, err := r.ReadLine(MaxAuth); !errors.Is(err, ErrLineTooLong) {
		t.Fatal(err)
	}
	if c > 64<<10 {
		t.Errorf("read %d octets", c)
	}
}

func TestIdleReaderGivesItsBufferBack(t *testing.T) {
	text := strings.Repeat("x", 5000) + "\r\n.\r\nQUIT\r\n"
	r := NewReader(strings.NewReader(text))
	var d Dot
	if err := r.ReadData(&d, io.Discard); err != nil || r.large == nil {
		t.Fatal(err)
	}
	if line, err := r.ReadLine(100); string(line) != "QUIT" || err != nil {
		t.Fatal(line, err)
	}
	if _, err := r.ReadLine(100); !errors.Is(err, io.EOF) || r.large != nil {
		t.Errorf("%v, large buffer kept: %v", err, r.large != nil)
	}
}

func TestRepliesAreRead(t *testing.T) {
	for in, want := range map[string]string{
		"250 2.1.0 ok\r\n":                     "250 2.1.0 ok",
		"250-mx\r\n250-SIZE 5\r\n250 HELP\r\n": "250 mx / SIZE 5 / HELP",
		"354\r\n":                              "354 ",
		"550-5.1.1 no\r\n550 5.1.1 such\r\n":   "550 5.1.1 no / such",
		"250 5.1.1 odd\r\n":                    "250 5.1.1 odd",
	} {
		got, err := ReadReply(NewReader(strings.NewReader(in)))
		if err != nil || got.String() != want {
			t.Errorf("%q: %q %v", in, got.String(), err)
		}
	}
	for _, in := range []string{"hello\r\n", "250-a\r\n251 b\r\n", "99 x\r\n", "2500 x\r\n", "650 x\r\n", strings.Repeat("250-x\r\n", 1000)} {
		if _, err := ReadReply(NewReader(strings.NewReader(in))); !errors.Is(err, ErrReply) {
			t.Errorf("%.20q: %v", in, err)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("250-mx\r\n250 2.0.0 ok\r\n"))
	f.Add([]byte("554 5.7.1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := ReadReply(NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		again, err := ReadReply(NewReader(bytes.NewReader(r.Append(nil))))
		if err != nil || again.Code != r.Code || len(again.Text) != len(r.Text) {
			t.Fatalf("%q: %+v, again %+v, %v", in, r, again, err)
		}
	})
}

func BenchmarkData(b *testing.B) {
	raw := append(bytes.Repeat([]byte(strings.Repeat("x", 72)+"\r\n"), 28), ".\r\n"...)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		var d Dot
		r := NewReader(bytes.NewReader(raw))
		if err := r.ReadData(&d, io.Discard); err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}

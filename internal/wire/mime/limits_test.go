package mime

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// hostile lists messages made to be expensive (reliability row 25).
var hostile = []struct {
	name   string
	opaque Limits // at least these are noticed
	write  func(w *bytes.Buffer)
}{
	{"depth 5000", LimitDepth, func(w *bytes.Buffer) {
		for i := range 5000 {
			fmt.Fprintf(w, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
	}},
	{"depth 5000 of messages", LimitDepth, func(w *bytes.Buffer) {
		w.WriteString(strings.Repeat("Content-Type: message/rfc822\r\nFrom: a@b\r\n\r\n", 5000))
	}},
	{"100 000 parts", LimitParts, func(w *bytes.Buffer) {
		w.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
		w.WriteString(strings.Repeat("--b\r\nContent-Type: application/x-unusual; name=some-name\r\nContent-ID: <some-id@example.org>\r\n\r\nx\r\n", 100_000))
	}},
	{"100 000 messages", LimitParts, func(w *bytes.Buffer) {
		w.WriteString("Content-Type: multipart/digest; boundary=b\r\n\r\n")
		w.WriteString(strings.Repeat("--b\r\n\r\nFrom: a@b\r\nTo: c@d\r\n\r\nx\r\n", 100_000))
	}},
	{"50 000 header fields", LimitHeader, func(w *bytes.Buffer) {
		w.WriteString(strings.Repeat("Delivered-To: someone@example.org\r\n", 50_000))
	}},
	{"one field of 10 MB", LimitHeader | LimitValue, func(w *bytes.Buffer) {
		w.WriteString("To: " + strings.Repeat("a@b,\r\n ", 10<<20/7))
	}},
	{"one line of 10 MB", LimitValue, func(w *bytes.Buffer) {
		w.WriteString("Subject: " + strings.Repeat("x", 10<<20))
	}},
	{"10 000 RFC 2231 parameters", LimitParams, func(w *bytes.Buffer) {
		w.WriteString("Content-Type: a/b")
		for i := range 10_000 {
			fmt.Fprintf(w, ";n*%d=x", i%1000)
		}
	}},
	{"50 000 addresses", LimitAddresses, func(w *bytes.Buffer) {
		w.WriteString("To: " + strings.Repeat("a@b,", 12_000))
		w.WriteString("\r\nCc: " + strings.Repeat("g:", 12_000))
		w.WriteString("\r\nFrom: " + strings.Repeat("(", 30_000) + "\r\n\r\n")
	}},
	{"parts full of addresses and parameters", LimitAddresses | LimitParams, func(w *bytes.Buffer) {
		w.WriteString("Content-Type: multipart/digest; boundary=b\r\n\r\n")
		for range 3000 {
			w.WriteString("--b\r\n\r\nContent-Type: text/x-y; " + strings.Repeat("a=;", 100) + "\r\nFrom: " + strings.Repeat("a,", 200) + "\r\n\r\n")
		}
	}},
	{"large values in every part", LimitValue, func(w *bytes.Buffer) {
		w.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
		value := strings.Repeat("v", 8000)
		for range 1000 {
			w.WriteString("--b\r\nContent-Description: " + value + "\r\nContent-Location: " + value + "\r\n\r\n")
		}
	}},
	{"near-delimiters at full depth", 0, func(w *bytes.Buffer) {
		for i := range MaxDepth - 1 {
			fmt.Fprintf(w, "Content-Type: multipart/mixed; boundary=%s%03d\r\n\r\n--%s%03d\r\n", strings.Repeat("b", 60), i, strings.Repeat("b", 60), i)
		}
		w.WriteString("\r\n" + strings.Repeat("--"+strings.Repeat("b", 66)+"\r\n", 200_000))
	}},
}

// TestHostileMessagesStayCheap measures memory, which does not depend on the
// machine; the tables above make the time show in the run of the tests.
func TestHostileMessagesStayCheap(t *testing.T) {
	const most = 32 << 20
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			var w bytes.Buffer
			c.write(&w)
			message := w.Bytes()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p := NewParser()
			for at := 0; at < len(message); at += 32 << 10 {
				p.Write(message[at:min(len(message), at+32<<10)])
			}
			s := p.Close()
			stored, err := s.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if total := after.TotalAlloc - before.TotalAlloc; total > most {
				t.Errorf("allocated %d octets", total)
			}
			if s.Opaque&c.opaque != c.opaque || c.opaque == 0 && s.Opaque != 0 {
				t.Errorf("opaque %b, want %b", s.Opaque, c.opaque)
			}
			if len(stored) > maxKept+MaxParts*40 {
				t.Errorf("stored form of %d octets", len(stored))
			}
			checkBounds(t, s)
			if err := checkRendering(s); err != nil {
				t.Error(err)
			}
			if err := checkStored(s); err != nil {
				t.Errorf("%.2000s", err)
			}
		})
	}
}

func TestABodyIsNeverHeld(t *testing.T) {
	chunk := bytes.Repeat([]byte("--"+strings.Repeat("x", 74)+"\r\n"), 1000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := NewParser()
	p.Write([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"))
	for range 100 << 20 / len(chunk) {
		p.Write(chunk[:100])
		p.Write(chunk[100:])
	}
	s := p.Close()
	runtime.ReadMemStats(&after)
	if total := after.TotalAlloc - before.TotalAlloc; total > 64<<10 || s.Size < 99<<20 {
		t.Errorf("allocated %d octets for a message of %d", total, s.Size)
	}
}

func checkBounds(t *testing.T, s *Structure) {
	addresses, params := 0, 0
	for i := range s.Parts {
		p := &s.Parts[i]
		params += len(p.Params) + len(p.DispositionParams)
		if len(p.Params) > MaxParams {
			t.Errorf("part %d has %d parameters", i, len(p.Params))
		}
		if p.Envelope != nil {
			n := p.Envelope.addresses()
			if addresses += n; n > MaxAddresses {
				t.Errorf("part %d has %d addresses", i, n)
			}
		}
	}
	if len(s.Parts) > MaxParts || addresses > maxTotalAddresses || params > maxTotalParams+MaxParams+MaxParts || !s.sound() {
		t.Errorf("%d parts, %d addresses, %d parameters", len(s.Parts), addresses, params)
	}
}

func TestParserKeepsNoLargeScratch(t *testing.T) {
	t.Parallel()
	p := NewParser()
	for range 1 << 10 {
		p.Write(bytes.Repeat([]byte("x: "+strings.Repeat("y", 1<<10)), 4)) // one line without end
	}
	if cap(p.held) > 2*headerLineCap {
		t.Errorf("held %d octets of an unfinished line", cap(p.held))
	}
	p.Close()
	if cap(p.held)+cap(p.field)+cap(p.buf) > 24<<10 {
		t.Error("a large message leaves large scratch behind")
	}
}

func TestAnOrdinaryMessageTakesFewAllocations(t *testing.T) {
	m := ordinary()
	p := NewParser()
	allocs := testing.AllocsPerRun(100, func() {
		p.Write(m)
		p.Close()
	})
	if allocs > 12 {
		t.Errorf("%v allocations", allocs)
	}
	stored, _ := Parse(m).AppendBinary(nil)
	if len(stored) > 500 {
		t.Errorf("stored form of %d octets", len(stored))
	}
}

func TestCorruptStoredFormsAreRefused(t *testing.T) {
	t.Parallel()
	for file, m := range goldenMessages(t) {
		b, _ := Parse(m).AppendBinary(nil)
		for n := range b {
			var s Structure
			if s.UnmarshalBinary(b[:n]) == nil {
				t.Errorf("%s: the first %d of %d octets are accepted", file, n, len(b))
			}
		}
		b[0]++
		var s Structure
		if s.UnmarshalBinary(b) == nil {
			t.Errorf("%s: a later version is accepted", file)
		}
	}
}

// Who owns the author address is judged by what the parser saw of From; where
// that is not all of it, it says so.
func TestAuthorsThatWereNotAllReadAreNoticed(t *testing.T) {
	pad := strings.Repeat("x", 60<<10)
	for name, head := range map[string]string{
		"behind ten thousand fields": strings.Repeat("A: b\r\n", MaxHeaderFields) + "From: ceo@corp.example\r\n",
		"behind a megabyte":          strings.Repeat("A: "+pad+"\r\n", 18) + "From: ceo@corp.example\r\n",
		"a second one behind them":   "From: me@own.example\r\n" + strings.Repeat("A: b\r\n", MaxHeaderFields) + "From: ceo@corp.example\r\n",
		"behind a long comment":      "From: me@own.example (" + pad + "\r\n " + pad + "), ceo@corp.example\r\n",
		"on a very long line":        "From: me@own.example (" + pad + pad + "), ceo@corp.example\r\n",
		"behind many others":         "To: " + strings.Repeat("a@b, ", MaxAddresses-1) + "\r\nFrom: me@own.example, ceo@corp.example\r\n",
		"two in one member":          "From: <me@own.example> <ceo@corp.example>\r\n",
		"continued after a megabyte": "From: me@own.example,\r\n" + strings.Repeat(" ("+pad+")\r\n", 18) + " ceo@corp.example\r\n",
	} {
		s := Parse([]byte(head + "\r\nbody\r\n"))
		if s.Opaque&LimitAuthors == 0 || s.FromFields == 0 {
			t.Errorf("%s: opaque %b, %d From fields", name, s.Opaque, s.FromFields)
		}
	}
	for name, head := range map[string]string{
		"plain":             "From: me@own.example\r\n",
		"long other fields": "Subject: " + pad + pad + "\r\nFrom: me@own.example\r\nX: " + pad + pad + "\r\n",
		"many recipients":   "From: me@own.example\r\nTo: " + strings.Repeat("a@b, ", MaxAddresses+1) + "\r\n",
		"inner message":     "From: me@own.example\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b (" + pad + pad + ")\r\n",
	} {
		if s := Parse([]byte(head + "\r\nbody\r\n")); s.Opaque&LimitAuthors != 0 || s.FromFields != 1 {
			t.Errorf("%s: opaque %b, %d From fields", name, s.Opaque, s.FromFields)
		}
	}
}

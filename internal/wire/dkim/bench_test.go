package dkim_test

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"posthorn/internal/wire/dkim"
)

// BenchmarkVerify is the cost of one RSA-2048 signature, without DNS, whose key record
// has been read before.
func BenchmarkVerify(b *testing.B) {
	line := strings.Repeat("0123456789abcdef", 4) + " lorem ipsum\r\n"
	for _, c := range []struct {
		name  string
		lines int
		canon dkim.Canon
	}{
		{"2kB/relaxed", 20, dkim.Relaxed},
		{"2kB/simple", 20, dkim.Simple},
		{"20kB/relaxed", 20 << 10 / 78, dkim.Relaxed},
		{"20kB/simple", 20 << 10 / 78, dkim.Simple},
		{"10MB/relaxed", 10 << 20 / 78, dkim.Relaxed},
		{"10MB/simple", 10 << 20 / 78, dkim.Simple},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := signer()
			s.Body = c.canon
			text := []byte(sign(b, s, sample+strings.Repeat(line, c.lines)))
			z := orgZone()
			var records dkim.Records
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m := dkim.NewMessage()
				if _, err := io.Copy(m, struct{ io.Reader }{bytes.NewReader(text)}); err != nil {
					b.Fatal(err)
				}
				if r := m.Verify(b.Context(), records.Keys(z, 0), now()); len(r) != 1 || r[0].Status != dkim.Pass {
					b.Fatal(r)
				}
			}
		})
	}
}

// Whatever a body holds, only a few kilobytes of memory are needed for it. The
// test is alone while it measures.
func TestALargeMessageNeedsLittleMemory(t *testing.T) {
	for name, part := range map[string]string{"text": "word word\r\n", "line ends": "\r\n", "spaces": " ", "one line": "x", "CR": "\r"} {
		signed := []byte(sign(t, signer(), "From: a@example.org\r\n\r\nx"))
		piece := []byte(strings.Repeat(part, 32<<10/len(part)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m := dkim.NewMessage()
		if _, err := m.Write(signed); err != nil {
			t.Fatal(err)
		}
		for range 64 { // 2 MiB
			if _, err := m.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		_ = m.Close() // never fails
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Errorf("%s: %d octets for 2 MiB of body", name, n)
		}
	}
}

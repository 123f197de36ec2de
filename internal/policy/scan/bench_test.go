package scan

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/d--j/go-milter"

	"posthorn/internal/base/mail"
	"posthorn/internal/wire/mime"
)

// What each scanner costs by itself, beside BenchmarkMessage of policy/check: the
// time a message waits for it, and the processor time of our own process (cpu-us),
// which for milters includes the milter, here in the same process.
func BenchmarkScanners(b *testing.B) {
	small, large := benchMessage(b, 1<<10), benchMessage(b, 700<<10)
	clam := clamd(b)
	spam, _ := rspamd(b)
	filters, end := benchMilter(b)
	defer end()
	rules, err := NewAttachments(AttachmentOptions{Rules: []Rule{
		{Name: "types", Types: []string{"executable"}, Members: true}, {Name: "extensions", Extensions: []string{"exe", "js"}, Members: true}, {Name: "bound", Bound: true},
	}})
	if err != nil {
		b.Fatal(err)
	}
	sender := address(b, "a@example.test")
	for name, ask := range map[string]func(*benched) error{
		"clamav": func(m *benched) error {
			_, err := clam.Scan(b.Context(), bytes.NewReader(m.text))
			return err
		},
		"rspamd": func(m *benched) error {
			_, err := spam.Scan(b.Context(), &Message{Content: bytes.NewReader(m.text), Size: int64(len(m.text)), Sender: sender, Recipients: []mail.Address{sender}})
			return err
		},
		"attachments": func(m *benched) error {
			_, err := rules.Scan(b.Context(), m.structure, bytes.NewReader(m.text))
			return err
		},
		"milter": func(m *benched) error { return filtered(b.Context(), filters, m, sender) },
	} {
		for size, m := range map[string]*benched{"2KB": small, "1MB": large} {
			b.Run(name+"/"+size, func(b *testing.B) {
				b.ReportAllocs()
				began := processor(b)
				for b.Loop() {
					if err := ask(m); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((processor(b)-began).Microseconds())/float64(b.N), "cpu-us/op")
			})
		}
	}
}

// benched is a message and what the parser says of it.
type benched struct {
	text      []byte
	structure *mime.Structure
}

// benchMessage has a zip of text attached, of about that size.
func benchMessage(b *testing.B, size int) *benched {
	b.Helper()
	var archived bytes.Buffer
	z := zip.NewWriter(&archived)
	for i := range 4 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("part %d.txt", i), Method: zip.Store})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(w, strings.Repeat("0123456789abcde\n", size*3/4/4/16)); err != nil {
			b.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	text := "From: a@example.test\r\nSubject: files\r\nMIME-Version: 1.0\r\nContent-Type: application/zip; name=files.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Lines(archived.Bytes())
	p := mime.NewParser()
	if _, err := p.Write([]byte(text)); err != nil {
		b.Fatal(err)
	}
	return &benched{[]byte(text), p.Close()}
}

// benchMilter is a milter on loopback that reads all and lets all pass.
func benchMilter(b *testing.B) (*Milters, func()) {
	b.Helper()
	server := milter.NewServer(milter.WithMilter(func() milter.Milter { return &milter.NoOpMilter{} }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	m := NewMilters(MilterOptions{Name: "bench", Endpoint: Endpoint{"tcp", l.Addr().String()}, Dial: dialer, Default: FallbackTempFail,
		ConnectTimeout: time.Minute, CommandTimeout: time.Minute, ContentTimeout: time.Minute})
	return m, func() {
		_ = server.Close() // and the listener with it
		<-served
	}
}

// filtered is one session with one message.
func filtered(ctx context.Context, filters *Milters, m *benched, who mail.Address) error {
	s := filters.Session()
	defer s.Close()
	s.Connect(ctx, client, "")
	s.Helo(ctx, "client.example")
	s.Mail(ctx, who)
	s.Rcpt(ctx, who)
	s.Data(ctx)
	start := m.structure.Parts[0].Body.Start
	_, err := s.Content(ctx, m.text[:start], section(string(m.text[start:])))
	if err == nil {
		err = s.Err()
	}
	return err
}

// processor is the processor time of this process so far.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

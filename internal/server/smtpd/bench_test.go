package smtpd

import (
	"context"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// script is a connection whose client is always ready: Read hands out one
// piece after the other, so that only the server's own work is measured.
type script struct {
	pieces []string
	rounds int
	at     int
	rest   string
	wrote  int64
	writes int
	said   io.Writer // nil: nobody listens
}

func (s *script) Read(b []byte) (int, error) {
	if s.rest == "" {
		if s.at == len(s.pieces) {
			if s.rounds--; s.rounds <= 0 {
				return 0, io.EOF
			}
			s.at = 1 // 0 is EHLO
		}
		s.rest = s.pieces[s.at]
		s.at++
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.wrote += int64(len(b))
	s.writes++
	if s.said != nil {
		return s.said.Write(b)
	}
	return len(b), nil
}
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// nowhere is a store that keeps nothing.
type nowhere struct{}

type nowhereDraft struct{ size int64 }

func (d *nowhereDraft) Write(p []byte) (int, error) { d.size += int64(len(p)); return len(p), nil }
func (d *nowhereDraft) Size() int64                 { return d.size }
func (d *nowhereDraft) Open() (store.Body, error)   { return nil, store.ErrNotFound }
func (d *nowhereDraft) Discard()                    {}

func (nowhere) NewDraft(context.Context, int64) (store.Draft, error) { return &nowhereDraft{}, nil }
func (nowhere) Room(context.Context) (store.Room, error) {
	return store.Room{Free: 1 << 40, Total: 1 << 41}, nil
}
func (nowhere) Accept(context.Context, *store.Acceptance) (store.Accepted, error) {
	return store.Accepted{}, nil
}
func (nowhere) Usage(context.Context, store.AccountID) (store.Usage, error) {
	return store.Usage{}, nil
}
func (nowhere) OwnsSender(context.Context, store.AccountID, mail.Address) (bool, error) {
	return true, nil
}
func (nowhere) IsLocalSender(context.Context, mail.Address) (bool, error) { return false, nil }
func (nowhere) Resolve(_ context.Context, a mail.Address) (directory.Resolution, error) {
	return directory.Resolution{Kind: directory.Local, Account: 1, Deliveries: []directory.Delivery{{Account: 1, Address: a}}}, nil
}

func benchServer(r *record.Recorder) *Server {
	settings, checks := setting.Defaults[Settings](setting.Recommended), setting.Defaults[check.Settings](setting.Recommended)
	checks.Door.GreetingDelay = 0
	return New(Deps{
		Settings: func() *Settings { return &settings }, Hostname: func() string { return "mx.example.test" },
		Policy: policy.NewPipeline(checks.Rules()), Directory: nowhere{}, Sources: policy.Sources{Usage: nowhere{}, Senders: nowhere{}}, Store: nowhere{},
		Door: accept.New(nowhere{}, accept.Options{}), Idents: ident.NewSource(), Recorder: r,
	})
}

const envelopeCommands = "MAIL FROM:<sender@remote.example> SIZE=2048\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"

var contentOf2KB = "From: Sender <sender@remote.example>\r\nTo: Bob <bob@example.test>\r\nSubject: a message of usual size\r\n" +
	"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1234567890@remote.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
	strings.Repeat("The quick brown fox jumps over the lazy dog, and then it does so again.\r\n", 24) + ".\r\n"

// BenchmarkMessage is the session's own cost of a message of 2 KB: no kernel,
// no store.
func BenchmarkMessage(b *testing.B) {
	bench := func(b *testing.B, r *record.Recorder) {
		s := benchServer(r)
		c := &script{pieces: []string{"EHLO client.example\r\n", envelopeCommands, contentOf2KB}, rounds: b.N}
		b.ReportAllocs()
		b.ResetTimer()
		n := listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1234")})
		s.Serve(context.Background(), n)
		b.StopTimer()
		if want := 2*b.N + 2; c.writes != want {
			b.Fatalf("%d writes for %d messages, want %d", c.writes, b.N, want)
		}
	}
	b.Run("plain", func(b *testing.B) { bench(b, nil) })
	b.Run("recorded", func(b *testing.B) {
		r, err := record.Open(record.Options{
			Path: filepath.Join(b.TempDir(), "records.db"), Settings: func() record.Settings { return setting.Defaults[record.Settings](setting.Recommended) },
		})
		if err != nil {
			b.Fatal(err)
		}
		bench(b, r)
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

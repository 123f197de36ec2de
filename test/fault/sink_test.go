package fault

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"posthorn/internal/testkit/ledger"
)

// sink is the next host of queued mail: it enters what it took into the books
// and remembers when.
type sink struct {
	books *ledger.Ledger
	host  string
	port  string

	mu    sync.Mutex
	taken map[string][]time.Time // by content: when each copy was acknowledged
	count int
	pause time.Duration // before the final reply
}

func newSink(t *testing.T, books *ledger.Ledger) *sink {
	t.Helper()
	s := &sink{books: books, taken: map[string][]time.Time{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.host, s.port, err = net.SplitHostPort(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(s)
	server.Domain, server.MaxMessageBytes, server.MaxRecipients = "sink.test", 1<<30, 1000
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return s
}

// NewSession implements smtp.Backend.
func (s *sink) NewSession(*smtp.Conn) (smtp.Session, error) { return &sinkSession{s: s}, nil }

type sinkSession struct {
	s  *sink
	to []string
}

func (c *sinkSession) Mail(string, *smtp.MailOptions) error { return nil }
func (c *sinkSession) Reset()                               { c.to = nil }
func (c *sinkSession) Logout() error                        { return nil }

func (c *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = append(c.to, to)
	return nil
}

func (c *sinkSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	time.Sleep(c.s.pause)
	c.s.take(c.to, raw)
	return nil
}

// take enters a message; the 250 follows at once.
func (s *sink) take(to []string, raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range to {
		if s.books.Found(r, raw) {
			s.count++
			_, content, _ := bytes.Cut(raw, []byte("\r\nSubject: ")) // the trace fields before it differ
			key := r + " " + string(content[:min(len(content), 40)])
			s.taken[key] = append(s.taken[key], time.Now())
		}
	}
}

func (s *sink) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// copies counts the copies after the first, how many of them came without a kill
// in between, and the most that one kill made: only what was under way when the
// server ended SMTP leaves open (RFC 5321 §4.1.1.4, RFC 1047).
func (s *sink) copies(kills []time.Time) (doubled, unexplained, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := make([]int, len(kills))
	for _, at := range s.taken {
		for i, again := range at[1:] {
			doubled++
			kill := slices.IndexFunc(kills, func(kill time.Time) bool { return at[i].Before(kill) && kill.Before(again) })
			if kill < 0 {
				unexplained++
				continue
			}
			made[kill]++
			most = max(most, made[kill])
		}
	}
	return doubled, unexplained, most
}

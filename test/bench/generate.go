package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// load is what the generator is asked to send.
type load struct {
	Addr        string
	LMTP        bool
	Connections int
	Messages    int
	Size        int
	Recipients  string // format with one %d
	Accounts    int
	Pipeline    bool
	Source      string // where connections come from: the proxy, with Client
	Client      string // named in a PROXY header; connection i is this address + i
	Key         string // file of the key that signs every message (DKIM)
}

// result is what it saw.
type result struct {
	Messages int
	Seconds  float64
	P50, P99 float64 // milliseconds from MAIL to the 250 after the dot
	CPU      float64 // seconds of the generator
}

func (r result) rate() float64 { return float64(r.Messages) / r.Seconds }

func generateMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("generate", flag.ContinueOnError)
	var l load
	f.StringVar(&l.Addr, "addr", "", "")
	f.BoolVar(&l.LMTP, "lmtp", false, "")
	f.IntVar(&l.Connections, "connections", 1, "")
	f.IntVar(&l.Messages, "messages", 1000, "")
	f.IntVar(&l.Size, "size", 2048, "")
	f.StringVar(&l.Recipients, "recipients", "user%d@example.test", "")
	f.IntVar(&l.Accounts, "accounts", 100, "")
	f.BoolVar(&l.Pipeline, "pipeline", false, "")
	f.StringVar(&l.Source, "source", "", "")
	f.StringVar(&l.Client, "client", "", "")
	f.StringVar(&l.Key, "key", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	r, err := generate(ctx, l)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// generate signs and opens the connections first, then starts the clock.
func generate(ctx context.Context, l load) (result, error) {
	heads, err := signed(l)
	if err != nil {
		return result{}, err
	}
	signing := selfCPU()
	sessions := make([]*session, l.Connections)
	for i := range sessions {
		s, err := dialAs(ctx, l, i)
		if err != nil {
			return result{}, fmt.Errorf("connection %d: %w", i, err)
		}
		s.heads = heads
		defer s.conn.Close()
		sessions[i] = s
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, len(sessions))
	start := time.Now()
	for i, s := range sessions {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				n := int(next.Add(1)) - 1
				if n >= l.Messages || ctx.Err() != nil {
					return
				}
				if err := s.send(i, n); err != nil {
					errs <- fmt.Errorf("message %d: %w", n, err)
					return
				}
			}
		}()
	}
	wg.Wait()
	took := time.Since(start)
	select {
	case err := <-errs:
		return result{}, err
	default:
	}
	var all []time.Duration
	for _, s := range sessions {
		all = append(all, s.took...)
	}
	slices.Sort(all)
	return result{Messages: l.Messages, Seconds: took.Seconds(), P50: percentile(all, 50), P99: percentile(all, 99), CPU: selfCPU() - signing}, nil
}

func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, len(sorted)*p/100)].Microseconds()) / 1000
}

// session is one SMTP connection of the generator.
type session struct {
	l    load
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	took []time.Duration
	body []byte
	// heads are signed header sections that messages take in turn; none if the
	// session makes its own.
	heads [][]byte
}

func dial(ctx context.Context, l load) (*session, error) { return dialAs(ctx, l, 0) }

// dialAs opens the connection of worker i.
func dialAs(ctx context.Context, l load, i int) (*session, error) {
	var d net.Dialer
	if l.Source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(l.Source)}
	}
	var conn net.Conn
	var err error
	for range 50 {
		if conn, err = d.DialContext(ctx, "tcp", l.Addr); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond) // a full listen queue of the peer
	}
	if err != nil {
		return nil, err
	}
	s := &session{l: l, conn: conn, in: bufio.NewReader(conn), body: content(l.Size)}
	if l.Client != "" {
		if _, err := fmt.Fprintf(conn, "PROXY TCP4 %s 192.0.2.1 %d 25\r\n", nth(l.Client, i), 20000+i); err != nil {
			return nil, err
		}
	}
	hello := "EHLO bench.example.test\r\n"
	if l.LMTP {
		hello = "LHLO bench.example.test\r\n"
	}
	if err := s.expect('2'); err != nil {
		return nil, err
	}
	return s, s.ask(hello, '2')
}

// content is a plain text body of about the size, in CRLF lines.
func content(size int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	var b bytes.Buffer
	for b.Len() < size {
		for range 12 {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteByte(' ')
		}
		b.Truncate(b.Len() - 1) // few programs leave white space there
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

var words = []string{"mail", "house", "letter", "carrier", "horn", "road", "stage", "coach", "seal", "stamp", "parcel", "evening", "morning"}

func (s *session) send(worker, n int) error {
	start := time.Now()
	rcpt := fmt.Sprintf(s.l.Recipients, n%s.l.Accounts)
	mail := fmt.Sprintf("MAIL FROM:<sender%d@bench.example.test>\r\n", worker)
	to := "RCPT TO:<" + rcpt + ">\r\n"
	if s.l.Pipeline {
		if err := s.ask(mail+to+"DATA\r\n", '2', '2', '3'); err != nil {
			return err
		}
	} else {
		for _, step := range []struct {
			line string
			want byte
		}{{mail, '2'}, {to, '2'}, {"DATA\r\n", '3'}} {
			if err := s.ask(step.line, step.want); err != nil {
				return err
			}
		}
	}
	if len(s.heads) > 0 {
		s.out = append(s.out[:0], s.heads[n%len(s.heads)]...)
	} else {
		s.out = appendHeader(s.out[:0], worker, n, rcpt)
	}
	s.out = append(s.out, s.body...)
	s.out = append(s.out, ".\r\n"...)
	if _, err := s.conn.Write(s.out); err != nil {
		return err
	}
	if err := s.expect('2'); err != nil {
		return err
	}
	s.took = append(s.took, time.Since(start))
	return nil
}

func appendHeader(b []byte, worker, n int, rcpt string) []byte {
	return fmt.Appendf(b, "From: Sender %d <sender%d@bench.example.test>\r\nTo: <%s>\r\nSubject: benchmark message %d\r\n"+
		"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d.%d.%d@bench.example.test>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\n\r\n", worker, worker, rcpt, n, os.Getpid(), worker, n)
}

func (s *session) ask(lines string, want ...byte) error {
	if _, err := io.WriteString(s.conn, lines); err != nil {
		return err
	}
	for _, w := range want {
		if err := s.expect(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) expect(want byte) error {
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if line[0] != want {
			return fmt.Errorf("the server said %q", line)
		}
		return nil
	}
}

func selfCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

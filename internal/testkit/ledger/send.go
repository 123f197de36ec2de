package ledger

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// Load says how Send loads a server.
type Load struct {
	Addr        func() string // asked before each connection: it may change over a restart
	Connections int
	Accounts    []string
	// Sizes are taken in turn.
	Sizes []int
	// Pairs sends every n-th message to two accounts (through the queue).
	Pairs int
}

// Send sends until ctx ends, reconnecting whenever the server goes away. An
// acknowledgement counts as soon as its line has been read.
func Send(ctx context.Context, l *Ledger, load Load) {
	done := make(chan struct{}, load.Connections)
	for i := range load.Connections {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				_ = sendUntilError(ctx, l, load, i) // every fault ends here, and the next connection tries again
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
	}
	for range load.Connections {
		<-done
	}
}

func sendUntilError(ctx context.Context, l *Ledger, load Load, worker int) error {
	s, err := Dial(ctx, load.Addr())
	if err != nil {
		return err
	}
	defer s.Close()
	for i := 0; ctx.Err() == nil; i++ {
		to := []string{load.Accounts[(worker+i)%len(load.Accounts)]}
		if load.Pairs > 0 && i%load.Pairs == load.Pairs-1 && len(load.Accounts) > 1 {
			to = append(to, load.Accounts[(worker+i+1)%len(load.Accounts)])
		}
		m := l.Next(load.Sizes[i%len(load.Sizes)], to...)
		if err := s.Deliver(m); err != nil {
			return err
		}
		l.Acked(m)
	}
	return nil
}

// Session is a plain SMTP connection.
type Session struct {
	conn net.Conn
	in   *bufio.Reader
	stop func() bool
}

// Dial connects and greets.
func Dial(ctx context.Context, addr string) (*Session, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Session{conn: c, in: bufio.NewReader(c)}
	s.stop = context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now().Add(10 * time.Second)) })
	if err := s.expect("220"); err != nil {
		s.Close()
		return nil, err
	}
	return s, s.Do("EHLO "+domain, "250")
}

// Close ends the connection without a word.
func (s *Session) Close() {
	s.stop()
	_ = s.conn.Close()
}

// Deliver sends the message; nil means it was acknowledged.
func (s *Session) Deliver(m Message) error {
	if err := s.Do("MAIL FROM:<sender@"+domain+">", "250"); err != nil {
		return err
	}
	for _, r := range m.Recipients {
		if err := s.Do("RCPT TO:<"+r+">", "250"); err != nil {
			return err
		}
	}
	if err := s.Do("DATA", "354"); err != nil {
		return err
	}
	if _, err := s.conn.Write(append(m.Content, ".\r\n"...)); err != nil {
		return err
	}
	return s.expect("250")
}

// Do sends a line and demands a reply code.
func (s *Session) Do(line, code string) error {
	if _, err := fmt.Fprintf(s.conn, "%s\r\n", line); err != nil {
		return err
	}
	return s.expect(code)
}

// ReplyError is a reply other than the one demanded.
type ReplyError struct{ Line string }

// Error implements error.
func (e *ReplyError) Error() string { return "the server said " + e.Line }

func (s *Session) expect(code string) error {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return err
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, code) {
			return &ReplyError{strings.TrimSpace(line)}
		}
		return nil
	}
}

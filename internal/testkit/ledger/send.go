package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
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
	// Retry sends a message again until it is acknowledged, as a mail server
	// does; otherwise the next is sent.
	Retry bool
}

// Send sends until ctx ends, reconnecting whenever the server goes away. An
// acknowledgement counts as soon as its line has been read.
func Send(ctx context.Context, l *Ledger, load Load) {
	done := make(chan struct{}, load.Connections)
	for i := range load.Connections {
		go func() {
			defer func() { done <- struct{}{} }()
			s := sender{books: l, load: load, worker: i}
			for ctx.Err() == nil {
				_ = s.untilError(ctx) // every fault ends here, and the next connection tries again
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

// sender is one of a load.
type sender struct {
	books  *Ledger
	load   Load
	worker int
	turn   int
	again  *Message // to be sent again; nil for none
}

// untilError sends over one connection.
func (s *sender) untilError(ctx context.Context) error {
	c, err := Dial(ctx, s.load.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		m := s.next()
		err := c.Deliver(m)
		switch {
		case err == nil:
			s.books.Acked(m)
			continue
		case errors.Is(err, ErrSilent):
			s.books.Silent(m)
		}
		if s.load.Retry {
			s.again = &m
		}
		return err
	}
	return nil
}

// next is the message to send.
func (s *sender) next() Message {
	if m := s.again; m != nil {
		s.again = nil
		return *m
	}
	i, l := s.turn, &s.load
	s.turn++
	to := []string{l.Accounts[(s.worker+i)%len(l.Accounts)]}
	if l.Pairs > 0 && i%l.Pairs == l.Pairs-1 && len(l.Accounts) > 1 {
		to = append(to, l.Accounts[(s.worker+i+1)%len(l.Accounts)])
	}
	return s.books.Next(l.Sizes[i%len(l.Sizes)], to...)
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
	if err := s.expect("", "220"); err != nil {
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

// ErrSilent: the connection broke between the final dot and its reply.
var ErrSilent = errors.New("no reply to the final dot")

// Deliver sends the message; nil means it was acknowledged. Errors are
// ErrSilent, *ReplyError, and others that come before the final dot was sent.
func (s *Session) Deliver(m Message) error {
	if err := s.Offer(m); err != nil {
		return err
	}
	return s.Finish(m)
}

// Offer begins to deliver the message; nil means the server wants its content.
func (s *Session) Offer(m Message) error {
	if err := s.Do("MAIL FROM:<sender@"+domain+">", "250"); err != nil {
		return err
	}
	for _, r := range m.Recipients {
		if err := s.Do("RCPT TO:<"+r+">", "250"); err != nil {
			return err
		}
	}
	return s.Do("DATA", "354")
}

// Finish sends the content of what was offered; nil means it was acknowledged.
func (s *Session) Finish(m Message) error {
	if _, err := s.conn.Write(append(m.Content, ".\r\n"...)); err != nil {
		return err
	}
	err := s.expect(".", "250")
	var refused *ReplyError
	if err != nil && !errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return err
}

// Do sends a line and demands a reply code.
func (s *Session) Do(line, code string) error {
	if _, err := fmt.Fprintf(s.conn, "%s\r\n", line); err != nil {
		return err
	}
	verb, _, _ := strings.Cut(line, " ")
	return s.expect(verb, code)
}

// ReplyError is a reply other than the one demanded.
type ReplyError struct {
	// To is the verb it answers, "." the end of the content, "" the connection.
	To   string
	Line string
}

// Error implements error.
func (e *ReplyError) Error() string {
	return "to " + strconv.Quote(e.To) + " the server said " + e.Line
}

func (s *Session) expect(to, code string) error {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return err
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, code) {
			return &ReplyError{to, strings.TrimSpace(line)}
		}
		return nil
	}
}

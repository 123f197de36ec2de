package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// imapConn is a raw IMAP client: it sends commands and reads to the tagged
// replies, counting what comes and understanding no more than it must.
type imapConn struct {
	conn net.Conn
	in   *bufio.Reader
	line []byte
	next int
}

// tally counts what a server said.
type tally struct {
	Octets        int64 // everything received
	Literals      int
	LiteralOctets int64
	Fetch         int // untagged FETCH, EXPUNGE …
	Expunge       int
	Exists        int // the last number of EXISTS
	Numbers       int // of SEARCH, SORT and THREAD
	Threads       int // the outermost ones
}

func dialIMAP(addr string) (*imapConn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Minute))
	c := &imapConn{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	if err := c.readLine(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// open logs in and selects a mailbox.
func openIMAP(addr, user, password, mailbox string) (*imapConn, tally, error) {
	c, err := dialIMAP(addr)
	if err != nil {
		return nil, tally{}, err
	}
	if _, err := c.do("LOGIN " + user + " " + password); err != nil {
		return nil, tally{}, err
	}
	t, err := c.do("SELECT " + mailbox)
	return c, t, err
}

func (c *imapConn) tag() string { c.next++; return "t" + strconv.Itoa(c.next) }

// do sends one command and reads its answer.
func (c *imapConn) do(command string) (tally, error) {
	tag := c.tag()
	var t tally
	if _, err := io.WriteString(c.conn, tag+" "+command+"\r\n"); err != nil {
		return t, err
	}
	return t, c.until(tag, &t)
}

// pipeline sends all commands at once and reads all answers.
func (c *imapConn) pipeline(commands []string) (tally, error) {
	var out bytes.Buffer
	tags := make([]string, len(commands))
	for i, command := range commands {
		tags[i] = c.tag()
		out.WriteString(tags[i] + " " + command + "\r\n")
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.conn.Write(out.Bytes())
		sent <- err
	}()
	var t tally
	for _, tag := range tags {
		if err := c.until(tag, &t); err != nil {
			return t, err
		}
	}
	return t, <-sent
}

// appendMessage sends APPEND with a literal that needs no invitation.
func (c *imapConn) appendMessage(mailbox, date string, message []byte) error {
	tag := c.tag()
	head := fmt.Appendf(nil, "%s APPEND %s %s{%d+}\r\n", tag, mailbox, date, len(message))
	if _, err := c.conn.Write(append(append(head, message...), "\r\n"...)); err != nil {
		return err
	}
	return c.until(tag, &tally{})
}

// until reads responses up to the tagged one, which must be OK.
func (c *imapConn) until(tag string, t *tally) error {
	for {
		if err := c.response(t); err != nil {
			return err
		}
		if c.line[0] == '*' || c.line[0] == '+' {
			continue
		}
		name, rest, _ := strings.Cut(string(c.line[:min(len(c.line), 200)]), " ")
		if name != tag || !strings.HasPrefix(rest, "OK") {
			return fmt.Errorf("%s: the server said %q", tag, c.line)
		}
		return nil
	}
}

// response reads one response with its literals; the first line stays in
// c.line.
func (c *imapConn) response(t *tally) error {
	for first := true; ; first = false {
		if err := c.readLine(); err != nil {
			return err
		}
		t.Octets += int64(len(c.line))
		if first {
			t.count(c.line)
		}
		n, ok := literal(c.line)
		if !ok {
			if !first {
				c.line = append(c.line[:0], '*')
			}
			return nil
		}
		t.Literals++
		t.LiteralOctets += n
		t.Octets += n
		if _, err := c.in.Discard(int(n)); err != nil {
			return err
		}
	}
}

func (c *imapConn) readLine() error {
	c.line = c.line[:0]
	for {
		part, err := c.in.ReadSlice('\n')
		c.line = append(c.line, part...)
		if err == nil {
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// literal reports the size of a literal that a line announces at its end.
func literal(line []byte) (int64, bool) {
	if len(line) < 5 || line[len(line)-3] != '}' {
		return 0, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(line[open+1:len(line)-3]), 10, 64)
	return n, err == nil
}

func (t *tally) count(line []byte) {
	rest, ok := bytes.CutPrefix(line, []byte("* "))
	if !ok {
		return
	}
	for _, verb := range []string{"SEARCH", "SORT", "THREAD"} {
		if args, ok := bytes.CutPrefix(rest, []byte(verb)); ok {
			t.numbers(args)
			return
		}
	}
	number, rest, _ := bytes.Cut(rest, []byte(" "))
	switch {
	case bytes.HasPrefix(rest, []byte("FETCH")):
		t.Fetch++
	case bytes.HasPrefix(rest, []byte("EXPUNGE")):
		t.Expunge++
	case bytes.HasPrefix(rest, []byte("EXISTS")):
		t.Exists, _ = strconv.Atoi(string(number))
	}
}

// numbers counts numbers and outermost parentheses.
func (t *tally) numbers(args []byte) {
	depth, inside := 0, false
	for _, b := range args {
		digit := b >= '0' && b <= '9'
		if digit && !inside {
			t.Numbers++
		}
		inside = digit
		switch b {
		case '(':
			if depth == 0 {
				t.Threads++
			}
			depth++
		case ')':
			depth--
		}
	}
}

func (c *imapConn) logout() error {
	_, err := c.do("LOGOUT")
	return errors.Join(err, c.conn.Close())
}

package policy_test

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/testkit/memconn"
)

// client is one end of a connection; it speaks lines and never pipelines.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// patience is how long a client waits for a line, in virtual time.
const patience = 10 * time.Minute

// dial connects an address to a listener.
func (w *world) dial(from, listener string) *client {
	ip := netip.MustParseAddr(from)
	server := netip.MustParseAddrPort("192.0.2.25:25")
	if ip.Is6() {
		server = netip.MustParseAddrPort("[2001:db8::25]:25")
	}
	ours, theirs := memconn.Pair(netip.AddrPortFrom(ip, 31025), server)
	go func() {
		w.take(listener, theirs)
		_ = theirs.Close()
	}()
	return &client{conn: ours, in: bufio.NewReader(ours)}
}

// close ends our side.
func (c *client) close() { _ = c.conn.Close() }

// reply is what an SMTP server said: its lines without the code, joined.
type reply struct {
	code int
	text string
}

func (r reply) String() string { return strconv.Itoa(r.code) + " " + r.text }

// line reads one line.
func (c *client) line() (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	text, err := c.in.ReadString('\n')
	return strings.TrimRight(text, "\r\n"), err
}

// hear reads a reply. The end of the connection is code 0.
func (c *client) hear() (r reply, err error) {
	for {
		text, err := c.line()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return reply{}, err
		}
		if len(text) < 4 {
			return r, fmt.Errorf("%q is no reply", text)
		}
		if r.code, err = strconv.Atoi(text[:3]); err != nil {
			return r, err
		}
		r.text += text[4:]
		if text[3] == ' ' {
			return r, nil
		}
	}
}

// say sends a line and reads the reply to it.
func (c *client) say(text string) (reply, error) {
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		return reply{}, nil // the server has gone; what it said last was read before
	}
	return c.hear()
}

// mail is what a client brings.
type letter struct {
	from, helo, sender string // client address, name, reverse-path with brackets
	to                 []string
	content            string
	login              string
	listener           string
}

// content of mails that say nothing.
const plain = "From: somebody@client.example\r\nDate: Sat, 1 Jan 2000 00:00:00 +0000\r\n\r\nHello.\r\n"

// send carries a letter through a session of its own. It returns the replies to
// the greeting, EHLO, MAIL, each RCPT, DATA and the content, as far as it came.
func (w *world) send(m letter) (said []reply, err error) {
	c := w.dial(m.from, m.listener)
	defer c.close()
	hear := func(r reply, e error) bool {
		said, err = append(said, r), e
		return e == nil && r.code >= 200 && r.code < 400
	}
	if !hear(c.hear()) || !hear(c.say("EHLO "+m.helo)) {
		return said, err
	}
	if m.login != "" {
		secret := base64.StdEncoding.EncodeToString([]byte("\x00" + m.login + "\x00" + password))
		if !hear(c.say("AUTH PLAIN " + secret)) {
			return said, err
		}
	}
	if !hear(c.say("MAIL FROM:" + m.sender)) {
		return said, err
	}
	taken := 0
	for _, to := range m.to {
		if hear(c.say("RCPT TO:<" + to + ">")) {
			taken++
		}
		if said[len(said)-1].code == 0 || said[len(said)-1].code == 421 {
			return said, err
		}
	}
	if taken > 0 && hear(c.say("DATA")) {
		hear(c.say(m.content + "."))
	}
	if err == nil {
		_, err = c.say("QUIT")
	}
	return said, err
}

// last is the reply that decided.
func last(said []reply) reply {
	if len(said) == 0 {
		return reply{}
	}
	return said[len(said)-1]
}

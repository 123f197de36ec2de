package e2e

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// M-GEN-06: before TLS no protocol offers a login with a password, and one
// tried anyway is refused before the secret is asked for.
func TestPasswordsAreNotTakenInTheClear(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, door := range []string{"smtp", "submission"} {
		c := dial(t, "tcp", s.Addr(door))
		c.expect("", "220")
		if _, err := c.Write([]byte("EHLO else.example\r\n")); err != nil {
			t.Fatal(err)
		}
		for {
			answer, err := c.in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(answer, "PLAIN") || strings.Contains(answer, "LOGIN") {
				t.Errorf("%s offers %q", door, answer)
			}
			if answer[3] == ' ' {
				break
			}
		}
		if door == "submission" {
			c.expect("AUTH PLAIN", "504 5.5.4") // and no 334
			c.expect("AUTH LOGIN", "504 5.5.4")
			c.expect("MAIL FROM:<"+demo+">", "530 5.7.0")
		}
	}
	c := dial(t, "tcp", s.Addr("imap"))
	if greeting := c.say(""); !strings.Contains(greeting, "LOGINDISABLED") || strings.Contains(greeting, "AUTH=PLAIN") {
		t.Errorf("imap: %s", greeting)
	}
	c.expect("a LOGIN "+demo+" x", "a NO [PRIVACYREQUIRED]")
	c.expect("b AUTHENTICATE PLAIN", "b NO [PRIVACYREQUIRED]")
	p := dial(t, "tcp", s.Addr("pop3"))
	p.expect("", "+OK")
	p.expect("USER "+demo, "-ERR")
	p.expect("AUTH PLAIN", "-ERR")
	p.expect("CAPA", "+OK")
	for line := p.say(""); line != "."; line = p.say("") {
		if line == "USER" || strings.Contains(line, "PLAIN") {
			t.Errorf("pop3 offers %q", line)
		}
	}
}

// CVE-2011-0411: what a client, or somebody between, sent in the clear after
// STARTTLS is not taken for what came through TLS.
func TestNothingIsSmuggledPastSTARTTLS(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, tt := range []struct {
		door, greeting, text, answer, goodbye string
		lines                                 int
	}{
		{"submission", "220", "STARTTLS\r\nEHLO injected.example\r\n", "220", "QUIT", 1},
		{"imap", "* OK", "a STARTTLS\r\nb CAPABILITY\r\n", "a OK", "z LOGOUT", 2},
		{"pop3", "+OK", "STLS\r\nCAPA\r\n", "+OK", "QUIT", 1},
	} {
		c := dial(t, "tcp", s.Addr(tt.door))
		c.expect("", tt.greeting)
		if tt.door == "submission" {
			c.expect("EHLO else.example", "250")
		}
		if _, err := c.Write([]byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		// Refused, or closed, or the rest is dropped: never an answer to it.
		if answer, err := c.in.ReadString('\n'); err == nil && strings.HasPrefix(answer, tt.answer) {
			in := tls.Client(c.Conn, s.trust())
			if err := in.HandshakeContext(t.Context()); err != nil {
				continue
			}
			if _, err := io.WriteString(in, tt.goodbye+"\r\n"); err != nil {
				t.Fatal(err)
			}
			if rest, _ := io.ReadAll(in); strings.Count(string(rest), "\n") > tt.lines {
				t.Errorf("%s answers what came before TLS: %q", tt.door, rest)
			}
		}
	}
}

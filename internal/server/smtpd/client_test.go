package smtpd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/testkit/memconn"
	"posthorn/internal/wire/sasl"
	"posthorn/internal/wire/smtp"
)

// dial connects our own client to the world.
func (w *world) dial(listener string) *smtp.Client {
	c, _ := w.dialTLS(listener)
	return c
}

// dialTLS also returns what does the handshake for StartTLS.
func (w *world) dialTLS(listener string) (*smtp.Client, func() (smtp.Conn, *tls.ConnectionState, error)) {
	ours, theirs := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:1025"), netip.MustParseAddrPort("192.0.2.25:25"))
	go w.serve(listener, theirs)
	w.t.Cleanup(func() { _ = ours.Close() })
	return smtp.NewClient(ours, smtp.ClientOptions{LMTP: listener == "lmtp", Now: time.Now}), func() (smtp.Conn, *tls.ConnectionState, error) {
		t := tls.Client(ours, clientTLS())
		err := t.Handshake()
		state := t.ConnectionState()
		return t, &state, err
	}
}

func clientTLS() *tls.Config {
	_, pool := certificate()
	return &tls.Config{RootCAs: pool, ServerName: "mx.example.test"}
}

func addresses(names ...string) []mail.Address {
	var out []mail.Address
	for _, n := range names {
		out = append(out, mail.Address{Local: n, Domain: "example.test"})
	}
	return out
}

// inWorld runs f in a bubble with a world.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		f(t, w)
	})
}

func TestClientLogsInBoundToTheConnectionAndSends(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c, handshake := w.dialTLS("submission")
		err := errors.Join(c.Greet("client.example"), c.StartTLS("client.example", handshake))
		if err != nil {
			t.Fatal(err)
		}
		if params, _ := c.Extension("AUTH"); !strings.HasPrefix(params, "SCRAM-SHA-256-PLUS ") {
			t.Errorf("offered %s", params)
		}
		if err := c.Auth(sasl.Credentials{Name: "bob@example.test", Password: "wrong"}, true); err == nil {
			t.Error("a wrong password was taken")
		}
		if err := c.Auth(sasl.Credentials{Name: "bob@example.test", Password: password}, false); err != nil {
			t.Fatal(err)
		}
		bob := addresses("bob")[0]
		s, err := c.Send(smtp.Simple(bob, strings.NewReader("From: bob@example.test\n\nline\n.\nend"), addresses("alice", "nobody")...))
		if err != nil || !s.Taken(0) || s.Taken(1) {
			t.Errorf("%+v %v", s, err)
		}
		if err := errors.Join(c.Quit(), w.filed("alice 1"), w.line("alice ."), w.line("alice end")); err != nil {
			t.Error(err)
		}
	})
}

func TestClientAndServerAgreeOnEveryWayToSend(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		for _, body := range []smtp.BodyType{smtp.Body7Bit, smtp.Body8Bit, smtp.BodyBinary} {
			c := w.dial("smtp")
			if err := c.Greet("client.example"); err != nil {
				t.Fatal(err)
			}
			// More than one chunk, more than one group of recipients.
			m := smtp.Simple(mail.Address{}, strings.NewReader(fmt.Sprintf("Subject: %d\r\n\r\n%s\r\nend\r\n", body, strings.Repeat("0123456789\r\n", 100_000))), addresses("bob")...)
			m.Mail.Body = body
			for range 150 {
				m.Rcpt = append(m.Rcpt, m.Rcpt[0])
			}
			s, err := c.Send(m)
			if err != nil || !s.Taken(150) {
				t.Fatalf("%d: %v", body, err)
			}
			if err := errors.Join(c.Quit(), w.line(fmt.Sprintf("bob Subject: %d", body)), w.line("bob end")); err != nil {
				t.Error(err)
			}
		}
		c := w.dial("lmtp")
		if err := c.Greet("client.example"); err != nil {
			t.Fatal(err)
		}
		s, err := c.Send(smtp.Simple(mail.Address{}, strings.NewReader("x"), addresses("alice", "nobody", "bob")...))
		if err != nil || !s.Taken(0) || s.Taken(1) || !s.Taken(2) || len(s.Final) != 2 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

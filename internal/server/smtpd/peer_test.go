package smtpd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"posthorn/internal/testkit/memconn"
)

// TestAnIndependentClientIsServed sends with a client that others wrote.
func TestAnIndependentClientIsServed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		ours, theirs := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:1025"), netip.MustParseAddrPort("192.0.2.25:587"))
		go w.serve("submission", theirs)
		c, err := gosmtp.NewClientStartTLS(ours, clientTLS())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Auth(sasl.NewPlainClient("", "bob@example.test", password)); err != nil {
			t.Fatal(err)
		}
		err = c.SendMail("bob@example.test", []string{"alice@example.test", "x@far.example"}, strings.NewReader("From: bob@example.test\r\nSubject: peer\r\n\r\n.dot\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Quit() // says goodbye to TLS too, after the server has closed
		for _, err := range []error{w.filed("alice 1"), w.queued("1"), w.line("alice .dot"), w.line("alice Subject: peer")} {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

package e2e

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"posthorn/internal/testkit/daemon"
)

// submit connects go-smtp's client in one of three ways and logs in.
func (s *server) submit(way, mechanism, who string) *smtp.Client {
	s.t.Helper()
	var c *smtp.Client
	var err error
	switch way {
	case "TLS":
		c, err = smtp.DialTLS(s.Addr("submissions"), s.trust())
	case "STARTTLS":
		c, err = smtp.DialStartTLS(s.Addr("submission"), s.trust())
	default:
		c, err = smtp.Dial(s.Addr("submission"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() }) // the test is over
	var auth sasl.Client = sasl.NewPlainClient("", who, daemon.Password)
	if mechanism == sasl.Login {
		auth = sasl.NewLoginClient(who, daemon.Password)
	}
	if err := c.Auth(auth); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// go-smtp sends and go-imap reads every message of the corpus unchanged.
func TestGoClientsSendAndRead(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	sent := corpus()
	for i, m := range sent {
		c := s.submit([]string{"TLS", "STARTTLS", "clear"}[i%3], []string{sasl.Plain, sasl.Login}[i%2], demo)
		if err := c.Mail(demo, &smtp.MailOptions{Size: int64(len(m.content)), Body: smtp.Body8BitMIME}); err != nil {
			t.Fatal(err)
		}
		if err := c.Rcpt(admin, nil); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
	}
	for got, flags := range messages(t, s.imap(admin), "INBOX") {
		i := slices.IndexFunc(sent, func(m message) bool { return bytes.HasSuffix([]byte(got), m.content) })
		if i < 0 {
			t.Errorf("not as it was sent: %q", first([]byte(got)))
			continue
		}
		unchanged(t, sent[i].name, []byte(got), sent[i].content)
		sent = slices.Delete(sent, i, i+1)
		if slices.Contains(flags, imap.FlagSeen) {
			t.Errorf("read already: %q", flags)
		}
	}
	if len(sent) != 0 {
		t.Errorf("%d messages are missing, such as %s", len(sent), sent[0].name)
	}
}

// Addresses in other scripts need SMTPUTF8 and a domain that has them.
func TestGoClientSendsInternationalMail(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.do("domain", "add", "münchen.example")
	s.account("jörg@münchen.example")
	c := s.submit("TLS", sasl.Plain, demo)
	if err := c.Mail(demo, &smtp.MailOptions{UTF8: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("jörg@münchen.example", nil); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	text := "From: <" + demo + ">\r\nTo: <jörg@münchen.example>\r\nSubject: Grüß Gott\r\n\r\n日本\r\n"
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	arrived := messages(t, s.imap("jörg@xn--mnchen-3ya.example"), "INBOX")
	if len(arrived) != 1 {
		t.Errorf("%d messages arrived", len(arrived))
	}
	for got := range arrived {
		if !strings.Contains(got, "Subject: Grüß Gott\r\n") || !strings.HasSuffix(got, "日本\r\n") {
			t.Errorf("%q", got)
		}
	}
}

// A change on one device shows on the others at once (SYS-IMAP-01): mail that
// arrives by SMTP, flags and expunges of another client.
func TestGoClientIsToldInIdle(t *testing.T) {
	t.Parallel()
	s := start(t)
	counts := make(chan uint32, 100)
	flagged, expunged := make(chan []imap.Flag, 100), make(chan uint32, 100)
	c, err := imapclient.DialTLS(s.Addr("imaps"), &imapclient.Options{TLSConfig: s.trust(), UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				counts <- *d.NumMessages
			}
		},
		Expunge: func(seq uint32) { expunged <- seq },
		Fetch: func(m *imapclient.FetchMessageData) {
			if b, err := m.Collect(); err == nil {
				flagged <- b.Flags
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	if err := c.Login(admin, daemon.Password).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	idle, err := c.Idle()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deliver(s.Addr("smtp"), "", "a@else.example", []string{admin}); err != nil {
		t.Fatal(err)
	}
	if n := take(t, counts); n != 1 {
		t.Errorf("%d messages", n)
	}
	other := s.imap(admin)
	if _, err := other.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := other.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagSeen, imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Fatal(err)
	}
	for flags := take(t, flagged); !slices.Contains(flags, imap.FlagSeen); flags = take(t, flagged) {
	}
	if err := other.Expunge().Close(); err != nil {
		t.Fatal(err)
	}
	if n := take(t, expunged); n != 1 {
		t.Errorf("expunged %d", n)
	}
	if err := idle.Close(); err != nil {
		t.Error(err)
	}
}

func take[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("not told")
		panic("unreachable")
	}
}

// Folders and messages are moved about.
func TestGoClientMovesMail(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.imap(demo)
	for _, name := range []string{"Entwürfe/2026", "日本語", "中文 & more", `with "quotes" \ and ~`} {
		if err := c.Create(name, nil).Wait(); err != nil {
			t.Errorf("create %s: %v", name, err)
			continue
		}
		data := store(t, c, "INBOX", corpus()[5].content)
		if _, err := c.Select("INBOX", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		moved, err := c.Move(imap.UIDSetNum(data.UID), name).Wait()
		if err != nil {
			t.Errorf("move to %s: %v", name, err)
			continue
		}
		if got := messages(t, c, name); len(got) != 1 || moved == nil {
			t.Errorf("%s: %d messages, %+v", name, len(got), moved)
		} else if _, ok := got[string(corpus()[5].content)]; !ok {
			t.Errorf("%s: the content changed", name)
		}
		if _, err := c.Select("INBOX", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		if err := c.Rename(name, name+" neu", nil).Wait(); err != nil {
			t.Errorf("rename %s: %v", name, err)
		}
		if err := c.Delete(name + " neu").Wait(); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if left := messages(t, c, "INBOX"); len(left) != 0 {
		t.Errorf("%d messages are left in INBOX", len(left))
	}
}

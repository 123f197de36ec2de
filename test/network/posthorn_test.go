package network

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/mail"
	"path/filepath"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"posthorn/internal/testkit/daemon"
)

// posthorn is one of ours on a host.
type posthorn struct {
	h      *host
	domain string
	d      *daemon.Daemon
}

// posthorn starts one on the host for the domain, with an account alice.
// settings are those of "setting set".
func (h *host) posthorn(domain string, settings ...string) *posthorn {
	t := h.w.t
	t.Helper()
	h.known(domain)
	names := nameServer + ":53"
	if h.v4 == "" {
		names = "[" + nameServer6 + "]:53"
	}
	data := filepath.Join(h.w.dir, "posthorn-"+h.name)
	p := &posthorn{h: h, domain: domain}
	p.d = daemon.Start(t, daemon.Options{Command: "serve", Data: data, Binary: h.script(daemon.Binary(t, false)),
		Listen: []string{"smtp=:25", "submission=:587", "imap=:143"},
		Args:   []string{"--dns", names, "--allow-root"}})
	p.run("", "domain", "add", domain)
	p.run("", append([]string{"setting", "set", "server.hostname=mail." + domain, "queue.retry=1s",
		// Strangers without a name in DNS wait and come back, but not for long.
		"policy.door.greeting_delay=1s", "policy.greylist.interval=1s"}, settings...)...)
	p.run(daemon.Password+"\n", "account", "add", "alice@"+domain, "--password-stdin")
	return p
}

// run runs a command of posthorn's and returns what it says.
func (p *posthorn) run(input string, args ...string) string {
	p.h.w.t.Helper()
	out, err := p.d.Run(input, args...)
	must(p.h.w.t, err)
	return out
}

// letter is a message somebody sends.
type letter struct {
	from, to string
	text     string // with its header
	mail     *smtp.MailOptions
	rcpt     *smtp.RcptOptions
}

// note is a letter with a subject.
func note(from, to, subject string) letter {
	return letter{from: from, to: to, text: "From: <" + from + ">\r\nTo: <" + to + ">\r\nSubject: " + subject + "\r\n\r\nHello.\r\n"}
}

// send submits a letter as alice of the server.
func (p *posthorn) send(l letter) {
	p.h.w.t.Helper()
	must(p.h.w.t, post(p.h.addr(587), sasl.NewPlainClient("", "alice@"+p.domain, daemon.Password), l))
}

// send gives a letter to Postfix as one of its own network.
func (p *postfix) send(l letter) {
	p.h.w.t.Helper()
	must(p.h.w.t, post(p.h.addr(25), nil, l))
}

// trusting accepts the certificates servers make for themselves.
var trusting = &tls.Config{InsecureSkipVerify: true}

func post(addr string, auth sasl.Client, l letter) error {
	c, err := smtp.DialStartTLS(addr, trusting)
	if err != nil {
		return err
	}
	defer c.Close()
	if auth != nil {
		if err := c.Auth(auth); err != nil {
			return err
		}
	}
	if err := c.Mail(l.from, l.mail); err != nil {
		return err
	}
	if err := c.Rcpt(l.to, l.rcpt); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(l.text)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// mails are the messages in alice's INBOX.
func (p *posthorn) mails() []*mail.Message {
	t := p.h.w.t
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.h.addr(143), 5*time.Second)
	must(t, err)
	c, err := imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: trusting})
	must(t, err)
	defer c.Close()
	must(t, c.Login("alice@"+p.domain, daemon.Password).Wait())
	box, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	if box.NumMessages == 0 {
		return nil
	}
	section := &imap.FetchItemBodySection{Peek: true}
	found, err := c.Fetch(imap.SeqSet{{Start: 1}}, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	must(t, err)
	var all []*mail.Message
	for _, m := range found {
		parsed, err := mail.ReadMessage(bytes.NewReader(m.FindBodySection(section)))
		must(t, err)
		all = append(all, parsed)
	}
	return all
}

// await waits for a message with the subject and returns it.
func await(t *testing.T, mails func() []*mail.Message, subject string) *mail.Message {
	t.Helper()
	var found *mail.Message
	eventually(t, 30*time.Second, "mail with the subject "+subject, func() bool {
		for _, m := range mails() {
			if m.Header.Get("Subject") == subject {
				found = m
			}
		}
		return found != nil
	})
	return found
}

package e2e

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// useGo sends and reads with the go-smtp and go-imap clients.
func useGo(p *post) {
	sent := letters(p.me, p.friend)
	for i, l := range sent {
		c := p.submit(p.name, []string{sasl.Plain, sasl.Login}[i%2], p.me)
		if err := c.SendMail(p.me, []string{p.friend}, strings.NewReader(string(l.content))); err != nil {
			p.t.Errorf("%s: %v", l.name, err)
		}
	}
	p.received(p.friend, "INBOX", sent)
	p.sendAbroad(func(to string, content []byte) {
		c := p.submit(p.name, sasl.Plain, p.me)
		if err := c.Mail(p.me, &smtp.MailOptions{UTF8: true, Body: smtp.Body8BitMIME}); err != nil {
			p.t.Fatal(err)
		}
		if err := c.Rcpt(to, nil); err != nil {
			p.t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			p.t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			p.t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			p.t.Fatal(err)
		}
	})

	c := p.read()
	for i, name := range folders() {
		if err := c.Create(name, nil).Wait(); err != nil {
			p.t.Fatalf("%s: %v", name, err)
		}
		data := store(p.t, c, name, sent[i].content, imap.FlagSeen)
		if _, err := c.Select(name, nil).Wait(); err != nil {
			p.t.Fatal(err)
		}
		if err := c.Store(imap.UIDSetNum(data.UID), &imap.StoreFlags{Op: imap.StoreFlagsSet, Flags: []imap.Flag{imap.FlagFlagged, "$Forwarded"}}, nil).Close(); err != nil {
			p.t.Error(err)
		}
		for _, flags := range messages(p.t, p.imap(p.me), name) {
			if slices.Contains(flags, imap.FlagSeen) || !slices.Contains(flags, imap.FlagFlagged) || !slices.Contains(flags, "$Forwarded") {
				p.t.Errorf("%s: flags %q", name, flags)
			}
		}
		p.received(p.me, name, sent[i:i+1])
	}
	p.listed(p.me)
}

// read logs in with go-imap's client in the way of the post.
func (p *post) read() *imapclient.Client {
	p.t.Helper()
	var c *imapclient.Client
	var err error
	switch p.way {
	case implicit:
		c, err = imapclient.DialTLS(p.Addr(p.imapAt), &imapclient.Options{TLSConfig: p.trust()})
	case upgraded:
		c, err = imapclient.DialStartTLS(p.Addr(p.imapAt), &imapclient.Options{TLSConfig: p.trust()})
	default:
		c, err = imapclient.DialInsecure(p.Addr(p.imapAt), nil)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() }) // the test is over
	if err := c.Login(p.me, password).Wait(); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// sendAbroad has a client send mail with fields in UTF-8 (RFC 6532) to each
// address that needs SMTPUTF8 (RFC 6531); one account reads them all.
func (p *post) sendAbroad(send func(to string, content []byte)) {
	p.t.Helper()
	before := len(messages(p.t, p.imap(p.friend), "INBOX"))
	var sent []string
	for i, to := range p.abroad {
		content := fmt.Sprintf("Date: Sun, 22 Nov 2026 10:02:%02d +0000\r\nMessage-ID: <abroad.%d.%s>\r\n", i, i, p.me) + "From: 山田 <" + p.me + ">\r\nTo: Jörg 小明 <" + to + ">\r\nSubject: 件名 für " + to + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n本文 你好 Grüße\r\n"
		send(to, []byte(content))
		sent = append(sent, content)
	}
	found := messages(p.t, p.imap(p.friend), "INBOX")
	if len(found) != before+len(sent) {
		p.t.Errorf("%d messages came from abroad of %d", len(found)-before, len(sent))
	}
	for _, content := range sent {
		arrived := ""
		for got := range found {
			if strings.HasSuffix(got, content) {
				arrived = got
			}
		}
		if arrived == "" {
			p.t.Errorf("did not arrive: %q", content)
			for got := range found {
				p.t.Logf("%q", got)
			}
			continue
		}
		unchanged(p.t, "abroad", []byte(arrived), []byte(content))
	}
}

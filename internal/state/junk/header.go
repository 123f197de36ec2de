package junk

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"posthorn/internal/wire/mime"
)

// telling are fields whose presence says something. Fields that a server adds
// on delivery are not among them: a message must look the same when it is
// judged and when it is learned.
var telling = map[string]bool{
	"list-id": true, "list-unsubscribe": true, "list-unsubscribe-post": true, "list-post": true, "precedence": true, "auto-submitted": true,
	"x-priority": true, "x-msmail-priority": true, "importance": true, "x-php-originating-script": true, "x-originating-ip": true,
	"feedback-id": true, "in-reply-to": true, "references": true, "organization": true, "sender": true, "dkim-signature": true,
	"thread-index": true, "x-campaign": true, "x-mailer-lid": true, "errors-to": true, "disposition-notification-to": true,
}

// header takes the marks of the header section that the parser does not keep.
func (c *collector) header(m Message, content io.ReaderAt, own func(host string) bool) error {
	span := m.Structure.Parts[0].Header
	b := make([]byte, min(span.Len(), maxHeader))
	n, err := content.ReadAt(b, span.Start)
	if err != nil && (err != io.EOF || n < len(b)) {
		return err
	}
	client, hops := m.Client, 0
	if client.Addr.IsValid() { // this server has written nothing yet
		own = nobody
	}
	for f := range mime.Fields(b) {
		name := strings.ToLower(string(f.Name[:min(len(f.Name), maxOctets)]))
		if telling[name] {
			c.adds(kindField, name)
		}
		switch name {
		case "x-mailer", "user-agent":
			c.scan(kindMailer, bounds(mime.Unfold(f.Value)))
		case "received":
			hop := parseHop(mime.Unfold(f.Value))
			if hops++; hops == 1 && own(hop.by) {
				client, hops = hop.from, 0
				own = nobody // what stands below was written by strangers
			} else if hops == 1 {
				own = nobody
				c.domain(kindClient, hop.by)
			}
		}
	}
	c.client(client)
	return nil
}

func nobody(string) bool { return false }

func bounds(b []byte) []byte { return b[:min(len(b), 1<<10)] }

// client adds where the message came from: networks as large as one owner
// usually has, and names.
func (c *collector) client(cl Client) {
	if cl.Addr.IsValid() {
		a := cl.Addr.Unmap()
		size := 24
		if a.Is6() {
			size = 48
		}
		if p, err := a.Prefix(size); err == nil {
			c.adds(kindClient, p.String())
		}
		if cl.Name == "" {
			c.adds(kindForm, "client without a name")
		}
	}
	if cl.Name != "" {
		c.adds(kindClient, registered(strings.ToLower(cl.Name)))
	}
	if cl.Helo != "" {
		c.adds(kindClient, "helo "+registered(strings.ToLower(cl.Helo)))
	}
}

// hop is what one Received field says.
type hop struct {
	from Client
	by   string
}

// parseHop reads a Received field as this server writes it and most others do:
// from HELO (NAME [ADDRESS]) by HOST …
func parseHop(value []byte) hop {
	var h hop
	rest, found := bytes.CutPrefix(bounds(value), []byte("from "))
	before, after, ok := bytes.Cut(rest, []byte(" by "))
	if !ok {
		before, after, ok = bytes.Cut(rest, []byte("\tby "))
	}
	if ok {
		by, _, _ := bytes.Cut(after, []byte(" "))
		h.by = strings.ToLower(string(by))
	}
	if !found {
		return h
	}
	helo, comment, _ := bytes.Cut(bytes.TrimSpace(before), []byte(" "))
	if !bytes.HasPrefix(helo, []byte("[")) {
		h.from.Helo = string(helo)
	}
	comment = bytes.Trim(comment, "() ")
	if open := bytes.IndexByte(before, '['); open >= 0 {
		literal, _, _ := bytes.Cut(before[open+1:], []byte("]"))
		if a, err := netip.ParseAddr(strings.TrimPrefix(string(literal), "IPv6:")); err == nil {
			h.from.Addr = a
		}
	}
	if name, _, ok := bytes.Cut(comment, []byte(" ")); ok && bytes.IndexByte(name, '.') > 0 {
		h.from.Name = string(name)
	}
	return h
}

// envelope takes the authors, where answers go, and the subject.
func (c *collector) envelope(e *mime.Envelope) {
	subject := mime.DecodeWords(e.Subject)
	c.scan(kindSubject, []byte(subject))
	if strings.TrimSpace(subject) == "" {
		c.adds(kindForm, "no subject")
	}
	if shouts(subject) {
		c.adds(kindForm, "subject in capitals")
	}
	domains := c.authors(e.From)
	c.answers(e.ReplyTo, domains)
	if _, domain, ok := strings.Cut(strings.Trim(e.MessageID, "<> "), "@"); ok {
		c.adds(kindID, registered(strings.ToLower(domain)))
	} else {
		c.adds(kindForm, "no message-id")
	}
	if len(e.To) == 0 {
		c.adds(kindForm, "no recipient named")
	} else if n := len(e.To) + len(e.Cc); n > 4 {
		c.adds(kindForm, fmt.Sprintf("%d recipients or more", 1<<log2(min(n, 1000))))
	}
}

// authors returns the registered domains of the authors.
func (c *collector) authors(from []mime.Address) map[string]bool {
	domains := map[string]bool{}
	for _, a := range from[:min(len(from), 4)] {
		if a.Kind != mime.Mailbox {
			continue
		}
		name := mime.DecodeWords(a.Name)
		c.scan(kindName, bounds([]byte(name)))
		if strings.Contains(name, "@") && !strings.Contains(strings.ToLower(name), strings.ToLower(a.Host)) {
			c.adds(kindForm, "author named like another address")
		}
		c.adds(kindFrom, strings.ToLower(a.Spec()))
		c.domain(kindFrom, a.Host)
		domains[registered(strings.ToLower(a.Host))] = true
	}
	if len(domains) == 0 {
		c.adds(kindForm, "no author")
	}
	return domains
}

func (c *collector) answers(to []mime.Address, authors map[string]bool) {
	for _, a := range to[:min(len(to), 4)] {
		if a.Kind != mime.Mailbox {
			continue
		}
		c.adds(kindReply, strings.ToLower(a.Spec()))
		c.domain(kindReply, a.Host)
		if !authors[registered(strings.ToLower(a.Host))] {
			c.adds(kindForm, "answers go elsewhere")
		}
	}
}

// shouts reports a text of some length with hardly a small letter.
func shouts(s string) bool {
	upper, lower := 0, 0
	for i := range len(s) {
		switch b := s[i]; {
		case 'A' <= b && b <= 'Z':
			upper++
		case 'a' <= b && b <= 'z':
			lower++
		}
	}
	return upper >= 8 && lower*8 < upper
}

func log2(n int) int {
	l := 0
	for ; n > 1; n >>= 1 {
		l++
	}
	return l
}

package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"time"
)

// corpus is a mailbox of made-up messages of about 2 KB that look like real
// ones: names, subjects in several charsets, several parts, threads. Message i
// is the same in every run.
type corpus struct {
	n      int
	parent []int // the message it answers; -1: it opens a thread
	root   []int
}

// What the searches look for.
const (
	soughtName = "okafor"
	soughtWord = "Fahrradschlauch"
)

func newCorpus(n int) *corpus {
	c := &corpus{n: n, parent: make([]int, n), root: make([]int, n)}
	r := rand.New(rand.NewPCG(7, 7))
	for i := range n {
		c.parent[i], c.root[i] = -1, i
		if i > 0 && r.IntN(100) < 60 {
			p := max(0, i-1-r.IntN(200))
			c.parent[i], c.root[i] = p, c.root[p]
		}
	}
	return c
}

// facts is what a server must answer about the corpus.
type facts struct {
	messages, named, worded int
	octets                  int64
}

func (c *corpus) facts() facts {
	f := facts{messages: c.n}
	for i := range c.n {
		f.octets += int64(len(c.message(i)))
		if strings.EqualFold(c.author(i).last, soughtName) {
			f.named++
		}
		if c.worded(i) {
			f.worded++
		}
	}
	return f
}

func (c *corpus) worded(i int) bool { return i%97 == 13 }

// date is later than that of every earlier message but for a jitter.
func (c *corpus) date(i int) time.Time {
	jitter := time.Duration(c.random(i, 1).IntN(3600)) * time.Second
	return time.Date(2024, 3, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i)*97*time.Second + jitter)
}

func (c *corpus) random(i int, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(i), purpose))
}

type person struct{ first, last, domain string }

var (
	firstNames = strings.Fields("Ada Jürgen Chidi Maria Łukasz Søren Hannah Ivan Яна Noor Pierre Zoë Akira Olga Tom Ruth Emeka Inés Karl Wei")
	lastNames  = strings.Fields("Okafor Brandt Müller Nowak Ivanova Tanaka Jensen Smith García Rossi Dubois Haddad Kowalski Larsen Weber Novák Silva Cohen Park Singh Ødegård " +
		"Fischer Moreau Bianchi Horvat Papadopoulos Yılmaz Lindqvist Murphy Virtanen Schulz Costa Popescu Nagy Adeyemi Chen Lopez Ricci Vogel Marin")
	domains  = strings.Fields("mail.example firma.example lists.example uni.example.org shop.example.net example.com post.example")
	subjects = []string{
		"Quarterly figures", "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Meeting on Thursday", "=?iso-8859-1?Q?R=E9union_de_service?=", "Invoice",
		"=?koi8-r?B?8NLJ18XU?=", "=?utf-8?B?5Lya6K2w44Gu44GK55+l44KJ44Gb?=", "[dev] patch for the parser", "Your order", "=?windows-1252?Q?Angebot_=80_f=FCr_Sie?=", "minutes", "lunch?",
	}
	prose = strings.Fields("the of and to in that is was for on with as his they at be this from have or by one had not but what all were when we there can an your which their said " +
		"if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down " +
		"only way find use may water long little very after words called just where most know größer café naïve Straße déjà année señor")
)

func (c *corpus) author(i int) person {
	r := c.random(i, 2)
	return person{firstNames[r.IntN(len(firstNames))], lastNames[r.IntN(len(lastNames))], domains[r.IntN(len(domains))]}
}

// field is the person as one address of a header field.
func (p person) field(r *rand.Rand) string {
	local := strings.ToLower(strings.Map(func(r rune) rune {
		if r > 126 {
			return 'x'
		}
		return r
	}, p.first+"."+p.last))
	name := p.first + " " + p.last
	switch {
	case strings.ContainsFunc(name, func(r rune) bool { return r > 126 }):
		name = "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(name)) + "?="
	case r.IntN(4) == 0:
		name = `"` + p.last + ", " + p.first + `"`
	}
	return name + " <" + local + "@" + p.domain + ">"
}

func (c *corpus) id(i int) string {
	return fmt.Sprintf("<%08x.%d@%s>", c.random(i, 3).Uint32(), i, c.author(i).domain)
}

// message is the content of message i with CRLF.
func (c *corpus) message(i int) []byte {
	r := c.random(i, 4)
	var b bytes.Buffer
	from, date := c.author(i), c.date(i).Format("Mon, 02 Jan 2006 15:04:05 -0700")
	fmt.Fprintf(&b, "Return-Path: <bounce-%d@%s>\r\nReceived: from mx%d.%s (mx%d.%s [192.0.2.%d])\r\n\tby mail.example.test (Postfix) with ESMTPS id %08X\r\n\tfor <user@example.test>; %s\r\n",
		i, from.domain, r.IntN(9), from.domain, r.IntN(9), from.domain, r.IntN(255), r.Uint32(), date)
	fmt.Fprintf(&b, "From: %s\r\nTo: Bench User <user@example.test>", from.field(r))
	for range r.IntN(3) {
		fmt.Fprintf(&b, ",\r\n %s", c.author(r.IntN(c.n)).field(r))
	}
	subject := fmt.Sprintf("%s %d", subjects[c.root[i]%len(subjects)], c.root[i])
	if c.parent[i] >= 0 {
		subject = "Re: " + subject
	}
	fmt.Fprintf(&b, "\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: %s\r\n", subject, date, c.id(i))
	c.references(&b, i)
	b.WriteString("MIME-Version: 1.0\r\nX-Mailer: Example Mailer 5.2\r\n")
	if i%5 == 0 {
		b.WriteString("List-Id: <dev.lists.example>\r\nList-Unsubscribe: <mailto:dev-leave@lists.example>\r\nPrecedence: list\r\n")
	}
	c.body(&b, r, i)
	return b.Bytes()
}

func (c *corpus) references(b *bytes.Buffer, i int) {
	p := c.parent[i]
	if p < 0 {
		return
	}
	fmt.Fprintf(b, "In-Reply-To: %s\r\n", c.id(p))
	var chain []string
	for ; p >= 0 && len(chain) < 8; p = c.parent[p] {
		chain = append([]string{c.id(p)}, chain...)
	}
	fmt.Fprintf(b, "References: %s\r\n", strings.Join(chain, "\r\n "))
}

// body writes the rest of the header section and the body.
func (c *corpus) body(b *bytes.Buffer, r *rand.Rand, i int) {
	room := max(300, 1750-b.Len())
	boundary := fmt.Sprintf("----=_Part_%d_%08x", i, r.Uint32())
	kind := r.IntN(100)
	switch {
	case kind < 60:
		c.text(b, r, i, kind, room)
	case kind < 80:
		fmt.Fprintf(b, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\nThis is a message in several parts.\r\n--%s\r\n", boundary, boundary)
		c.text(b, r, i, kind, room/2)
		fmt.Fprintf(b, "--%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body>\r\n<p>%s</p>\r\n</body></html>\r\n--%s--\r\n",
			boundary, strings.ReplaceAll(writing(r, room/3), "\r\n", "<br>\r\n"), boundary)
	default:
		fmt.Fprintf(b, "Content-Type: multipart/mixed;\r\n boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary)
		c.text(b, r, i, kind, room/2)
		fmt.Fprintf(b, "--%s\r\nContent-Type: application/pdf; name=\"report-%d.pdf\"\r\nContent-Disposition: attachment; filename=\"report-%d.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n",
			boundary, i, i)
		data := make([]byte, room/3)
		for k := range data {
			data[k] = byte(r.Uint32())
		}
		lines(b, base64.StdEncoding.EncodeToString(data))
		fmt.Fprintf(b, "--%s--\r\n", boundary)
	}
}

// text is one text part in one of the usual encodings.
func (c *corpus) text(b *bytes.Buffer, r *rand.Rand, i, kind, size int) {
	text := writing(r, size/2)
	if c.worded(i) {
		text += soughtWord + " gesucht\r\n"
	}
	text += writing(r, size/2)
	switch kind % 10 {
	case 0:
		b.WriteString("Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		lines(b, base64.StdEncoding.EncodeToString([]byte(text)))
	case 1, 2, 3:
		b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
		w := quotedprintable.NewWriter(b)
		_, _ = w.Write([]byte(text)) // a bytes.Buffer takes everything
		_ = w.Close()
	default:
		b.WriteString("Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
		b.WriteString(text)
	}
}

func writing(r *rand.Rand, size int) string {
	var b strings.Builder
	for column := 0; b.Len() < size; {
		w := prose[r.IntN(len(prose))]
		b.WriteString(w)
		if column += len(w) + 1; column > 66 {
			b.WriteString("\r\n")
			column = 0
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String() + "\r\n"
}

func lines(b *bytes.Buffer, s string) {
	for ; len(s) > 76; s = s[76:] {
		b.WriteString(s[:76] + "\r\n")
	}
	b.WriteString(s + "\r\n")
}

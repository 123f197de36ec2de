package junk

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	jp "golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"

	"posthorn/internal/wire/mime"
)

// corpus writes mail for one imagined account: a few dozen people it knows,
// lists and shops it deals with, and campaigns of spam from hosts that change.
// Words follow Zipf's law within common, topical and rare ones; both classes
// use the words of the other now and then.
type corpus struct {
	language
	r         *rand.Rand
	people    []person
	shops     []person
	campaigns []campaign
	n         int
	// noise is how many of hundred topical words are of the other class.
	noise int
}

type person struct{ name, address string }

type campaign struct {
	topic  topic
	hosts  []string
	mailer string
	html   bool
}

func newCorpus(l language, seed uint64) *corpus {
	c := &corpus{language: l, r: rand.New(rand.NewPCG(seed, 7)), noise: 10}
	for range 30 {
		c.people = append(c.people, c.person(c.host("test")))
	}
	for range 8 {
		c.shops = append(c.shops, c.person(c.host("example")))
	}
	for range 60 {
		c.campaigns = append(c.campaigns, campaign{
			topic: pick(c.r, l.spam), hosts: []string{c.host("test"), c.host("invalid"), c.host("test")},
			mailer: pick(c.r, []string{"", "PHPMailer 5.2", "Microsoft Outlook Express 6.00", "The Bat!", ""}), html: c.r.IntN(2) == 0,
		})
	}
	return c
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// zipf picks early members more often.
func (c *corpus) zipf(list []string) string {
	return list[min(len(list)-1, int(math.Pow(float64(len(list)), c.r.Float64()))-1)]
}

func (c *corpus) person(host string) person {
	name := c.rareWord() + " " + c.rareWord()
	return person{name, fmt.Sprintf("u%x@%s", c.r.IntN(1<<20), host)}
}

func (c *corpus) host(top string) string {
	syllables := []string{"ka", "lo", "mi", "ter", "net", "blue", "max", "soft", "ra", "zon", "vi", "del", "pro", "shop", "go"}
	return pick(c.r, syllables) + pick(c.r, syllables) + pick(c.r, syllables) + fmt.Sprint(c.r.IntN(100)) + "." + top
}

// rareWord is one of some thousand, the first of them more often.
func (c *corpus) rareWord() string {
	return c.zipf(c.rare) + c.zipf(c.rare) + pick(c.r, []string{"", "", pick(c.r, c.rare)})
}

// sentences writes n words on a topic.
func (c *corpus) sentences(n int, own topic, others []topic) string {
	var b strings.Builder
	for i := range n {
		switch x := c.r.IntN(100); {
		case x < 45:
			b.WriteString(c.zipf(c.common))
		case x < 65:
			b.WriteString(c.rareWord())
		case c.r.IntN(100) < c.noise:
			b.WriteString(pick(c.r, pick(c.r, others).words))
		default:
			b.WriteString(pick(c.r, own.words))
		}
		switch {
		case i%11 == 10:
			b.WriteString(map[string]string{"": "。\r\n", " ": ".\r\n"}[c.space])
		default:
			b.WriteString(c.space)
		}
	}
	return b.String()
}

func (c *corpus) length() int { return 15 + int(math.Exp(3.2+0.9*c.r.NormFloat64())) }

// draft is a message before it is written down.
type draft struct {
	from          person
	replyTo       string
	subject, body string
	html          bool
	fields        []string
	client        string
	domain        string // of the Message-ID
}

func (c *corpus) ham() []byte {
	d := draft{from: pick(c.r, c.people)}
	t := pick(c.r, c.language.ham)
	switch c.r.IntN(10) {
	case 0, 1, 2: // a shop or list, much like advertising
		d.from = pick(c.r, c.shops)
		d.html = true
		d.fields = append(d.fields, "List-Unsubscribe: <https://"+hostOfAddress(d.from)+"/u>")
		d.body = "https://" + hostOfAddress(d.from) + "/" + fmt.Sprint(c.r.IntN(1e6)) + "\r\n"
	case 3: // somebody unknown so far
		d.from = c.person(c.host("test"))
	case 4, 5, 6:
		d.fields = append(d.fields, "In-Reply-To: <x@example.test>", "User-Agent: Mutt/2.2")
	}
	d.subject = pick(c.r, t.subjects)
	if c.r.IntN(3) == 0 {
		d.subject += c.space + c.rareWord()
	}
	d.body = c.sentences(c.length(), t, c.language.spam) + d.body + d.from.name
	d.domain, d.client = hostOfAddress(d.from), "mx."+hostOfAddress(d.from)
	return c.write(d)
}

func hostOfAddress(p person) string { return p.address[strings.IndexByte(p.address, '@')+1:] }

// spam writes a message of a campaign; new ones turn up all the time.
func (c *corpus) spam() []byte {
	i := c.r.IntN(len(c.campaigns))
	if c.r.IntN(8) == 0 {
		c.campaigns[i] = newCampaign(c)
	}
	k := c.campaigns[i]
	host := pick(c.r, k.hosts)
	d := draft{from: c.person(host), subject: pick(c.r, k.topic.subjects), html: k.html, domain: host, client: "host" + fmt.Sprint(c.r.IntN(255)) + "." + host}
	if c.r.IntN(2) == 0 {
		d.subject += c.space + c.rareWord()
	}
	if k.mailer != "" {
		d.fields = append(d.fields, "X-Mailer: "+k.mailer)
	}
	if c.r.IntN(4) == 0 {
		d.replyTo = c.person(c.host("test")).address
	}
	if c.r.IntN(4) == 0 {
		d.fields = append(d.fields, "List-Unsubscribe: <https://"+host+"/out>")
	}
	d.body = c.sentences(c.length(), k.topic, c.language.ham) + "http://" + host + "/" + fmt.Sprint(c.r.IntN(1e9)) + "\r\n"
	return c.write(d)
}

func newCampaign(c *corpus) campaign {
	return campaign{topic: pick(c.r, c.language.spam), hosts: []string{c.host("test"), c.host("invalid")}, html: c.r.IntN(2) == 0}
}

// write puts a message down, in one of the language's character sets.
func (c *corpus) write(d draft) []byte {
	c.n++
	charset := pick(c.r, c.charsets)
	var b bytes.Buffer
	fmt.Fprintf(&b, "Received: from %s (%s [198.51.%d.%d]) by mx.home.test with ESMTP id x;\r\n\tMon, 02 Mar 2026 10:00:00 +0000\r\n", d.client, d.client, len(d.client), len(d.domain))
	fmt.Fprintf(&b, "From: %s <%s>\r\nTo: me@home.test\r\nSubject: %s\r\n", encodeWord(d.from.name), d.from.address, encodeWord(d.subject))
	fmt.Fprintf(&b, "Message-ID: <%d.%d@%s>\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n", c.n, c.r.IntN(1e6), d.domain)
	if d.replyTo != "" {
		fmt.Fprintf(&b, "Reply-To: <%s>\r\n", d.replyTo)
	}
	for _, f := range d.fields {
		b.WriteString(f + "\r\n")
	}
	kind, body := "plain", d.body
	if d.html {
		kind, body = "html", "<html><body><p>"+strings.ReplaceAll(body, "\r\n", "<br>\r\n")+"</p></body></html>"
	}
	fmt.Fprintf(&b, "Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n", kind, charset)
	text := encodeText(body, charset)
	for s := base64.StdEncoding.EncodeToString(text); len(s) > 0; {
		n := min(76, len(s))
		b.WriteString(s[:n] + "\r\n")
		s = s[n:]
	}
	return b.Bytes()
}

func encodeWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return s
	}
	return "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
}

func encodeText(s, charset string) []byte {
	encodings := map[string]encoding.Encoding{"iso-8859-1": charmap.ISO8859_1, "iso-2022-jp": jp.ISO2022JP, "gb18030": simplifiedchinese.GB18030, "utf-8": encoding.Nop}
	out, err := encoding.ReplaceUnsupported(encodings[charset].NewEncoder()).Bytes([]byte(s))
	if err != nil {
		panic(err)
	}
	return out
}

// parsed makes the message that Read wants.
func parsed(raw []byte) Message {
	return Message{Structure: mime.Parse(raw), Content: bytes.NewReader(raw)}
}

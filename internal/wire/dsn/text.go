package dsn

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/mail"
)

// Bounds of the text for people; the report after it names everybody.
const (
	maxGroups    = 20 // fates told apart
	maxAddresses = 20 // listed for one of them
	maxSubject   = 60 // characters
	maxReply     = 600
)

// catalogue is the text in one language. Words in braces are filled in.
type catalogue struct {
	tag, name string
	// subject is the Subject for the gravest action, untitled stands for a
	// message without one.
	subject  [actions]string
	untitled string
	// lead opens a list of addresses; {subject} is titled or nothing.
	lead   [actions]string
	titled string
	more   string // {count} addresses are not listed
	others string // {count} recipients are not told of
	// expired comes before the last cause of a recipient given up, {time} is
	// for how long it was tried.
	expired string
	advice  string // {do}
	// sentOn is for an address whose mail goes on to {final}, tell what to do
	// then: the sender cannot mend a forwarding.
	sentOn, tell string
	// wait and waitUntil tell of further attempts.
	wait, waitUntil    string
	delivered, relayed string
	full, header       string // what comes with the notice
	footer             string
	details            string
	labels             labels
	causes             [causes]advice
	span               func(time.Duration) string
	date               func(time.Time) string
}

// advice is what people are told about a cause.
type advice struct{ what, do string }

// labels stand before the technical details.
type labels struct {
	recipient, final, status, host, reply, reason, last, id, arrived, queue, reporter string
}

// catalogues are those there are; the first is the default.
var catalogues = []*catalogue{&english, &german, &japanese}

// Languages returns the languages the text can be written in.
func Languages() []string {
	tags := make([]string, len(catalogues))
	for i, c := range catalogues {
		tags[i] = c.tag
	}
	return tags
}

// chosen returns the catalogues of the notice, at least one.
func (n *Notice) chosen() []*catalogue {
	var out []*catalogue
	for _, tag := range n.Languages {
		for _, c := range catalogues {
			if c.tag == tag && len(out) < len(catalogues) {
				out = append(out, c)
			}
		}
	}
	if len(out) == 0 {
		out = catalogues[:1]
	}
	return out
}

func (n *Notice) tags() []string {
	var out []string
	for _, c := range n.chosen() {
		out = append(out, c.tag)
	}
	return out
}

// subject is the Subject of the notice.
func (n *Notice) subject() string {
	c := n.chosen()[0]
	title := shown(n.Original.Subject, maxSubject)
	if title == "" {
		title = c.untitled
	}
	return fill(c.subject[n.subjectAction()], "subject", title)
}

// fill puts values into a text; values are not looked at again.
func fill(text string, pairs ...string) string {
	braced := slices.Clone(pairs)
	for i := 0; i < len(pairs); i += 2 {
		braced[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(braced...).Replace(text)
}

// group is recipients that are told of together.
type group struct {
	first *Recipient
	key   groupKey
	names []string
	total int
}

type groupKey struct {
	action  Action
	cause   cause
	expired bool
	domain  string
	sentOn  string // where the address leads, if elsewhere
	until   time.Time
}

// groups puts recipients of one fate together, the gravest first, and returns
// how many recipients found no room.
func (n *Notice) groups() (out []*group, left int) {
	index := map[groupKey]*group{}
	for action := range actions {
		for i := range n.Recipients {
			r := &n.Recipients[i]
			if r.Action != action {
				continue
			}
			k := groupKey{action: action, domain: people(r.Address.Domain)}
			if r.forwarded() {
				k.sentOn = named(r.Address)
			}
			if action == Failed || action == Delayed {
				k.cause, k.expired, k.until = r.cause(), r.Expired, r.Until
			}
			g := index[k]
			if g == nil && len(out) == maxGroups {
				left++
				continue
			}
			if g == nil {
				g = &group{first: r, key: k}
				index[k] = g
				out = append(out, g)
			}
			if g.total++; len(g.names) < maxAddresses {
				g.names = append(g.names, r.name())
			}
		}
	}
	return out, left
}

// told is the address the sender used, if it can be read, else ours.
func (r *Recipient) told() mail.Address {
	if kind, text, ok := strings.Cut(r.Original, ";"); ok && (kind == "rfc822" || kind == "utf-8") {
		if a, err := mail.ParseAddress(text); err == nil {
			return a
		}
	}
	return r.Address
}

// forwarded reports that the sender knows another address.
func (r *Recipient) forwarded() bool { return r.told().Key() != r.Address.Key() }

// name is the address the sender knows, as people read it.
func (r *Recipient) name() string { return named(r.told()) }

func named(a mail.Address) string {
	local := shown(mail.Address{Local: a.Local}.String(), 100)
	if a.Domain == "" {
		return local
	}
	return local + "@" + people(a.Domain)
}

// people is the form of a domain that people read.
func people(domain string) string { return shown(mail.Unicode(domain), 260) }

// text writes the part for people: in each language what happened and what to
// do, then once the technical details.
func (n *Notice) text(f form) string {
	var p page
	chosen := n.chosen()
	groups, left := n.groups()
	for i, c := range chosen {
		if i > 0 {
			p.line("")
			p.line("-- " + c.name + " " + strings.Repeat("-", columns-4-textColumns(c.name)))
			p.line("")
		}
		n.prose(&p, c, groups, left, f)
	}
	n.technical(&p, chosen[0])
	return string(p)
}

// prose is the text in one language.
func (n *Notice) prose(p *page, c *catalogue, groups []*group, left int, f form) {
	title := shown(n.Original.Subject, maxSubject)
	for i, g := range groups {
		if title != "" && i == 0 {
			title = fill(c.titled, "subject", title)
		} else {
			title = ""
		}
		p.wrap("", "", fill(c.lead[g.key.action], "subject", title))
		p.line("")
		for _, name := range g.names {
			p.wrap("    ", "    ", name)
		}
		if g.total > len(g.names) {
			p.wrap("    ", "    ", fill(c.more, "count", strconv.Itoa(g.total-len(g.names))))
		}
		p.line("")
		for _, s := range n.explain(c, g) {
			p.wrap("", "", s)
			p.line("")
		}
	}
	if left > 0 {
		p.wrap("", "", fill(c.others, "count", strconv.Itoa(left)))
		p.line("")
	}
	end := fill(c.footer, "host", n.Host)
	switch {
	case f.full:
		end = c.full + c.space() + end
	case f.kind != "":
		end = c.header + c.space() + end
	}
	p.wrap("", "", end)
}

// space is what stands between two sentences.
func (c *catalogue) space() string {
	if c.tag == "ja" {
		return ""
	}
	return " "
}

// explain returns the paragraphs about one group.
func (n *Notice) explain(c *catalogue, g *group) []string {
	k := g.key
	if k.action == Delivered {
		return []string{c.delivered}
	}
	if k.action == Relayed {
		return []string{c.relayed}
	}
	said := c.causes[k.cause]
	what := said.what
	if k.expired {
		what = c.expired + c.space() + what
	}
	if k.sentOn != "" {
		what, said.do = c.sentOn+c.space()+what, c.tell
	}
	do := fill(c.advice, "do", said.do)
	if k.action == Delayed {
		do = c.wait
		if !k.until.IsZero() {
			do = fill(c.waitUntil, "until", c.date(k.until.In(n.Date.Location())))
		}
	}
	values := []string{"domain", k.domain, "final", k.sentOn, "host", n.Host, "time", c.span(g.first.Last.Sub(n.Arrived))}
	return []string{fill(what, values...), fill(do, values...)}
}

// technical is for whoever helps the sender.
func (n *Notice) technical(p *page, c *catalogue) {
	p.line("")
	p.line(c.details)
	p.rule("-", textColumns(c.details))
	l := &c.labels
	for i := 0; i < min(len(n.Recipients), maxGroups); i++ {
		r := &n.Recipients[i]
		p.line("")
		rows := [][2]string{{l.recipient, r.name()}}
		if r.forwarded() {
			rows = append(rows, [2]string{l.final, r.Address.String()})
		}
		rows = append(rows, [2]string{l.status, r.Action.String() + ", " + r.status().String()}, [2]string{l.host, r.Host})
		words := l.reply
		if r.ours() {
			words = l.reason
		}
		if !r.Reply.IsZero() {
			rows = append(rows, [2]string{words, r.Reply.String()})
		}
		p.table(append(rows, [2]string{l.last, n.stamp(r.Last)}))
	}
	p.line("")
	p.table([][2]string{{l.id, identifiers(n.Original.MessageID, 1)}, {l.arrived, n.stamp(n.Arrived)}, {l.queue, n.Queue}, {l.reporter, n.Host}})
}

func (n *Notice) stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(n.Date.Location()).Format(time.RFC1123Z)
}

// table adds label and value lines; empty values are left out.
func (p *page) table(rows [][2]string) {
	wide := 0
	for _, r := range rows {
		wide = max(wide, textColumns(r[0]))
	}
	indent := strings.Repeat(" ", wide+3)
	for _, r := range rows {
		if value := shown(r[1], maxReply); value != "" {
			p.wrap(pad(r[0]+":", wide+3), indent, value)
		}
	}
}

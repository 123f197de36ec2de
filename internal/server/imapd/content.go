package imapd

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/mime"
)

// content evaluates keys that look into the message.
func (s *searcher) content(k *imap.SearchKey, c *candidate) truth {
	switch {
	case c.structure == nil:
		return unknown
	case k.Op >= imap.KeySentBefore && k.Op <= imap.KeySentSince:
		t, ok := sent(c.structure.Envelope())
		return truthOf(ok && onDay(k.Op-imap.KeySentBefore, t, k.Date))
	}
	n := s.text(k.Text)
	switch {
	case k.Op == imap.KeyHeader && c.text == nil:
		return envelope(c.structure, k.Field, n)
	case c.text == nil:
		return unknown
	case k.Op == imap.KeyHeader:
		return truthOf(c.text.field(k.Field, n))
	case k.Op == imap.KeyBody:
		return truthOf(c.text.bodies(n))
	}
	return truthOf(c.text.header(n) || c.text.bodies(n))
}

func sent(e *mime.Envelope) (time.Time, bool) { return mime.ParseDate(e.Date) }

// text returns the needle of a text, made once.
func (s *searcher) text(text string) *needle {
	n := s.needle[text]
	if n == nil {
		n = newNeedle(text)
		s.needle[text] = n
	}
	return n
}

// envelope looks for the text in the fields kept with the structure. What it
// finds is there; what it does not find is decided by the header itself where
// the envelope may have less than that.
func envelope(m *mime.Structure, field string, n *needle) truth {
	e := m.Envelope()
	var text string
	switch field {
	case "subject":
		text = mime.DecodeWords(e.Subject)
	case "from":
		text = addresses(e.From)
	case "to":
		text = addresses(e.To)
	case "cc":
		text = addresses(e.Cc)
	case "bcc":
		text = addresses(e.Bcc)
	case "message-id":
		text = e.MessageID
	case "in-reply-to":
		text = e.InReplyTo
	default:
		return unknown
	}
	switch {
	case n.in(text):
		return isTrue
	case n.empty() || m.Opaque != 0 || field != "subject" && n.punctuated:
		return unknown
	}
	return isFalse
}

// addresses writes an address list for searching.
func addresses(list []mime.Address) string {
	var b strings.Builder
	for i := range list {
		a := &list[i]
		if a.Kind != mime.Mailbox {
			b.WriteString(mime.DecodeWords(a.Mailbox))
			b.WriteString("\n")
			continue
		}
		if a.Name != "" {
			b.WriteString(mime.DecodeWords(a.Name))
			b.WriteByte(' ')
		}
		b.WriteByte('<')
		b.WriteString(a.Spec())
		b.WriteString(">\n")
	}
	return b.String()
}

// texts reads the text of one message, piece by piece.
type texts struct {
	ctx       context.Context
	body      store.Body
	structure *mime.Structure
	raw       []byte // the header section
	loaded    bool
	err       error
}

// section returns the message's header section, no more than is interpreted.
func (t *texts) section() []byte {
	if !t.loaded {
		t.loaded = true
		t.raw = t.read(t.structure.Parts[0].Header)
	}
	return t.raw
}

func (t *texts) read(span mime.Span) []byte {
	b := make([]byte, min(span.Len(), mime.MaxHeaderSize))
	if n, err := t.body.ReadAt(b, span.Start); n < len(b) {
		t.err = err
		return nil
	}
	return b
}

// field looks into the fields of one name; an empty text asks whether there
// is one (RFC 3501 §6.4.4, HEADER).
func (t *texts) field(name string, n *needle) bool {
	for f := range mime.Fields(t.section()) {
		if strings.EqualFold(string(f.Name), name) && (n.empty() || n.in(mime.DecodeWords(string(mime.Unfold(f.Value))))) {
			return true
		}
	}
	return false
}

// header looks into the whole header section.
func (t *texts) header(n *needle) bool { return n.empty() || t.fields(t.section(), n) }

func (t *texts) fields(header []byte, n *needle) bool {
	for f := range mime.Fields(header) {
		if n.in(string(f.Name) + ": " + mime.DecodeWords(string(mime.Unfold(f.Value)))) {
			return true
		}
	}
	return false
}

// bodies looks into the texts of the message, decoded, and into the header
// sections of its parts.
func (t *texts) bodies(n *needle) bool {
	if n.empty() {
		return true
	}
	for i := range t.structure.Parts {
		p := &t.structure.Parts[i]
		if t.err != nil || searchTime(t.ctx) != nil {
			break
		}
		if i > 0 && t.fields(t.read(p.Header), n) || isText(p) && t.part(p, n) {
			return true
		}
	}
	if t.err == nil {
		t.err = searchTime(t.ctx)
	}
	return false
}

// isText holds for parts whose octets are text.
func isText(p *mime.Part) bool {
	return p.Type == "text" || p.Type == "message" && !slices.Contains([]string{"rfc822", "global"}, p.Subtype)
}

// part streams one text part past the needle.
func (t *texts) part(p *mime.Part, n *needle) bool {
	r, err := mime.DecodeReader(io.NewSectionReader(t.body, p.Body.Start, p.Body.Len()), p.Encoding)
	if err != nil {
		return false // an encoding nobody can read
	}
	if charset := mime.Charset(p.Param("charset")); charset != nil {
		r = charset.NewDecoder().Reader(r)
	}
	found, err := n.stream(t.ctx, r)
	if err != nil {
		t.err = err
	}
	return found
}

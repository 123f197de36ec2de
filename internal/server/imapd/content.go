package imapd

import (
	"context"
	"errors"
	"io"
	"strings"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/mime"
)

// content evaluates keys that look into the message.
func (s *searcher) content(k *imap.SearchKey, c *candidate) truth {
	switch {
	case k.Op >= imap.KeySentBefore && k.Op <= imap.KeySentSince:
		return s.sent(k, c)
	case c.text == nil && (k.Op != imap.KeyHeader || c.headers == nil):
		return unknown
	}
	n := s.text(k.Text)
	switch {
	case c.text == nil:
		return c.headers.look(c.row, k.Field, n)
	case k.Op == imap.KeyHeader:
		return truthOf(c.text.field(k.Field, n))
	case k.Op == imap.KeyBody:
		return truthOf(c.text.bodies(n))
	}
	return truthOf(c.text.header(n) || c.text.bodies(n))
}

// sent compares the day a message names as its own, whatever its zone.
func (s *searcher) sent(k *imap.SearchKey, c *candidate) truth {
	if c.headers == nil {
		return unknown
	}
	r, day := &c.headers.rows[c.row], dayOf(k.Date)
	switch {
	case !r.dated:
		return isFalse
	case k.Op == imap.KeySentBefore:
		return truthOf(r.day < day)
	case k.Op == imap.KeySentOn:
		return truthOf(r.day == day)
	}
	return truthOf(r.day >= day)
}

// text returns the needle of a text, made once.
func (s *searcher) text(text string) *needle {
	n := s.needle[text]
	if n == nil {
		n = newNeedle(text)
		s.needle[text] = n
	}
	return n
}

// texts reads the text of one message, piece by piece.
type texts struct {
	ctx       context.Context
	body      store.Body
	structure *mime.Structure
	raw       []byte  // the header section
	room      *[]byte // of stream
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
		if i > 0 && t.fields(t.read(p.Header), n) || p.IsText() && t.part(p, n) {
			return true
		}
	}
	if t.err == nil {
		t.err = searchTime(t.ctx)
	}
	return false
}

// part streams one text part past the needle: what a reader sees of it. ASCII
// is the same octets in nearly every text that is no page, and needs no
// character set to be found.
func (t *texts) part(p *mime.Part, n *needle) bool {
	var r io.Reader
	var err error
	if n.ascii && p.Subtype != "html" && mime.Charset(p.Param("charset")) == nil {
		r, err = mime.DecodeReader(io.NewSectionReader(t.body, p.Body.Start, p.Body.Len()), p.Encoding)
	} else {
		r, err = p.Text(t.body)
	}
	if errors.Is(err, mime.ErrUnknownEncoding) {
		return false // nobody can read it
	}
	found := false
	if err == nil {
		found, err = n.stream(t.ctx, r, t.room)
	}
	if err != nil {
		t.err = err
	}
	return found
}

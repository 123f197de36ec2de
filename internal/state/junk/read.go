package junk

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"posthorn/internal/wire/mime"
)

// Read takes the tokens of a message. Errors are those of reading Content; a
// message that breaks rules still has tokens.
func (f *Filter) Read(m Message) (*Tokens, error) {
	c, ok := f.spare.Get().(*collector)
	if !ok {
		c = newCollector(f.hasher)
	}
	defer f.spare.Put(c)
	c.reset()
	content := &bounded{r: m.Content, left: maxRead}
	if err := c.header(m, content, f.o.Own); err != nil {
		return nil, fmt.Errorf("junk: read header section: %w", err)
	}
	c.envelope(m.Structure.Envelope())
	if err := c.parts(m.Structure, content); err != nil {
		return nil, fmt.Errorf("junk: read text: %w", err)
	}
	return c.tokens(), nil
}

// bounded ends a message after so many octets were read: pages of mark-up
// without text are not read to their end.
type bounded struct {
	r    io.ReaderAt
	left int
}

// ReadAt implements io.ReaderAt.
func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	short := len(p) > b.left
	p = p[:min(len(p), b.left)]
	n, err := b.r.ReadAt(p, off)
	b.left -= n
	if short && err == nil {
		err = io.EOF
	}
	return n, err
}

// parts takes the types of all parts, the names of files and the text.
func (c *collector) parts(s *mime.Structure, content io.ReaderAt) error {
	plain, html := false, false
	left := maxText
	for i := range s.Parts[:min(len(s.Parts), maxParts)] {
		p := &s.Parts[i]
		c.part(p)
		if !p.IsText() || p.Body.Len() == 0 {
			continue
		}
		plain = plain || p.Subtype == "plain"
		html = html || p.Subtype == "html"
		// A part never takes all that is left: what the reader sees may follow.
		n, err := c.partText(p, content, max(left/2, min(left, maxText/16)))
		if err != nil {
			return err
		}
		left -= n
	}
	if html && !plain {
		c.adds(kindForm, "HTML alone")
	}
	if !html && !plain {
		c.adds(kindForm, "no text")
	}
	return nil
}

func (c *collector) part(p *mime.Part) {
	c.adds(kindType, p.Type+"/"+p.Subtype)
	if charset := p.Param("charset"); charset != "" {
		c.adds(kindType, "charset "+strings.ToLower(charset))
	}
	name := p.Filename()
	if name == "" {
		return
	}
	name = name[:min(len(name), 4*maxOctets)]
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		c.adds(kindFile, strings.ToLower(name[dot:]))
		name = name[:dot]
	}
	c.scan(kindFile, []byte(name))
}

// partText takes the words of one part and returns how many octets of text
// there were, at most limit.
func (c *collector) partText(p *mime.Part, content io.ReaderAt, limit int) (int, error) {
	r, err := p.Text(content)
	if errors.Is(err, mime.ErrUnknownEncoding) {
		c.adds(kindForm, "unknown transfer encoding")
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	c.read = slices.Grow(c.read[:0], min(limit, 32<<10))
	for len(c.read) < limit {
		n, err := r.Read(c.read[len(c.read):min(cap(c.read), limit)])
		c.read = c.read[:len(c.read)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if len(c.read) == cap(c.read) {
			c.read = slices.Grow(c.read, cap(c.read))
		}
	}
	c.scan(kindWord, c.read)
	return len(c.read), nil
}

package mime

import (
	"bytes"
	"io"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// markup reads the text of an HTML page: entities resolved, blocks on lines of
// their own, links and descriptions of pictures included, scripts and styles
// left out. It never fails on what it reads: a token too long to be looked at
// as one is given as it stands.
type markup struct {
	src    *onceFailed
	z      *html.Tokenizer
	out    []byte // to be read
	hidden atom.Atom
	rest   io.Reader // what follows after an overlong token
	done   bool
}

// maxMarkup is the longest tag or text between two tags that is understood.
const maxMarkup = 256 << 10

func newMarkup(r io.Reader) *markup {
	src := &onceFailed{r: r}
	m := &markup{src: src, z: html.NewTokenizer(src)}
	m.z.SetMaxBuf(maxMarkup)
	return m
}

// onceFailed remembers how reading ended; the tokenizer does not tell.
type onceFailed struct {
	r   io.Reader
	err error
}

func (o *onceFailed) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.r.Read(p)
	o.err = err
	return n, err
}

// Read implements io.Reader.
func (m *markup) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		switch {
		case m.rest != nil:
			return m.rest.Read(p)
		case m.done:
			return 0, m.src.err
		}
		m.next()
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// next takes one token.
func (m *markup) next() {
	switch m.z.Next() {
	case html.ErrorToken:
		if m.z.Err() == html.ErrBufferExceeded {
			m.rest = io.MultiReader(bytes.NewReader(m.z.Raw()), bytes.NewReader(m.z.Buffered()), m.src)
			return
		}
		m.done = true
	case html.TextToken:
		if m.hidden == 0 {
			m.text(m.z.Text())
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		m.tag(true)
	case html.EndTagToken:
		m.tag(false)
	}
}

// text appends what is shown: signs without width go, a hard space is a space.
func (m *markup) text(b []byte) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch r {
		case '\u00AD', '\u200B', '\uFEFF':
		case '\u00A0':
			m.out = append(m.out, ' ')
		default:
			m.out = utf8.AppendRune(m.out, r)
		}
		b = b[n:]
	}
}

// tag ends a line at every element but those inside one.
func (m *markup) tag(start bool) {
	name, attributes := m.z.TagName()
	a := atom.Lookup(name)
	switch a {
	case atom.Script, atom.Style:
		if m.hidden = 0; start {
			m.hidden = a
		}
	case atom.A, atom.Abbr, atom.B, atom.Bdi, atom.Bdo, atom.Big, atom.Cite, atom.Code, atom.Del, atom.Dfn, atom.Em, atom.Font, atom.I, atom.Ins,
		atom.Kbd, atom.Mark, atom.Q, atom.S, atom.Samp, atom.Small, atom.Span, atom.Strong, atom.Strike, atom.Sub, atom.Sup, atom.Tt, atom.U, atom.Var, atom.Wbr, atom.Img:
	default:
		m.out = append(m.out, '\n')
	}
	for start && attributes {
		var key, value []byte
		if key, value, attributes = m.z.TagAttr(); len(value) > 0 && described(atom.Lookup(key)) {
			m.out = append(m.out, ' ')
			m.text(value)
			m.out = append(m.out, ' ')
		}
	}
}

// described are attributes a reader sees or follows.
func described(a atom.Atom) bool { return a == atom.Alt || a == atom.Title || a == atom.Href }

package dkim

import (
	"bytes"
	"crypto/sha256"
	"errors"
)

const (
	// MaxHeader is how many octets of header section are kept. Signatures of
	// a message with more are not verified.
	MaxHeader = 1 << 20
	// maxSums bounds the hashes over the body; each costs time for each octet.
	maxSums = 8
	// headerStep is how much is taken for header section before looking for its end.
	headerStep = 4 << 10
	// maxSealed is how many ARC-Message-Signature fields get a hash over the body.
	maxSealed = 51
)

// ErrClosed: a message is written to after its end.
var ErrClosed = errors.New("the message has ended")

// Message takes in a message as received and keeps what signatures are
// verified by: the header section, and hashes over the body. It is an
// io.WriteCloser. It may not be used by several goroutines at once.
type Message struct {
	head   []byte
	seen   int // octets of head in which its end is not
	inBody bool
	closed bool
	fields []Field
	index  index
	wrong  string // why nothing in it can be trusted
	signed []placed
	wanted []Canon
	bodies [canons]*body
	sums   int
}

// NewMessage returns a Message that hashes the body as its signatures ask, and
// in the canonical forms given, for a signature that is yet to be written.
func NewMessage(sign ...Canon) *Message { return &Message{wanted: sign} }

// Write takes in the next octets. It fails only after Close.
func (m *Message) Write(p []byte) (int, error) {
	n := len(p)
	if m.closed {
		return 0, ErrClosed
	}
	for !m.inBody && len(p) > 0 {
		part := p[:min(len(p), headerStep)]
		rest := m.header(part)
		p = p[len(part)-len(rest):]
	}
	for _, b := range m.bodies {
		if b != nil && len(p) > 0 {
			b.write(p)
		}
	}
	return n, nil
}

// header takes in octets of the header section and returns those of the body.
func (m *Message) header(p []byte) []byte {
	room := MaxHeader - len(m.head)
	m.head = append(m.head, p[:min(room, len(p))]...)
	from := max(0, m.seen-3)
	i := bytes.Index(m.head[from:], []byte("\r\n\r\n"))
	switch {
	case bytes.HasPrefix(m.head, crlf): // no field at all
		i = 2
	case i >= 0:
		i += from + 4
	case len(p) > room:
		m.wrong = "the header section is too long"
		m.headerEnds(len(m.head))
		return nil
	default:
		m.seen = len(m.head)
		return nil
	}
	rest := p[len(p)-(len(m.head)-i)-max(0, len(p)-room):]
	m.headerEnds(i)
	return rest
}

// headerEnds reads the header section, whose end has been found, and sees which
// hashes are needed.
func (m *Message) headerEnds(end int) {
	m.inBody = true
	m.head = m.head[:end:end]
	section := m.head
	if bytes.HasSuffix(section, []byte("\r\n\r\n")) || bytes.Equal(section, crlf) {
		section = section[:len(section)-2] // else the message ends with its header section
	}
	fields, wrong := split(section)
	m.fields = fields
	if m.wrong == "" {
		m.wrong = wrong
	}
	m.index = newIndex(fields)
	for _, c := range m.wanted {
		m.want(c, whole)
	}
	if m.wrong != "" {
		return
	}
	m.plan("dkim-signature", MaxSignatures)
	m.plan("arc-message-signature", maxSealed)
}

// plan asks for the hashes of the first signatures of that name.
func (m *Message) plan(name string, most int) {
	all := m.index.of(name)
	for _, i := range all[:min(most, len(all))] {
		s := parseSignature(m.fields[i])
		m.signed = append(m.signed, placed{i, s})
		if s.fault == nil {
			m.want(s.body, s.length)
		}
	}
}

// placed is the signature in a field that was read ahead.
type placed struct {
	at int
	*signature
}

// signature returns that of the i-th field, nil if it was not read ahead.
func (m *Message) signature(i int) *signature {
	for _, p := range m.signed {
		if p.at == i {
			return p.signature
		}
	}
	return nil
}

func (m *Message) want(c Canon, limit int64) {
	if m.bodies[c] == nil {
		m.bodies[c] = &body{canon: c}
	}
	b, before := m.bodies[c], len(m.bodies[c].sums)
	if m.sums < maxSums {
		b.want(limit)
		m.sums += len(b.sums) - before
	}
}

// Close says that the message has ended. Verify and Sign do it themselves.
func (m *Message) Close() error {
	m.end()
	return nil
}

func (m *Message) end() {
	if m.closed {
		return
	}
	m.closed = true
	if !m.inBody {
		m.headerEnds(len(m.head))
	}
	for _, b := range m.bodies {
		if b != nil {
			b.end()
		}
	}
}

// Fields returns the header fields from the top, when the message has ended.
func (m *Message) Fields() []Field { return m.fields }

// Find returns the places in Fields of all fields with that name, which is
// lower case. They must not be changed.
func (m *Message) Find(name string) []int { return m.index.of(name) }

// Malformed says what is wrong with the header section, "" if nothing is. No
// signature of such a message is worth anything: others may read it differently.
func (m *Message) Malformed() string { return m.wrong }

// bodyHash returns the hash over the first limit octets of the body, and how
// many there are; ok is false if nobody asked for it in time.
func (m *Message) bodyHash(c Canon, limit int64) (sum [sha256.Size]byte, total int64, ok bool) {
	b := m.bodies[c]
	if b == nil {
		return sum, 0, false
	}
	for _, s := range b.sums {
		if s.limit == limit {
			s.hash.Sum(sum[:0])
			return sum, b.total, true
		}
	}
	return sum, b.total, false
}

// headerHash hashes the signed fields, then the signature without its value
// (RFC 6376 §3.7).
func (m *Message) headerHash(c Canon, names []string, signature []byte) [sha256.Size]byte {
	h := sha256.New()
	p := newPicker(m)
	sheet := sheets.Get().(*sheet)
	defer sheets.Put(sheet)
	text := sheet[:0]
	for _, name := range names {
		if raw, ok := p.pick(name); ok {
			text = append(c.AppendField(text, raw), crlf...)
			if len(text) >= outSize/2 {
				h.Write(text)
				text = sheet[:0]
			}
		}
	}
	h.Write(c.AppendField(text, signature))
	return [sha256.Size]byte(h.Sum(nil))
}

package mime

import (
	"bytes"
)

// Octets of a line that are looked at: a whole header line within reason, of a
// body line what a boundary delimiter needs.
const (
	headerLineCap = maxField
	bodyLineCap   = 2 + maxBoundary + 2 + 40
)

// Parser finds the structure of one message written to it in pieces of any
// size; the result does not depend on how the message is cut. It keeps the
// interpreted header values, the beginning of an unfinished line and a stack of
// open parts, never a body. The zero Parser is ready for use.
type Parser struct {
	s     *Structure
	arena arena

	at    int64 // where the current line begins
	next  int64 // where the line after it begins, while a line is handled
	eol   int   // octets of the line end before at
	lines int64 // line ends before at

	held    []byte // first octets of a line that began in an earlier Write
	heldLen int64  // all its octets so far
	heldCR  bool   // its last octet so far is CR

	crs, crlfs int64

	stack      []open
	boundaries int // entries of stack with a boundary
	inHeader   bool

	id           fieldID // of the field being collected; ignored if zero
	field        []byte  // its unfolded value
	cut          bool    // it is not whole
	sectionCount int     // fields of the current header section
	sectionSize  int64   // octets of it

	buf       []byte // scratch for unquoting
	segments  []segment
	params    []Param
	addresses []Address
}

// open is a part whose end has not been seen.
type open struct {
	part     int
	boundary string // of a multipart that may have further parts
	lines    int64  // line ends before its body
	root     bool   // begins a message, so its header section has an envelope
	digest   bool   // its parts are messages unless they say otherwise
	typed    bool   // a Content-Type field has been read
	disposed bool   // a Content-Disposition field has been read
}

// NewParser returns a Parser at the beginning of a message.
func NewParser() *Parser { return new(Parser) }

// Parse is a Parser's result for a message in memory. It does not refer to b.
func Parse(b []byte) *Structure {
	var p Parser
	p.Write(b)
	return p.Close()
}

// Reset discards what was written and keeps scratch memory, except what an
// unusual message has made large.
func (p *Parser) Reset() {
	const keep = 8 << 10
	fresh := Parser{stack: p.stack[:0]}
	if cap(p.held) <= keep {
		fresh.held = p.held[:0]
	}
	if cap(p.field) <= keep {
		fresh.field = p.field[:0]
	}
	if cap(p.buf) <= keep {
		fresh.buf = p.buf[:0]
	}
	*p = fresh
}

func (p *Parser) begin() {
	s := &Structure{}
	s.Parts = make([]Part, 0, 1)
	p.s = s
	// Room for what an ordinary message has.
	p.params = make([]Param, 0, 4)
	p.addresses = make([]Address, 0, 5)
	p.openPart(0, true)
}

// Write takes the next octets of the message. It never fails and does not
// retain b.
func (p *Parser) Write(b []byte) (int, error) {
	if p.s == nil {
		p.begin()
	}
	n := len(b)
	p.noteOctets(b)
	for len(b) > 0 {
		if !p.inHeader && p.heldLen == 0 {
			if b = p.skipBody(b); len(b) == 0 {
				break
			}
		}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			p.noteHeader(b)
			p.hold(b)
			break
		}
		p.noteHeader(b[:i])
		if p.heldLen > 0 {
			p.hold(b[:i])
			p.endLine(p.held, p.heldLen, p.heldCR, true)
			p.held, p.heldLen = p.held[:0], 0
		} else {
			p.endLine(b[:min(i, p.lineCap())], int64(i), i > 0 && b[i-1] == '\r', true)
		}
		b = b[i+1:]
	}
	return n, nil
}

// Close ends the message and returns its structure, which shares no memory
// with the parser. The parser is then ready for the next message.
func (p *Parser) Close() *Structure {
	if p.s == nil {
		p.begin()
	}
	if p.heldLen > 0 {
		p.endLine(p.held, p.heldLen, false, false)
	}
	p.s.Size = p.at
	p.closeParts(0, p.at, p.lines)
	if p.crs != p.crlfs {
		p.s.Flags |= HasBareCR
	}
	s := p.s
	p.Reset()
	return s
}

func (p *Parser) lineCap() int {
	if p.inHeader {
		return headerLineCap
	}
	return bodyLineCap
}

// hold remembers what may be needed of an unfinished line.
func (p *Parser) hold(b []byte) {
	if len(b) == 0 {
		return
	}
	if room := p.lineCap() - len(p.held); room > 0 {
		p.held = append(p.held, b[:min(room, len(b))]...)
	}
	p.heldLen += int64(len(b))
	p.heldCR = b[len(b)-1] == '\r'
}

// skipBody passes over whole body lines that cannot be delimiters and returns
// what begins with one that can, or with an unfinished line.
func (p *Parser) skipBody(b []byte) []byte {
	at, eol, crlfs, lines := 0, p.eol, int64(0), int64(0)
	longest := p.s.LongestLine
	for {
		rest := b[at:]
		if len(rest) > 1 && rest[0] == '-' && rest[1] == '-' && p.boundaries > 0 {
			break
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		at += i + 1
		lines++
		if i > 0 && rest[i-1] == '\r' {
			i--
			eol = 2
			crlfs++
		} else {
			eol = 1
		}
		if int64(i) > longest {
			longest = int64(i)
		}
	}
	if crlfs != lines {
		p.s.Flags |= HasBareLF
	}
	p.at += int64(at)
	p.eol = eol
	p.crlfs += crlfs
	p.lines += lines
	p.s.LongestLine = longest
	return b[at:]
}

// endLine handles one line. The head holds its first octets, n counts all of
// them before the LF, cr says that the last one is a CR, and ended is false
// only for an unterminated last line.
func (p *Parser) endLine(head []byte, n int64, cr, ended bool) {
	eol := 0
	switch {
	case ended && cr:
		n--
		eol = 2
		p.crlfs++
	case ended:
		eol = 1
		p.s.Flags |= HasBareLF
	}
	if int64(len(head)) > n {
		head = head[:n]
	}
	p.s.LongestLine = max(p.s.LongestLine, n)
	p.next = p.at + n + int64(eol)
	if p.inHeader {
		p.headerLine(head, n)
	} else {
		p.delimiter(head, n)
	}
	p.at, p.eol = p.next, eol
	if ended {
		p.lines++
	}
}

// headerLine handles a line of a header section. A line that is neither a
// field nor its continuation (an mbox "From " line, say) is passed over.
func (p *Parser) headerLine(head []byte, n int64) {
	if p.delimiter(head, n) {
		return
	}
	switch {
	case n == 0:
		p.endField()
		p.endHeader()
	case isWSP(head[0]):
		p.continueField(head)
	default:
		p.endField()
		p.startField(head)
	}
	p.sectionSize += p.next - p.at
	if int64(len(head)) < n && p.id != fieldOther {
		p.cut = true
		p.s.Opaque |= LimitValue
	}
}

// noteOctets looks at every octet of the message for the facts about them.
func (p *Parser) noteOctets(b []byte) {
	p.crs += int64(bytes.Count(b, []byte{'\r'}))
	if !p.s.Flags.Has(HasNUL) && hasNUL(b) {
		p.s.Flags |= HasNUL
	}
	if !p.s.Flags.Has(Has8Bit) && has8Bit(b) {
		p.s.Flags |= Has8Bit
	}
}

// noteHeader does the same for the message's own header section.
func (p *Parser) noteHeader(b []byte) {
	if !p.inHeader || len(p.stack) != 1 || p.s.Flags&(HasNUL|Has8Bit) == 0 {
		return
	}
	if hasNUL(b) {
		p.s.Flags |= HeaderNUL
	}
	if has8Bit(b) {
		p.s.Flags |= Header8Bit
	}
}

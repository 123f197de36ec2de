package mime

import (
	"bytes"
)

// usASCII is what RFC 2045 §5.2 assumes of a part without a usable Content-Type.
var usASCII = []Param{{Name: "charset", Value: "us-ascii"}}

// openPart begins a part at an offset. With all parts used up, what follows
// stays part of the multipart around it.
func (p *Parser) openPart(start int64, root bool) {
	if len(p.s.Parts) >= MaxParts {
		p.s.Opaque |= LimitParts
		return
	}
	part := Part{Header: Span{start, start}}
	if root {
		part.Envelope = new(Envelope)
	}
	p.s.Parts = append(p.s.Parts, part)
	p.stack = append(p.stack, open{part: len(p.s.Parts) - 1, root: root})
	p.inHeader = true
	p.sectionCount, p.sectionSize = 0, 0
}

func (p *Parser) top() (*open, *Part) {
	o := &p.stack[len(p.stack)-1]
	return o, &p.s.Parts[o.part]
}

// endHeader handles the empty line after a header section and decides what the
// body is to be read as.
func (p *Parser) endHeader() {
	o, part := p.top()
	part.Header.End = p.next
	part.Body = Span{p.next, p.next}
	o.lines = p.lines + 1
	p.inHeader = false
	p.settleType(part)
	if !part.isMultipart() && !part.isMessage() {
		return
	}
	if len(p.stack) >= MaxDepth {
		p.s.Opaque |= LimitDepth
		return
	}
	if part.isMessage() {
		// RFC 2046 §5.2.1 forbids encoding a message; one that is encoded
		// nonetheless cannot be looked into by offset.
		if !isEncoded(part.Encoding) {
			p.openPart(p.next, true)
		}
		return
	}
	o.digest = part.Subtype == "digest"
	if b := plainParam(part.Params, "boundary"); b != "" && len(b) <= maxBoundary {
		o.boundary = b
		p.boundaries++
	}
}

// settleType gives a part without a usable Content-Type its default.
func (p *Parser) settleType(part *Part) {
	if part.Type != "" {
		return
	}
	if p.inDigest() {
		part.Type, part.Subtype = "message", "rfc822" // RFC 2046 §5.1.5
		return
	}
	part.Type, part.Subtype, part.Params = "text", "plain", usASCII
}

func (p *Parser) inDigest() bool {
	return len(p.stack) > 1 && p.stack[len(p.stack)-2].digest
}

// delimiter handles the line if it is a boundary delimiter of an open
// multipart. The line end before it belongs to it (RFC 2046 §5.1.1).
func (p *Parser) delimiter(head []byte, n int64) bool {
	if p.boundaries == 0 || len(head) < 3 || head[0] != '-' || head[1] != '-' {
		return false
	}
	level, last := p.matchBoundary(head[2:], int64(len(head)) == n)
	if level < 0 {
		return false
	}
	p.closeParts(level+1, p.at-int64(p.eol), p.lines-1)
	if last {
		p.stack[level].boundary = ""
		p.boundaries--
		return true
	}
	p.openPart(p.next, false)
	return true
}

// matchBoundary finds the multipart a delimiter belongs to: an exact match
// from the inside out, else the longest boundary that the line begins with,
// which is enough by RFC 2046 §5.1.1.
func (p *Parser) matchBoundary(line []byte, whole bool) (level int, last bool) {
	exact := bytes.TrimRight(line, " \t\r")
	level = -1
	longest := 0
	for i := len(p.stack) - 1; i >= 0; i-- {
		b := p.stack[i].boundary
		if b == "" || len(b) > len(line) || string(line[:len(b)]) != b {
			continue
		}
		rest := line[len(b):]
		if whole && len(exact) == len(b) {
			return i, false
		}
		closing := len(rest) >= 2 && rest[0] == '-' && rest[1] == '-'
		if whole && closing && len(exact) == len(b)+2 {
			return i, true
		}
		if len(b) > longest {
			level, last, longest = i, closing, len(b)
		}
	}
	return level, last
}

// closeParts ends all open parts from level keep on, at an offset before which
// there are that many line ends. None of them reaches beyond it, even one
// whose header section or empty body ran into the delimiter.
func (p *Parser) closeParts(keep int, limit, lines int64) {
	if len(p.stack) == keep {
		return
	}
	if p.inHeader {
		p.endField()
		o, part := p.top()
		p.settleType(part)
		part.Header.End = max(limit, part.Header.Start)
		part.Body.Start = part.Header.End
		o.lines = lines
		p.inHeader = false
	}
	limit = max(limit, p.s.Parts[p.stack[keep].part].Body.Start)
	for _, o := range p.stack[keep:] {
		part := &p.s.Parts[o.part]
		part.Header.Start = min(part.Header.Start, limit)
		part.Header.End = min(part.Header.End, limit)
		part.Body = Span{min(part.Body.Start, limit), limit}
		part.Lines = max(0, lines-o.lines)
		part.end = int32(len(p.s.Parts))
		if o.boundary != "" {
			p.boundaries--
		}
	}
	p.stack = p.stack[:keep]
}

// plainParam finds an unextended parameter.
func plainParam(params []Param, name string) string {
	for i := range params {
		if params[i].Name == name && !params[i].Extended {
			return params[i].Value
		}
	}
	return ""
}

// isEncoded reports whether offsets in the body mean nothing to its content.
// What an unknown encoding names is mostly a slip of 7bit or 8bit.
func isEncoded(encoding string) bool {
	switch encoding {
	case "base64", "quoted-printable", "x-uuencode", "uuencode":
		return true
	}
	return false
}

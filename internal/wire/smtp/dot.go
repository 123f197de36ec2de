package smtp

import "bytes"

// Dot finds the end of the content that follows DATA and takes the stuffed
// dots out. Only CRLF "." CRLF ends the content, and only a dot after CRLF is
// a stuffed one (RFC 5321 §4.5.2): bare CR and bare LF never look like a line
// end to it, they are counted and left in place (reliability.md row 17).
//
// The zero Dot stands at the beginning of the content. It holds no octets.
type Dot struct {
	state dotState
	ends  LineEnds
}

type dotState uint8

const (
	lineStart dotState = iota
	inLine
	dotSeen   // a dot at the start of a line
	dotCRSeen // and CR after it
)

// Next takes the next octets, at least one. It consumes n of them and returns
// what they add to the content, in general a part of src, valid as long as src
// is. Once done is true the content is complete and must not go on.
func (d *Dot) Next(src []byte) (content []byte, n int, done bool) {
	switch d.state {
	case lineStart:
		if src[0] == '.' {
			d.state = dotSeen
			return nil, 1, false
		}
	case dotSeen:
		if src[0] == '\r' {
			d.state = dotCRSeen
			return nil, 1, false
		}
	case dotCRSeen:
		if src[0] == '\n' {
			d.state = lineStart
			return nil, 1, true
		}
		d.state = inLine
		content = []byte{'\r'}
		d.ends.Note(content)
		return content, 0, false
	}
	d.state = inLine
	n = d.plain(src)
	content = src[:n]
	d.ends.noteCR(content)
	if d.state == lineStart && n < len(src) {
		d.state = dotSeen
		n++
	}
	return content, n, false
}

// plain returns how many octets of src come before a dot at the start of a
// line, and counts the line ends among them.
func (d *Dot) plain(src []byte) int {
	for at := 0; ; {
		end, crlf := d.ends.next(src, at)
		if end < 0 {
			return len(src)
		}
		at = end
		if crlf && (at == len(src) || src[at] == '.') {
			d.state = lineStart
			return at
		}
	}
}

// BareCR and BareLF report whether the content so far has a CR without LF, or
// an LF without CR. They are final once Next was done.
func (d *Dot) BareCR() bool { return d.ends.BareCR() }

// BareLF see BareCR.
func (d *Dot) BareLF() bool { return d.ends.BareLF() }

// LineEnds watches for line ends that are not CRLF. The zero value stands at
// the beginning of the content.
type LineEnds struct {
	crs, lfs, crlfs int64
	cr              bool // the last octet was CR
}

// Note looks at the next octets.
func (l *LineEnds) Note(b []byte) {
	for at := 0; at >= 0; {
		at, _ = l.next(b, at)
	}
	l.noteCR(b)
}

// next counts the first LF from b[at] on and returns where the line after it
// begins, -1 if there is none.
func (l *LineEnds) next(b []byte, at int) (end int, crlf bool) {
	i := bytes.IndexByte(b[at:], '\n')
	if i < 0 {
		return -1, false
	}
	end = at + i + 1
	crlf = l.cr // the CR came with an earlier piece
	if end > 1 {
		crlf = b[end-2] == '\r'
	}
	l.lfs++
	if crlf {
		l.crlfs++
	}
	return end, crlf
}

// noteCR counts the CRs of b, whose LFs were counted by next.
func (l *LineEnds) noteCR(b []byte) {
	if len(b) > 0 {
		l.crs += int64(bytes.Count(b, []byte{'\r'}))
		l.cr = b[len(b)-1] == '\r'
	}
}

// BareCR reports a CR that no LF follows; a CR that ends the octets so far counts.
func (l *LineEnds) BareCR() bool { return l.crs != l.crlfs }

// BareLF reports an LF that no CR precedes.
func (l *LineEnds) BareLF() bool { return l.lfs != l.crlfs }

// Normalizer turns bare CR and bare LF into CRLF. The zero value stands at the
// beginning of the content.
type Normalizer struct{ cr bool }

// Append appends the next octets to dst with every line end made CRLF. A CR at
// the end of src waits for what follows it (see End).
func (n *Normalizer) Append(dst, src []byte) []byte {
	for len(src) > 0 {
		if n.cr {
			n.cr = false
			dst = append(dst, '\r', '\n')
			if src[0] == '\n' {
				src = src[1:]
				continue
			}
		}
		i := bytes.IndexAny(src, "\r\n")
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		if src[i] == '\r' {
			n.cr = true
		} else {
			dst = append(dst, '\r', '\n')
		}
		src = src[i+1:]
	}
	return dst
}

// End appends what a CR at the very end of the content still owes.
func (n *Normalizer) End(dst []byte) []byte {
	if n.cr {
		n.cr = false
		dst = append(dst, '\r', '\n')
	}
	return dst
}

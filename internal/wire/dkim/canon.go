package dkim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strings"
	"sync"
)

// Canon is a canonical form (RFC 6376 §3.4).
type Canon uint8

// The canonical forms.
const (
	Simple Canon = iota
	Relaxed
	canons
)

var canonNames = [canons]string{"simple", "relaxed"}

// String returns the word of c=.
func (c Canon) String() string { return canonNames[min(c, canons-1)] }

func parseCanon(s string) (Canon, bool) {
	for c, name := range canonNames {
		if strings.EqualFold(s, name) {
			return Canon(c), true
		}
	}
	return 0, false
}

var crlf = []byte("\r\n")

// AppendField appends a header field in canonical form, without a CRLF at the
// end (RFC 6376 §3.4.1, §3.4.2).
func (c Canon) AppendField(dst, raw []byte) []byte {
	raw = bytes.TrimSuffix(raw, crlf)
	if c == Simple {
		return append(dst, raw...)
	}
	name, value, _ := bytes.Cut(raw, []byte(":"))
	for _, b := range bytes.TrimRight(name, " \t") {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		dst = append(dst, b)
	}
	dst = append(dst, ':')
	start := len(dst)
	for i := 0; i < len(value); i++ {
		word := i
		for i < len(value) && value[i] > ' ' {
			i++
		}
		if dst = append(dst, value[word:i]...); i == len(value) {
			break
		}
		switch b := value[i]; {
		case b == '\r' && i+1 < len(value) && value[i+1] == '\n':
			i++ // unfolded
		case b == ' ' || b == '\t':
			if len(dst) > start && dst[len(dst)-1] != ' ' {
				dst = append(dst, ' ')
			}
		default:
			dst = append(dst, b)
		}
	}
	if len(dst) > start && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// whole is the limit of a hash over all of the body.
const whole = -1

// bodySum is the hash of a canonical body, or of its first octets.
type bodySum struct {
	limit int64
	hash  hash.Hash
}

// body brings a body into canonical form as it streams by (RFC 6376 §3.4.3,
// §3.4.4) and feeds the hashes asked for. Line ends wait until something
// follows them, because empty lines at the end do not count.
type body struct {
	canon Canon
	crlfs int64 // line ends that wait
	cr    bool  // the last octet was a CR
	space bool  // white space waits (relaxed)
	total int64 // octets of the canonical form
	sums  []*bodySum
	out   []byte // gathered for the hash; relaxed
	sheet *sheet // where out lies
}

// outSize is how much of the relaxed form is gathered for the hash, with a line
// end and a space before it.
const outSize = 4 << 10

type sheet [outSize + 4]byte

var sheets = sync.Pool{New: func() any { return new(sheet) }}

// want returns the hash over the first limit octets.
func (b *body) want(limit int64) *bodySum {
	for _, s := range b.sums {
		if s.limit == limit {
			return s
		}
	}
	s := &bodySum{limit: limit, hash: sha256.New()}
	b.sums = append(b.sums, s)
	return s
}

func (b *body) write(p []byte) {
	if b.canon == Simple {
		b.simple(p)
	} else {
		b.relaxed(p)
	}
}

// simple passes everything on but the line ends at the end.
func (b *body) simple(p []byte) {
	if b.cr && len(p) > 0 {
		b.cr = false
		if p[0] == '\n' {
			b.crlfs++
			p = p[1:]
		} else {
			b.content(crlf[:1])
		}
	}
	end, ends, cr := len(p), int64(0), false
	if end > 0 && p[end-1] == '\r' {
		cr = true
		end--
	}
	for end >= 2 && p[end-2] == '\r' && p[end-1] == '\n' {
		end -= 2
		ends++
	}
	if end > 0 {
		b.content(p[:end])
	}
	b.crlfs += ends
	b.cr = b.cr || cr
}

// rough is how much is taken line by line where one is not plain: there are more
// such lines near it, and to look in vain at each costs time.
const rough = 256

// relaxed also drops white space before line ends, and makes one space of it
// elsewhere.
func (b *body) relaxed(p []byte) {
	look := len(p) // how much may be left when looking for plain lines is worth it
	for len(p) > 0 {
		if b.cr {
			b.cr = false
			if p[0] == '\n' {
				b.crlfs++
				b.space = false
				p = p[1:]
				continue
			}
			b.spaced(crlf[:1])
		}
		if !b.space && len(p) <= look {
			n := plain(p)
			if end := lastEnd(p[:n]); end > 0 {
				b.lines(p[:end])
				p = p[end:]
				continue
			}
			look = len(p) - n - rough
		}
		line, rest, cr := bytes.Cut(p, crlf[:1])
		if smooth(line) {
			b.spaced(line)
		} else {
			b.words(line)
		}
		b.cr, p = cr, rest
	}
}

// lastEnd returns where the last line end ends, 0 if there is none.
func lastEnd(p []byte) int {
	for i := len(p) - 1; i > 0; i-- {
		if p[i] == '\n' && p[i-1] == '\r' {
			return i + 1
		}
	}
	return 0
}

// lines passes on what is canonical as it is and ends with a line end, while no
// space waits. Most of a body comes this way, in large pieces.
func (b *body) lines(p []byte) {
	ends := int64(0)
	for bytes.HasSuffix(p, crlf) {
		p = p[:len(p)-2]
		ends++
	}
	if len(p) > 0 {
		b.spaced(p)
	}
	b.crlfs += ends
}

// The octets of eight, all alike.
const (
	eachLow   = 0x7f7f7f7f7f7f7f7f
	eachHigh  = 0x8080808080808080
	eachTab   = 0x0909090909090909
	eachSpace = 0x2020202020202020
	eachAbove = 0x5f5f5f5f5f5f5f5f // what lifts an octet above space to 0x80
)

// plain returns how many of the first octets hold no tab, and neither white space
// nor a CR after a space: the lines that end among them are canonical as they
// are. It reads eight at a time and may stop early, so for any control character
// after a space.
func plain(p []byte) int {
	n, carry := 0, uint64(0)
	for ; n+8 <= len(p); n += 8 {
		x := binary.LittleEndian.Uint64(p[n:])
		spaces, tabs := x^eachSpace, x^eachTab
		spaces = ^((spaces&eachLow + eachLow) | spaces) & eachHigh
		tabs = ^((tabs&eachLow + eachLow) | tabs) & eachHigh
		low := ^((x&eachLow + eachAbove) | x) & eachHigh
		if (spaces<<8|carry)&low|tabs != 0 {
			break
		}
		carry = spaces >> 56
	}
	return n
}

// smooth reports a line, not empty, that is canonical as it is: most are.
func smooth(line []byte) bool {
	return len(line) > 0 && line[0] != ' ' && line[len(line)-1] != ' ' &&
		bytes.IndexByte(line, '\t') < 0 && !bytes.Contains(line, []byte("  "))
}

// words passes on what lies between white space in a line.
func (b *body) words(line []byte) {
	for i := 0; i < len(line); {
		start := i
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			i++
		}
		if i > start {
			b.spaced(line[start:i])
		}
		if i < len(line) {
			b.space = true
			i++
		}
	}
}

// spaced appends octets after the space and the line ends that wait.
func (b *body) spaced(p []byte) {
	if b.sheet == nil {
		b.sheet = sheets.Get().(*sheet)
		b.out = b.sheet[:0]
	}
	if b.crlfs == 1 { // the common case, without a call to the hash
		b.out = append(b.out, crlf...)
		b.crlfs = 0
	} else if b.crlfs > 1 {
		b.flush()
		b.lineEnds()
	}
	if b.space {
		b.out = append(b.out, ' ')
		b.space = false
	}
	if len(b.out)+len(p) > outSize {
		b.flush()
	}
	if len(p) > outSize {
		b.hash(p)
		return
	}
	b.out = append(b.out, p...)
}

func (b *body) flush() {
	b.hash(b.out)
	b.out = b.out[:0]
}

// content hashes octets after the line ends that wait.
func (b *body) content(p []byte) {
	b.lineEnds()
	b.hash(p)
}

func (b *body) lineEnds() {
	const many = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
	for b.crlfs > 0 {
		n := min(b.crlfs, int64(len(many)/2))
		b.hash([]byte(many[:2*n]))
		b.crlfs -= n
	}
}

// hash gives every hash what lies before its limit.
func (b *body) hash(p []byte) {
	for _, s := range b.sums {
		part := p
		if s.limit != whole {
			part = p[:max(0, min(int64(len(p)), s.limit-b.total))]
		}
		s.hash.Write(part)
	}
	b.total += int64(len(p))
}

// end closes the body: it ends with one line end, but an empty relaxed one
// stays empty.
func (b *body) end() {
	if b.cr {
		b.cr = false
		if b.canon == Simple {
			b.content(crlf[:1])
		} else {
			b.spaced(crlf[:1])
		}
	}
	b.flush()
	if b.sheet != nil {
		sheets.Put(b.sheet)
		b.sheet, b.out = nil, nil
	}
	if b.canon == Simple || b.total > 0 {
		b.hash(crlf)
	}
}

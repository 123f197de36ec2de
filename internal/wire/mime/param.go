package mime

import (
	"bytes"
	"slices"
	"strings"
)

// segment is one piece of a parameter continued by RFC 2231 §3, its value a
// range of the parser's scratch buffer.
type segment struct {
	name       []byte
	index      int
	extended   bool
	start, end int
}

// parameters reads the parameters after a field's main value.
func (p *Parser) parameters(v *values) []Param {
	v.skipTo(';')
	return p.parametersAt(v)
}

func (p *Parser) parametersAt(v *values) []Param {
	first := len(p.params)
	p.segments, p.buf = p.segments[:0], p.buf[:0]
	for count := 0; !v.done(); {
		v.skipCFWS()
		name := lowerInPlace(v.token("="))
		v.skipCFWS()
		if v.done() || v.b[v.i] != '=' || len(name) == 0 {
			v.skipTo(';')
			continue
		}
		v.i++
		start := len(p.buf)
		p.paramValue(v)
		if count++; count > MaxParams || len(p.params) >= maxTotalParams {
			p.s.Opaque |= LimitParams
			break
		}
		p.addParam(name, start)
	}
	p.joinSegments()
	if len(p.params) == first {
		return nil
	}
	return p.params[first:len(p.params):len(p.params)]
}

// paramValue appends one unquoted value to the scratch buffer and moves behind
// its semicolon. An unquoted value may contain spaces, as many programs write
// file names.
func (p *Parser) paramValue(v *values) {
	v.skipCFWS()
	if !v.done() && v.b[v.i] == '"' {
		p.buf = appendUnquoted(p.buf, v.b[v.i:])
		v.i = quotedEnd(v.b, v.i)
		v.skipTo(';')
		return
	}
	start := v.i
	for !v.done() && v.b[v.i] != ';' {
		if v.b[v.i] == '(' && v.i > start && isLWSP(v.b[v.i-1]) {
			break
		}
		v.i++
	}
	p.buf = append(p.buf, trimLWSP(v.b[start:v.i])...)
	v.skipTo(';')
}

// addParam files the value at start under its name, or sets it aside as a
// segment of a continued one.
func (p *Parser) addParam(name []byte, start int) {
	value := p.buf[start:]
	base, index, extended := splitParamName(name)
	if index >= 0 {
		p.segments = append(p.segments, segment{base, index, extended, start, len(p.buf)})
		return
	}
	if string(base) == "boundary" {
		value = bytes.TrimRight(value, " \t") // RFC 2046 §5.1.1: never ends in a space
	}
	p.params = append(p.params, Param{Name: p.keepWord(base), Value: p.keepValue(value), Extended: extended})
}

func (p *Parser) keepValue(value []byte) string {
	if len(value) > maxToken {
		return p.keep(value, maxText)
	}
	return p.keepWord(value)
}

// splitParamName takes name, name*, name*0 and name*0* apart; index is -1 for
// an uncontinued parameter.
func splitParamName(name []byte) (base []byte, index int, extended bool) {
	star := bytes.IndexByte(name, '*')
	if star <= 0 {
		return name, -1, false
	}
	base, rest := name[:star], name[star+1:]
	if len(rest) == 0 {
		return base, -1, true
	}
	if rest[len(rest)-1] == '*' {
		extended, rest = true, rest[:len(rest)-1]
	}
	if len(rest) == 0 || len(rest) > 3 {
		return name, -1, false
	}
	for _, c := range rest {
		if c < '0' || c > '9' {
			return name, -1, false
		}
		index = index*10 + int(c-'0')
	}
	return base, index, extended
}

// joinSegments turns the segments set aside into parameters, in the order of
// their names' first appearance. Segments behind a gap are dropped.
func (p *Parser) joinSegments() {
	for i := range p.segments {
		name := p.segments[i].name
		if name == nil {
			continue
		}
		var mine []segment
		for j := i; j < len(p.segments); j++ {
			if bytes.Equal(p.segments[j].name, name) {
				mine = append(mine, p.segments[j])
				p.segments[j].name = nil
			}
		}
		slices.SortStableFunc(mine, func(a, b segment) int { return a.index - b.index })
		p.joinSegment(name, mine)
	}
}

func (p *Parser) joinSegment(name []byte, mine []segment) {
	extended := mine[0].extended
	var value []byte
	for n, s := range mine {
		if s.index != n {
			break
		}
		piece := p.buf[s.start:s.end]
		if extended && !s.extended {
			value = appendPercent(value, piece)
		} else {
			value = append(value, piece...)
		}
	}
	if value == nil && mine[0].index != 0 {
		return
	}
	p.params = append(p.params, Param{Name: p.keepWord(name), Value: p.keepValue(value), Extended: extended})
}

// appendPercent writes octets in the form of RFC 2231 §7.
func appendPercent(dst, b []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("*'%()<>@,;:\\\"/[]?=", c) >= 0 {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// Text returns the value as UTF-8: the character set of RFC 2231 resolved, and
// the encoded words many programs write here against RFC 2047 §5 decoded.
func (p *Param) Text() string {
	if !p.Extended {
		return DecodeWords(p.Value)
	}
	charset, rest, ok := strings.Cut(p.Value, "'")
	if !ok {
		return decodeText("", percentDecode(p.Value))
	}
	_, text, ok := strings.Cut(rest, "'")
	if !ok {
		return decodeText("", percentDecode(p.Value))
	}
	return decodeText(charset, percentDecode(text))
}

func percentDecode(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

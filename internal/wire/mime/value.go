package mime

import (
	"bytes"
	"iter"
	"strings"
)

// values reads the structured field bodies of RFC 2045: tokens, quoted
// strings and comments, forgiving what real mail does to them.
type values struct {
	b []byte
	i int
}

func (v *values) done() bool { return v.i >= len(v.b) }

// skipCFWS passes over white space and comments.
func (v *values) skipCFWS() {
	for !v.done() {
		switch {
		case isLWSP(v.b[v.i]):
			v.i++
		case v.b[v.i] == '(':
			v.i = commentEnd(v.b, v.i)
		default:
			return
		}
	}
}

// token reads up to a separator, white space or one of the given octets.
func (v *values) token(stop string) []byte {
	start := v.i
	for !v.done() {
		c := v.b[v.i]
		if isLWSP(c) || c == '(' || c == ';' || strings.IndexByte(stop, c) >= 0 {
			break
		}
		v.i++
	}
	return v.b[start:v.i]
}

// skipTo moves behind the next c that is outside quoted strings and comments.
func (v *values) skipTo(c byte) {
	for !v.done() {
		switch v.b[v.i] {
		case c:
			v.i++
			return
		case '"':
			v.i = quotedEnd(v.b, v.i)
		case '(':
			v.i = commentEnd(v.b, v.i)
		default:
			v.i++
		}
	}
}

// commentEnd returns the offset behind the comment that begins at i. An
// unfinished one ends with the value.
func commentEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// quotedEnd does the same for a quoted string.
func quotedEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// appendUnquoted appends the content of the quoted string at the beginning of b.
func appendUnquoted(dst, b []byte) []byte {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return dst
		case '\\':
			if i++; i == len(b) {
				return dst
			}
		}
		dst = append(dst, b[i])
	}
	return dst
}

// firstToken returns the first token of a value in lower case, in place.
func firstToken(b []byte) []byte {
	v := values{b: b}
	v.skipCFWS()
	if !v.done() && v.b[v.i] == '"' {
		return lowerInPlace(bytes.Trim(v.b[v.i:quotedEnd(v.b, v.i)], "\""))
	}
	return lowerInPlace(v.token(""))
}

// controls reports control characters: no word of a type has them, and clients
// are not shown them, so that another type would be seen than was read.
func controls(b []byte) bool {
	return bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// contentType reads a Content-Type field. Without a type and subtype it says
// nothing, and the part gets its default (RFC 2045 §5.2).
func (p *Parser) contentType(part *Part, b []byte) {
	v := values{b: b}
	v.skipCFWS()
	typ := v.token("/")
	v.skipCFWS()
	if v.done() || v.b[v.i] != '/' || len(typ) == 0 {
		return
	}
	v.i++
	v.skipCFWS()
	subtype := v.token("/,=\"")
	if len(subtype) == 0 || controls(typ) || controls(subtype) {
		return
	}
	part.Type = p.keepWord(lowerInPlace(typ))
	part.Subtype = p.keepWord(lowerInPlace(subtype))
	if part.Type == "" || part.Subtype == "" { // no budget left to keep them
		part.Type, part.Subtype = "application", "octet-stream"
		return
	}
	part.Params = p.parameters(&v)
}

func (p *Parser) disposition(b []byte) (string, []Param) {
	v := values{b: b}
	v.skipCFWS()
	kind := v.token("=")
	if !v.done() && v.b[v.i] == '=' { // parameters without a type
		v.i = 0
		return "attachment", p.parametersAt(&v)
	}
	if len(kind) == 0 {
		return "", nil
	}
	return p.keepWord(lowerInPlace(kind)), p.parameters(&v)
}

// languages reads Content-Language (RFC 3282).
func (p *Parser) languages(b []byte) []string {
	var out []string
	v := values{b: b}
	for len(out) < maxLanguages {
		v.skipCFWS()
		if v.done() {
			break
		}
		if t := v.token(","); len(t) > 0 {
			out = append(out, p.keep(t, maxToken))
		} else {
			v.i++
		}
	}
	return out
}

// identifiers yields the message identifiers of a References, In-Reply-To or
// Message-ID value, angle brackets included.
func identifiers(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			open := bytes.IndexByte(b, '<')
			if open < 0 {
				return
			}
			b = b[open:]
			end := bytes.IndexByte(b, '>')
			if end < 0 {
				return
			}
			if next := bytes.LastIndexByte(b[:end], '<'); next > 0 {
				b, end = b[next:], end-next
			}
			if end > 1 && !yield(b[:end+1]) {
				return
			}
			b = b[end+1:]
		}
	}
}

// Identifiers returns the message identifiers in a References, In-Reply-To or
// Message-ID value, angle brackets included.
func Identifiers(value string) []string {
	var out []string
	for id := range identifiers([]byte(value)) {
		out = append(out, string(id))
	}
	return out
}

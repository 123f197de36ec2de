package authres

import (
	"fmt"
	"strings"
)

// maxComments is how deep comments may nest.
const maxComments = 16

// Parse reads the value of a field, folded or not, with comments anywhere. It
// is tolerant: a result that cannot be read is left out, a missing authserv-id,
// as some large providers write, leaves ID empty. Only a field whose comments
// or quotes do not end is an error.
func Parse(text string) (Field, error) {
	s := &scanner{s: text[:min(len(text), maxField)]}
	f := Field{ID: s.id()}
	for !s.end() {
		if r, ok := s.result(); ok && len(f.Results) < maxResults {
			f.Results = append(f.Results, r)
		}
		s.next()
	}
	if s.broken != "" || len(text) > maxField {
		return f, fmt.Errorf("%w: %s", ErrField, s.broken)
	}
	return f, nil
}

// scanner reads a value from left to right.
type scanner struct {
	s      string
	i      int
	broken string // what does not end
}

// peek is the octet ahead after space and comments, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.s) {
		switch c := s.s[s.i]; c {
		case ' ', '\t', '\r', '\n':
			s.i++
		case '(':
			s.comment()
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) end() bool { return s.peek() == 0 && s.i >= len(s.s) }

// take goes on behind c if it is ahead.
func (s *scanner) take(c byte) bool {
	if s.end() || s.peek() != c {
		return false
	}
	s.i++
	return true
}

func (s *scanner) comment() {
	depth := 0
	for ; s.i < len(s.s); s.i++ {
		switch s.s[s.i] {
		case '\\':
			s.i++
		case '(':
			if depth++; depth > maxComments {
				s.fail("comments nested too deep")
				return
			}
		case ')':
			if depth--; depth == 0 {
				s.i++
				return
			}
		}
	}
	s.fail("a comment does not end")
}

// fail gives up the rest.
func (s *scanner) fail(why string) { s.broken, s.i = why, len(s.s) }

// quoted reads a quoted string, with the folding taken out.
func (s *scanner) quoted() string {
	var b strings.Builder
	for s.i++; s.i < len(s.s); s.i++ {
		switch c := s.s[s.i]; {
		case c == '"':
			s.i++
			return b.String()
		case c == '\\' && s.i+1 < len(s.s):
			s.i++
			b.WriteByte(s.s[s.i])
		case c != '\r' && c != '\n':
			b.WriteByte(c)
		}
	}
	s.fail("a quoted string does not end")
	return ""
}

// atom reads up to space, comment, quote, semicolon or one of the stops.
func (s *scanner) atom(stops string) string {
	s.peek()
	from := s.i
	for s.i < len(s.s) && strings.IndexByte(" \t\r\n(\";", s.s[s.i]) < 0 && strings.IndexByte(stops, s.s[s.i]) < 0 {
		s.i++
	}
	return s.s[from:s.i]
}

// id reads the authserv-id and its version. Where a result begins at once there
// is none, and nothing is consumed.
func (s *scanner) id() string {
	if s.peek() == '"' {
		id := s.quoted()
		s.next()
		return id
	}
	from := s.i
	id := s.atom("=/")
	if s.take('/') {
		s.atom("=") // the version of a method; some write that of the id so
	}
	if s.peek() == '=' {
		s.i = from
		return ""
	}
	s.next()
	return id
}

// next goes on behind the next semicolon that is not quoted.
func (s *scanner) next() {
	for !s.end() {
		switch s.peek() {
		case ';':
			s.i++
			return
		case '"':
			s.quoted()
		default:
			s.i++
		}
	}
}

// result reads one resinfo; ok is false for "none" and what is none.
func (s *scanner) result() (r Result, ok bool) {
	r.Method = strings.ToLower(s.atom("=/"))
	if s.take('/') {
		s.atom("=") // the method's version
	}
	if !isKeyword(r.Method) || !s.take('=') {
		return r, false
	}
	r.Value = strings.ToLower(s.atom("="))
	for isKeyword(r.Value) && !s.end() && s.peek() != ';' {
		name := strings.ToLower(s.atom("="))
		if !s.take('=') {
			if name == "" {
				return r, true // junk ahead
			}
			continue
		}
		value := s.value()
		kind, property, dotted := strings.Cut(name, ".")
		switch {
		case name == "reason":
			r.Reason = value
		case dotted && isKeyword(kind) && isKeyword(property) && len(r.Properties) < maxProperties:
			r.Properties = append(r.Properties, Property{kind, property, value})
		}
	}
	return r, isKeyword(r.Value)
}

// value reads a pvalue. A quoted local part keeps its quotes.
func (s *scanner) value() string {
	if s.peek() != '"' {
		return s.atom("")
	}
	from := s.i
	text := s.quoted()
	if s.i < len(s.s) && s.s[s.i] == '@' {
		raw := strings.NewReplacer("\r", "", "\n", "").Replace(s.s[from:s.i])
		return raw + s.atom("")
	}
	return text
}

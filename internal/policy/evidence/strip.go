package evidence

import (
	"bytes"
	"io"
	"strings"

	"posthorn/internal/wire/authres"
)

// maxResults is how much of one Authentication-Results field is held back. What
// is longer is dropped, whoever it is of: nobody needs it.
const maxResults = 64 << 10

// Stripper takes the Authentication-Results fields that claim to be ours out of
// a message as it streams in (RFC 8601 §5), and all fields of names that only we
// write. All else passes unchanged and at once, but for fields of these names,
// which pass when they have ended, or not. It sees
// fields as authres.Own does: a line ends with LF, the header section with an
// empty line.
type Stripper struct {
	w       io.Writer
	id      string
	own     []string // names only we write, in lower case
	removed int

	place   place
	name    string // of those under suspicion, in lower case
	matched int    // octets of it that fit
	held    []byte // of a field under suspicion, what came with earlier Writes
	over    bool   // it is longer than maxResults
	small   [64]byte
}

// place is where in the header section the next octet stands.
type place uint8

const (
	lineStart place = iota
	afterCR         // which begins a line
	inName          // of a line that may begin a field under suspicion
	inLine          // of any other
	inField         // under suspicion
	nextLine        // behind a line of such a field, which may go on
	inBody
)

// NewStripper returns a Stripper for our authserv-id, and for field names that
// only we write, that writes to w. Without an id no result is ours.
func NewStripper(id string, w io.Writer, own ...string) *Stripper {
	s := &Stripper{w: w, id: id}
	s.held = s.small[:0]
	for _, name := range own {
		s.own = append(s.own, strings.ToLower(name))
	}
	if id == "" && len(own) == 0 {
		s.place = inBody
	}
	return s
}

// Removed returns how many fields have been taken out so far.
func (s *Stripper) Removed() int { return s.removed }

// Write takes in the next octets. After an error, which is that of the writer
// behind, the Stripper is of no more use.
func (s *Stripper) Write(p []byte) (int, error) {
	x := stretch{p: p}
	for x.at < len(p) && s.place != inBody {
		if err := s.step(&x); err != nil {
			return 0, err
		}
	}
	rest := p[x.from:]
	switch s.place {
	case inName:
		rest = p[x.from:x.mark]
		if s.hold(p[x.mark:]); s.over {
			s.place = inField
		}
	case inField, nextLine:
		s.hold(rest)
		rest = nil
	}
	if err := s.pass(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close lets out what is held back when the message ends within its header
// section. It does not close the writer behind.
func (s *Stripper) Close() error {
	switch s.place {
	case inField, nextLine:
		s.place = lineStart
		return s.judge(nil)
	case inName:
		s.place = inLine
		return s.release()
	}
	return nil
}

// stretch is what one Write brings. What stands from from on is neither passed
// on nor held yet; what stands from mark on is under suspicion (inName).
type stretch struct {
	p              []byte
	at, from, mark int
}

// step goes on as far as one glance tells.
func (s *Stripper) step(x *stretch) error {
	c := x.p[x.at]
	switch s.place {
	case lineStart:
		s.begin(x, c)
	case afterCR:
		if s.place = inLine; c == '\n' {
			s.place = inBody
		}
	case inName:
		return s.more(x, c)
	case inLine, inField:
		n := bytes.IndexByte(x.p[x.at:], '\n')
		if n < 0 {
			x.at = len(x.p)
			return nil
		}
		x.at += n + 1
		if s.place == inField {
			s.place = nextLine
		} else {
			s.place = lineStart
		}
	case nextLine:
		if s.place = inField; c == ' ' || c == '\t' {
			return nil
		}
		s.place = lineStart
		err := s.judge(x.p[x.from:x.at])
		x.from = x.at
		return err
	}
	return nil
}

// begin looks at the first octet of a line that does not go on a field under
// suspicion.
func (s *Stripper) begin(x *stretch, c byte) {
	switch c {
	case '\n':
		s.place = inBody
	case '\r':
		s.place = afterCR
		x.at++
	default:
		s.place, s.name, s.matched = inLine, "", 0
		if s.fits(c) {
			s.place, x.mark = inName, x.at
		}
	}
}

// resultsName is authres.Name in lower case.
const resultsName = "authentication-results"

// fits reports that the octet goes on a name under suspicion. Names that begin
// alike are one until they differ.
func (s *Stripper) fits(c byte) bool {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	goesOn := func(name string) bool {
		return s.matched < len(name) && name[s.matched] == c && name[:s.matched] == s.name[:s.matched]
	}
	if goesOn(s.name) {
		return true
	}
	if s.id != "" && goesOn(resultsName) {
		s.name = resultsName
		return true
	}
	for _, name := range s.own {
		if goesOn(name) {
			s.name = name
			return true
		}
	}
	return false
}

// more compares one octet with the name, behind which there may be white space
// (RFC 5322 §4.5).
func (s *Stripper) more(x *stretch, c byte) error {
	switch {
	case s.fits(c):
		s.matched++
	case s.matched == len(s.name) && (c == ' ' || c == '\t'):
	case s.matched == len(s.name) && c == ':':
		s.place = inField
		err := s.pass(x.p[x.from:x.mark])
		x.from = x.mark
		x.at++
		return err
	default:
		s.place = inLine
		return s.release()
	}
	x.at++
	return nil
}

// hold keeps octets of a field under suspicion until it is judged.
func (s *Stripper) hold(b []byte) {
	if s.over = s.over || len(s.held)+len(b) > maxResults; s.over {
		s.held = s.small[:0]
		return
	}
	s.held = append(s.held, b...)
}

// judge ends a field under suspicion, whose last octets are given.
func (s *Stripper) judge(last []byte) error {
	field := last
	if len(s.held) > 0 {
		s.hold(last)
		field = s.held
	}
	drop := s.name != resultsName || s.over || len(field) > maxResults || len(authres.Own(field, s.id)) > 0
	s.held, s.over = s.small[:0], false
	if drop {
		s.removed++
		return nil
	}
	return s.pass(field)
}

// release passes on what was held back without a reason.
func (s *Stripper) release() error {
	held := s.held
	s.held = s.small[:0]
	return s.pass(held)
}

func (s *Stripper) pass(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := s.w.Write(b)
	return err
}

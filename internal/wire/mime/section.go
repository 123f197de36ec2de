package mime

// SectionKind says which octets of a part a section means.
type SectionKind uint8

// The kinds of RFC 9051 §6.4.5.1. HEADER.FIELDS and HEADER.FIELDS.NOT are
// SectionHeader passed through FilterHeader.
const (
	// SectionPart is the body of a part, or the whole message for no path.
	SectionPart SectionKind = iota
	// SectionHeader is the header section of a message.
	SectionHeader
	// SectionText is the body of a message.
	SectionText
	// SectionMIME is the header section of a part.
	SectionMIME
)

// Section finds the octets of a section. The path holds part numbers as in
// BODY[1.2.TEXT], none for the message itself. It reports false if the message
// has no such part, or the part no such section.
func (s *Structure) Section(path []int, kind SectionKind) (Span, bool) {
	if len(path) == 0 {
		return s.messageSection(0, kind)
	}
	i, virtual, ok := s.resolve(path)
	switch {
	case !ok:
		return Span{}, false
	case virtual:
		return s.virtualSection(i, kind)
	case kind == SectionPart:
		return s.Parts[i].Body, true
	case kind == SectionMIME:
		return s.Parts[i].Header, true
	case !s.Parts[i].isMessage():
		return Span{}, false
	case s.childless(i): // not looked into
		end := s.Parts[i].Body.Start
		if kind == SectionText {
			return s.Parts[i].Body, true
		}
		return Span{end, end}, true
	}
	return s.messageSection(i+1, kind)
}

func (s *Structure) messageSection(i int, kind SectionKind) (Span, bool) {
	p := &s.Parts[i]
	switch kind {
	case SectionPart:
		return Span{p.Header.Start, p.Body.End}, true
	case SectionHeader:
		return p.Header, true
	case SectionText:
		return p.Body, true
	}
	return Span{}, false
}

// virtualSection answers for the part a container without parts is said to
// have: all of a multipart's body, nothing of a message that was not looked into.
func (s *Structure) virtualSection(i int, kind SectionKind) (Span, bool) {
	body := s.Parts[i].Body
	if s.Parts[i].isMessage() {
		body.End = body.Start
	}
	switch kind {
	case SectionPart:
		return body, true
	case SectionMIME:
		return Span{body.Start, body.Start}, true
	}
	return Span{}, false
}

// Find returns the index of the part a path of part numbers leads to.
func (s *Structure) Find(path []int) (index int, ok bool) {
	i, virtual, ok := s.resolve(path)
	return i, ok && !virtual
}

// resolve follows part numbers. Numbers count the parts of a multipart, also
// of the one inside a message/rfc822; a message of any other type has the one
// part 1, its body.
func (s *Structure) resolve(path []int) (i int, virtual, ok bool) {
	whole := true // i is a message, not yet a numbered part of one
	for _, n := range path {
		if virtual || n < 1 {
			return 0, false, false
		}
		if !whole && s.Parts[i].isMessage() && !s.childless(i) {
			i++
			whole = true
		}
		switch {
		case !whole && n == 1 && s.Parts[i].isMessage():
			virtual = true
		case !s.Parts[i].isMultipart():
			if !whole || n != 1 {
				return 0, false, false
			}
		case s.childless(i):
			virtual = true
			if n != 1 {
				return 0, false, false
			}
		default:
			if i, ok = s.child(i, n); !ok {
				return 0, false, false
			}
		}
		whole = false
	}
	return i, virtual, true
}

func (s *Structure) child(i, n int) (int, bool) {
	for c := range s.Children(i) {
		if n--; n == 0 {
			return c, true
		}
	}
	return 0, false
}

package imap

import (
	"strconv"
	"strings"
)

// SectionForm is the fetch item a section belongs to.
type SectionForm uint8

// The forms. The three of RFC 822 are BODY[], BODY.PEEK[HEADER] and
// BODY[TEXT] under another name (RFC 3501 §6.4.5).
const (
	FormBody SectionForm = iota
	FormBinary
	FormBinarySize
	FormRFC822
	FormRFC822Header
	FormRFC822Text
)

// SectionPart says what of a body part is meant.
type SectionPart uint8

// The parts. PartAll is the message or body part as a whole.
const (
	PartAll SectionPart = iota
	PartHeader
	PartHeaderFields
	PartHeaderFieldsNot
	PartText
	PartMIME
)

var partNames = [...]string{"", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"}

// Section is one body section of a FETCH.
type Section struct {
	Form SectionForm
	// Peek says that \Seen must not be set.
	Peek bool
	// Path holds the part numbers, empty for the message itself.
	Path []uint32
	Part SectionPart
	// Fields are the header field names of PartHeaderFields and -Not.
	Fields []string
	// Partial says that only Length octets from Offset on are wanted.
	Partial        bool
	Offset, Length uint32
}

// Append appends the section as a client asks for it.
func (s *Section) Append(b []byte) []byte {
	b = s.appendName(b, s.Peek && s.Form <= FormBinary)
	if s.Partial {
		b = strconv.AppendUint(append(b, '<'), uint64(s.Offset), 10)
		b = append(strconv.AppendUint(append(b, '.'), uint64(s.Length), 10), '>')
	}
	return b
}

// AppendResponse appends the section's name as the server answers it: without
// PEEK, and of a partial fetch the offset only.
func (s *Section) AppendResponse(b []byte) []byte {
	b = s.appendName(b, false)
	if s.Partial && s.Form != FormBinarySize {
		b = append(strconv.AppendUint(append(b, '<'), uint64(s.Offset), 10), '>')
	}
	return b
}

func (s *Section) appendName(b []byte, peek bool) []byte {
	switch s.Form {
	case FormRFC822:
		return append(b, "RFC822"...)
	case FormRFC822Header:
		return append(b, "RFC822.HEADER"...)
	case FormRFC822Text:
		return append(b, "RFC822.TEXT"...)
	case FormBinarySize:
		b = append(b, "BINARY.SIZE"...)
	case FormBinary:
		b = append(b, "BINARY"...)
	default:
		b = append(b, "BODY"...)
	}
	if peek {
		b = append(b, ".PEEK"...)
	}
	return append(s.appendSpec(append(b, '[')), ']')
}

// appendSpec appends what stands between the brackets.
func (s *Section) appendSpec(b []byte) []byte {
	for i, n := range s.Path {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	if s.Part == PartAll {
		return b
	}
	if len(s.Path) > 0 {
		b = append(b, '.')
	}
	b = append(b, partNames[s.Part]...)
	if s.Part != PartHeaderFields && s.Part != PartHeaderFieldsNot {
		return b
	}
	b = append(b, " ("...)
	for i, f := range s.Fields {
		if i > 0 {
			b = append(b, ' ')
		}
		b = appendAString(b, f)
	}
	return append(b, ')')
}

// section takes "[...]" and, where allowed, "<offset.length>".
func (d *Decoder) section(form SectionForm, peek bool) Section {
	s := Section{Form: form, Peek: peek}
	d.expect('[', "[")
	if !d.accept(']') {
		d.sectionSpec(&s)
		d.expect(']', "] after the section")
	}
	if form != FormBinarySize && d.accept('<') {
		s.Partial = true
		s.Offset = d.Number("an offset")
		d.expect('.', ". between offset and length")
		s.Length = d.NZNumber("a length")
		d.expect('>', "> after the length")
	}
	return s
}

// sectionSpec takes part numbers and a part name.
func (d *Decoder) sectionSpec(s *Section) {
	for c, ok := d.peek(); ok && isDigit(c); c, ok = d.peek() {
		if len(s.Path) == MaxPartDepth {
			d.fail(tooMany("part numbers"))
			return
		}
		s.Path = append(s.Path, d.NZNumber("a part number"))
		if !d.accept('.') {
			return
		}
	}
	if s.Form != FormBody {
		d.fail(expected("a part number"))
		return
	}
	switch word := d.keyword("a section"); string(word) {
	case "HEADER":
		s.Part = PartHeader
	case "TEXT":
		s.Part = PartText
	case "MIME":
		s.Part = PartMIME
		if len(s.Path) == 0 {
			d.fail(expected("a part number before MIME"))
		}
	case "HEADER.FIELDS":
		s.Part = PartHeaderFields
		d.sectionFields(s)
	case "HEADER.FIELDS.NOT":
		s.Part = PartHeaderFieldsNot
		d.sectionFields(s)
	default:
		d.fail(expected("a section such as 1.2, HEADER, TEXT or MIME"))
	}
}

// sectionFields takes the header field names.
func (d *Decoder) sectionFields(s *Section) {
	const what = "header field names"
	d.arg(what)
	d.list(what, false, MaxListItems, func() {
		f := d.AString("a header field name")
		if !isFieldName(f) {
			d.fail(expected("a header field name"))
		}
		s.Fields = append(s.Fields, f)
	})
}

// isFieldName holds for names a header field can have (RFC 5322 §2.2).
func isFieldName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' })
}

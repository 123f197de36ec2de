package scan

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/wire/mime"
)

// EditKind is what an edit changes.
type EditKind uint8

// The kinds of edits.
const (
	// AddField appends a header field.
	AddField EditKind = iota
	// InsertField puts one behind the first Index fields of the header section.
	InsertField
	// ChangeField replaces the value of the Index-th field of that name,
	// counted from 1; where there are fewer the field is appended.
	ChangeField
	// DeleteField removes the Index-th field of that name, if there is one.
	DeleteField
	// ReplaceBody replaces everything behind the header section.
	ReplaceBody
	// ChangeSender replaces the reverse-path.
	ChangeSender
	// AddRecipient and DeleteRecipient change the forward-paths.
	AddRecipient
	DeleteRecipient
)

// Edit is one change of a message that a scanner asks for. It has been
// validated: Name is a field name, Value a field value whose line ends are
// CRLF followed by white space, Body has no line ends but CRLF.
type Edit struct {
	Kind        EditKind
	Index       int
	Name, Value string
	Body        []byte
	Address     mail.Address
}

// Bounds of edits.
const (
	maxEdits     = 1000
	maxFieldName = 100
	maxValue     = 64 << 10
	maxLine      = 998 // RFC 5322 §2.1.1
)

var errEdit = errors.New("a change that cannot be made")

// fieldEdit makes an edit of a header field.
func fieldEdit(kind EditKind, index int, name, value string) (Edit, error) {
	if !isFieldName(name) {
		return Edit{}, fmt.Errorf("%w: %q is no field name", errEdit, word(name))
	}
	folded, err := foldedValue(name, value)
	if err != nil {
		return Edit{}, err
	}
	return Edit{Kind: kind, Index: index, Name: name, Value: folded}, nil
}

// isFieldName checks RFC 5322 §3.6.8.
func isFieldName(name string) bool {
	bad := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }
	return name != "" && len(name) <= maxFieldName && strings.IndexFunc(name, bad) < 0
}

// foldedValue takes a value over several lines in the form scanners write it,
// with LF or CRLF and white space. A line that would begin another field, or
// end the header section, is refused (reliability row 31).
func foldedValue(name, value string) (string, error) {
	if len(value) > maxValue || strings.ContainsRune(value, 0) {
		return "", fmt.Errorf("%w: the value of %s is too long or has NUL in it", errEdit, name)
	}
	lines := strings.Split(strings.ReplaceAll(value, "\r\n", "\n"), "\n")
	for i, l := range lines {
		l = strings.TrimRight(l, " \t")
		room := maxLine
		if i == 0 {
			room -= len(name) + len(": ")
		}
		switch {
		case len(l) > room:
			return "", fmt.Errorf("%w: %s has a line of more than %d octets", errEdit, name, maxLine)
		case strings.ContainsRune(l, '\r'), i > 0 && l != "" && l[0] != ' ' && l[0] != '\t':
			return "", fmt.Errorf("%w: the value of %s has a line end in it", errEdit, name)
		}
		lines[i] = l
	}
	first := strings.TrimLeft(lines[0], " \t")
	rest := slices.DeleteFunc(lines[1:], func(l string) bool { return l == "" })
	return strings.Join(append([]string{first}, rest...), "\r\n"), nil
}

// pathEdit makes an edit of the envelope from an address with or without
// angle brackets.
func pathEdit(kind EditKind, path string) (Edit, error) {
	text := strings.TrimSuffix(strings.TrimPrefix(path, "<"), ">")
	if text == "" && kind == ChangeSender {
		return Edit{Kind: kind}, nil
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		return Edit{}, fmt.Errorf("%w: %q: %w", errEdit, word(path), err)
	}
	return Edit{Kind: kind, Address: a}, nil
}

// bodyEdit makes an edit of the body, every line end of which becomes CRLF, so
// that no line end of its own kind can hide in it.
func bodyEdit(body []byte) Edit {
	b := make([]byte, 0, len(body)+len(body)/64)
	for i, c := range body {
		switch {
		case c == '\n' && i > 0 && body[i-1] == '\r':
		case c == '\n', c == '\r':
			b = append(b, '\r', '\n')
		default:
			b = append(b, c)
		}
	}
	return Edit{Kind: ReplaceBody, Body: b}
}

// Edits are changes in the order in which they are made.
type Edits []Edit

// Body returns the body that replaces the message's own.
func (e Edits) Body() (body []byte, replaced bool) {
	for _, x := range e {
		if x.Kind == ReplaceBody {
			body, replaced = x.Body, true
		}
	}
	return body, replaced
}

// Header returns a header section, with the empty line that ends it if it has
// one, after the edits of fields. The others are left to the caller.
func (e Edits) Header(header []byte) []byte {
	if !slices.ContainsFunc(e, func(x Edit) bool { return x.Kind <= DeleteField }) {
		return header
	}
	var fields []headerField
	rest := header
	for f := range mime.Fields(header) {
		fields = append(fields, headerField{f.Name, f.Raw})
		rest = rest[len(f.Raw):]
	}
	for _, x := range e {
		fields = x.apply(fields)
	}
	out := make([]byte, 0, len(header)+1024)
	for _, f := range fields {
		out = append(out, f.raw...)
		if !bytes.HasSuffix(f.raw, []byte("\n")) {
			out = append(out, "\r\n"...)
		}
	}
	return append(out, rest...)
}

type headerField struct{ name, raw []byte }

func (x *Edit) field() headerField {
	return headerField{[]byte(x.Name), []byte(x.Name + ": " + x.Value + "\r\n")}
}

func (x *Edit) apply(fields []headerField) []headerField {
	switch x.Kind {
	case AddField:
		return append(fields, x.field())
	case InsertField:
		return slices.Insert(fields, min(x.Index, len(fields)), x.field())
	case ChangeField, DeleteField:
		at := x.find(fields)
		switch {
		case at >= 0 && x.Kind == DeleteField:
			return slices.Delete(fields, at, at+1)
		case at >= 0:
			fields[at] = x.field()
		case x.Kind == ChangeField:
			return append(fields, x.field())
		}
	}
	return fields
}

func (x *Edit) find(fields []headerField) int {
	n := 0
	for i, f := range fields {
		if !bytes.EqualFold(f.name, []byte(x.Name)) {
			continue
		}
		if n++; n == max(1, x.Index) {
			return i
		}
	}
	return -1
}

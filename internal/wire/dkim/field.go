package dkim

import (
	"bytes"
	"slices"
	"strings"
)

// Field is a header field as received.
type Field struct {
	// Name is lower case; empty if the line is no field.
	Name string
	// Raw is the whole field with its CRLF. It must not be changed.
	Raw []byte
}

// Value returns what follows the colon, folded as received.
func (f Field) Value() string {
	_, value, _ := bytes.Cut(f.Raw, []byte(":"))
	return string(value)
}

// maxFields bounds the fields of a header section.
const maxFields = 10000

// split divides a header section into fields. What is wrong with it comes back
// as text: such a section may be read differently by those who show it.
func split(head []byte) (fields []Field, wrong string) {
	fields = make([]Field, 0, 16)
	for len(head) > 0 {
		line := head
		if i := bytes.Index(head, crlf); i >= 0 {
			line = head[:i+2]
		}
		head = head[len(line):]
		for len(head) > 0 && (head[0] == ' ' || head[0] == '\t') { // folded
			end := len(head)
			if i := bytes.Index(head, crlf); i >= 0 {
				end = i + 2
			}
			line, head = line[:len(line)+end], head[end:]
		}
		name, fault := fieldName(line)
		if wrong == "" {
			wrong = fault
		}
		if len(fields) == maxFields {
			return fields, "the header section has too many fields"
		}
		fields = append(fields, Field{Name: name, Raw: line})
	}
	return fields, wrong
}

// fieldName returns the name of a field in lower case, and what is wrong with
// the field.
func fieldName(raw []byte) (name, wrong string) {
	if !bytes.HasSuffix(raw, crlf) || bareLineEnd(raw) {
		return "", "the header section has a CR or LF that is no line end"
	}
	before, _, ok := bytes.Cut(raw, []byte(":"))
	before = bytes.TrimRight(before, " \t") // RFC 5322 §4.5: obsolete, but signed by some
	if !ok || len(before) == 0 {
		return "", "the header section has a line that is no field"
	}
	for _, c := range before {
		if c <= ' ' || c >= 0x7f {
			return "", "the header section has a line that is no field"
		}
	}
	return lowerName(before), ""
}

// frequent are names that need no copy of their own.
var frequent = func() map[string]string {
	names := map[string]string{}
	for _, n := range []string{"received", "return-path", "received-spf", "authentication-results", "dkim-signature", "arc-seal", "arc-message-signature",
		"arc-authentication-results", "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "mime-version",
		"content-type", "content-transfer-encoding", "content-language", "user-agent", "x-mailer", "list-id", "list-unsubscribe", "list-unsubscribe-post",
		"feedback-id", "delivered-to"} {
		names[n] = n
	}
	return names
}()

// lowerName returns an ASCII name in lower case.
func lowerName(name []byte) string {
	var room [40]byte
	if len(name) > len(room) {
		return strings.ToLower(string(name))
	}
	lower := room[:len(name)]
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	if n, ok := frequent[string(lower)]; ok {
		return n
	}
	return string(lower)
}

// bareLineEnd reports a CR without LF or a LF without CR.
func bareLineEnd(b []byte) bool {
	ends := bytes.Count(b, crlf)
	return ends != bytes.Count(b, crlf[:1]) || ends != bytes.Count(b, crlf[1:])
}

// index finds fields by name: their places, those of one name together, from the
// top.
type index struct {
	fields []Field
	places []int
}

func newIndex(fields []Field) index {
	places := make([]int, len(fields))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return strings.Compare(fields[a].Name, fields[b].Name) })
	return index{fields, places}
}

// of returns the places of a name, which must not be changed.
func (x index) of(name string) []int {
	_, all := x.find(name)
	return all
}

// find also returns where they begin in the index.
func (x index) find(name string) (at int, all []int) {
	at, _ = slices.BinarySearchFunc(x.places, name, func(place int, name string) int { return strings.Compare(x.fields[place].Name, name) })
	n, _ := slices.BinarySearchFunc(x.places[at:], name, func(place int, name string) int {
		if x.fields[place].Name == name {
			return -1 // the first behind them is looked for
		}
		return 1
	})
	return at, x.places[at : at+n : at+n]
}

// picker chooses fields for a signature: of each name from the bottom up, none
// twice (RFC 6376 §5.4.2).
type picker struct {
	fields []Field
	index  index
	used   []int // of the name that begins there in the index
}

func newPicker(m *Message) picker {
	return picker{m.fields, m.index, make([]int, len(m.fields))}
}

// pick returns the next field of that name; ok is false when there is none left.
func (p *picker) pick(name string) (raw []byte, ok bool) {
	at, all := p.index.find(name)
	if len(all) == 0 || p.used[at] == len(all) {
		return nil, false
	}
	p.used[at]++
	n := len(all) - p.used[at]
	return p.fields[all[n]].Raw, true
}

package dkim

import (
	"bytes"
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
	return strings.ToLower(string(before)), ""
}

// bareLineEnd reports a CR without LF or a LF without CR.
func bareLineEnd(b []byte) bool {
	return bytes.Count(b, crlf) != bytes.Count(b, []byte("\r")) || bytes.Count(b, crlf) != bytes.Count(b, []byte("\n"))
}

// picker chooses fields for a signature: of each name from the bottom up, none
// twice (RFC 6376 §5.4.2).
type picker struct {
	fields []Field
	index  map[string][]int
	used   map[string]int
}

// pick returns the next field of that name; ok is false when there is none left.
func (p *picker) pick(name string) (raw []byte, ok bool) {
	all := p.index[name]
	n := len(all) - 1 - p.used[name]
	if n < 0 {
		return nil, false
	}
	p.used[name]++
	return p.fields[all[n]].Raw, true
}

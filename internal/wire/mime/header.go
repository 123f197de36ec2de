package mime

import (
	"bytes"
	"iter"
)

// Field is one field of a raw header section.
type Field struct {
	// Name is as written; it is empty for lines that form no field.
	Name []byte
	// Raw is the whole field with its line ends.
	Raw []byte
	// Value is what follows the colon, still folded, with its line ends.
	Value []byte
}

// Fields yields the fields of a raw header section in order, up to the empty
// line that ends it. The slices point into header.
func Fields(header []byte) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for len(header) > 0 && !bytes.HasPrefix(header, []byte("\r\n")) && header[0] != '\n' {
			n := fieldLen(header)
			f := Field{Raw: header[:n]}
			line := header[:n]
			if i := bytes.IndexByte(line, '\n'); i >= 0 {
				line = line[:i]
			}
			if name, _, ok := splitField(line); ok {
				f.Name = name
				f.Value = f.Raw[bytes.IndexByte(f.Raw, ':')+1:]
			}
			if !yield(f) {
				return
			}
			header = header[n:]
		}
	}
}

// fieldLen measures the field at the beginning of b with its folded lines.
func fieldLen(b []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || !isWSP(b[n]) {
			return n
		}
	}
}

// Unfold returns a field value without its line ends and without white space
// around it (RFC 5322 §2.2.3). It returns value's own octets where none go.
func Unfold(value []byte) []byte {
	value = trimLWSP(value)
	if bytes.IndexByte(value, '\n') < 0 {
		return value
	}
	out := make([]byte, 0, len(value))
	for {
		i := bytes.IndexByte(value, '\n')
		if i < 0 {
			return append(out, value...)
		}
		out = append(out, bytes.TrimSuffix(value[:i], []byte{'\r'})...)
		value = value[i+1:]
	}
}

// FilterHeader returns the fields with one of the names, or with not all
// others, followed by an empty line: BODY[HEADER.FIELDS] and
// BODY[HEADER.FIELDS.NOT] of RFC 9051 §6.4.5.1.
func FilterHeader(header []byte, names []string, not bool) []byte {
	return AppendHeader(nil, header, names, not)
}

// AppendHeader is FilterHeader appending to dst.
func AppendHeader(dst, header []byte, names []string, not bool) []byte {
	for f := range Fields(header) {
		if f.named(names) == not {
			continue
		}
		dst = append(dst, f.Raw...)
		if f.Raw[len(f.Raw)-1] != '\n' {
			dst = append(dst, "\r\n"...)
		}
	}
	return append(dst, "\r\n"...)
}

func (f *Field) named(names []string) bool {
	for _, n := range names {
		if len(f.Name) > 0 && equalFold(f.Name, n) {
			return true
		}
	}
	return false
}

package dsn

import (
	"errors"
	"io"
	"mime/quotedprintable"
)

// form is how the original is returned.
type form struct {
	kind     string // media type, "" for not at all
	encoding string
	size     int64
	full     bool
}

// facts are what decides about it.
type facts struct {
	wide   bool // octets above 127
	broken bool // NUL, or CR or LF alone
	long   bool // lines over 998 octets
}

// form looks at the content and decides. A whole message can only be returned
// as it is, because message/rfc822 must not be encoded (RFC 2046 §5.2.1); a
// header section can be (RFC 6522 §4).
func (o *Original) form(utf8 bool) (form, error) {
	header := min(o.Header, o.Size, maxHeader)
	if o.Content == nil || header <= 0 {
		return form{}, nil
	}
	top, err := inspect(o.Content, header)
	if err != nil {
		return form{}, err
	}
	if o.Full && header == min(o.Header, o.Size) {
		all, err := inspect(o.Content, o.Size)
		if err != nil {
			return form{}, err
		}
		if !all.broken && !all.long {
			return whole(o.Size, top.wide && utf8, all.wide), nil
		}
	}
	f := form{kind: "text/rfc822-headers", encoding: "7bit", size: header}
	switch {
	case top.broken || top.long || top.wide && !utf8:
		f.encoding = "quoted-printable"
	case top.wide:
		f.kind, f.encoding = "message/global-headers", "8bit"
	}
	return f, nil
}

func whole(size int64, global, wide bool) form {
	f := form{kind: "message/rfc822", encoding: "7bit", size: size, full: true}
	if global {
		f.kind = "message/global"
	}
	if wide {
		f.encoding = "8bit"
	}
	return f
}

// inspect reads the first size octets.
func inspect(r io.ReaderAt, size int64) (facts, error) {
	var f facts
	var last byte = '\n'
	column := 0
	buf := make([]byte, 8<<10)
	for at := int64(0); at < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return f, err
		}
		for _, c := range buf[:n] {
			switch {
			case c == '\n':
				f.broken = f.broken || last != '\r'
				column = -1
			case last == '\r', c == 0:
				f.broken = true
			}
			f.wide = f.wide || c >= 0x80
			if column++; column > 998+1 { // with the CR
				f.long = true
			}
			last = c
		}
		at += int64(n)
	}
	f.broken = f.broken || last == '\r'
	return f, nil
}

// original writes the third part.
func (w *writer) original(f form) error {
	description := "Header of your message"
	if f.full {
		description = "Your message"
	}
	w.part(f.kind, f.encoding, description)
	w.WriteString("\r\n")
	content := io.NewSectionReader(w.n.Original.Content, 0, f.size)
	if f.encoding != "quoted-printable" {
		return copyWhole(w, content)
	}
	q := quotedprintable.NewWriter(w)
	if err := copyWhole(q, content); err != nil {
		return err
	}
	return q.Close()
}

// copyWhole copies what was inspected; less is an error.
func copyWhole(w io.Writer, content *io.SectionReader) error {
	n, err := io.Copy(w, content)
	if err == nil && n != content.Size() {
		err = io.ErrUnexpectedEOF
	}
	return err
}

package mime

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// IsText reports whether the part's octets are text that a reader sees: every
// text type, and the parts of reports.
func (p *Part) IsText() bool {
	return p.Type == "text" || p.Type == "message" && !slices.Contains([]string{"rfc822", "global", "partial", "external-body"}, p.Subtype)
}

// Text returns a reader of what the part says, for searching: transfer encoding
// and character set decoded, HTML without its mark-up, always valid UTF-8.
// message is the whole message. A character set that is missing, unknown or
// plainly wrong is guessed; what cannot be decoded becomes U+FFFD. Errors are
// ErrUnknownEncoding at once, or those of message while reading.
func (p *Part) Text(message io.ReaderAt) (io.Reader, error) {
	raw, err := DecodeReader(io.NewSectionReader(message, p.Body.Start, p.Body.Len()), p.Encoding)
	if err != nil {
		return nil, err
	}
	html := p.Type == "text" && (p.Subtype == "html" || p.Subtype == "xhtml")
	in := bufio.NewReaderSize(raw, guessSize)
	begin, err := in.Peek(guessSize)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return nil, err
	}
	r := io.Reader(transform.NewReader(in, decoderOf(p.Param("charset"), begin, html).NewDecoder()))
	if html {
		r = newMarkup(r)
	}
	return r, nil
}

// guessSize is how much of a text is looked at to find its character set.
const guessSize = 4 << 10

// decoderOf chooses the encoding of a text that begins so and is labelled so.
func decoderOf(label string, begin []byte, html bool) encoding.Encoding {
	if e := Charset(label); e != nil {
		return e
	}
	if e := guess(begin); e != nil {
		return e
	}
	if e := declared(begin); html && e != nil {
		return e
	}
	if whole(begin) {
		return unicode.UTF8
	}
	return charmap.Windows1252
}

// guess recognises what text without a usable label gives away itself.
func guess(b []byte) encoding.Encoding {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return unicode.UTF8BOM
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case bytes.Contains(b, []byte("\x1b$B")), bytes.Contains(b, []byte("\x1b$@")):
		return japanese.ISO2022JP
	}
	return nil
}

// declared is the encoding a page names in a meta element, nil if it is UTF-8 or none.
func declared(begin []byte) encoding.Encoding {
	e, name, certain := charset.DetermineEncoding(begin, "")
	if name == "utf-8" || name == "windows-1252" && !certain {
		return nil
	}
	return e
}

// whole reports whether b is the beginning of UTF-8 text, the last character
// possibly cut.
func whole(b []byte) bool {
	for i := range min(utf8.UTFMax, len(b)+1) {
		if utf8.Valid(b[:len(b)-i]) {
			return i == 0 || utf8.RuneStart(b[len(b)-i]) && !utf8.FullRune(b[len(b)-i:])
		}
	}
	return false
}

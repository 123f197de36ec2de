package mime

import (
	"errors"
	"io"
)

// ErrUnknownEncoding is returned for a transfer encoding that cannot be
// decoded; IMAP answers UNKNOWN-CTE (RFC 3516 §4.3).
var ErrUnknownEncoding = errors.New("mime: unknown content transfer encoding")

// DecodeReader returns a reader of what r holds in a transfer encoding as
// Part.Encoding names it. Malformed content is decoded as far as it makes
// sense; the only errors while reading are those of r.
func DecodeReader(r io.Reader, encoding string) (io.Reader, error) {
	switch {
	case equalFold(encoding, "base64"):
		return &transferReader{r: r, d: new(base64Decoder)}, nil
	case equalFold(encoding, "quoted-printable"):
		return &transferReader{r: r, d: new(qpDecoder)}, nil
	}
	for _, plain := range []string{"", "7bit", "8bit", "binary"} {
		if equalFold(encoding, plain) {
			return r, nil
		}
	}
	return nil, ErrUnknownEncoding
}

// transferDecoder decodes piece by piece; the output may trail the input.
type transferDecoder interface {
	decode(dst, src []byte) []byte
	finish(dst []byte) []byte
}

type transferReader struct {
	r   io.Reader
	d   transferDecoder
	in  [4 << 10]byte
	buf []byte
	out []byte // the rest of buf
	err error
}

func (t *transferReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for len(t.out) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		n, err := t.r.Read(t.in[:])
		t.buf = t.d.decode(t.buf[:0], t.in[:n])
		if err != nil {
			t.err = err
			t.buf = t.d.finish(t.buf)
		}
		t.out = t.buf
	}
	n := copy(b, t.out)
	t.out = t.out[n:]
	return n, nil
}

// base64Decoder skips what is not of the alphabet. Padding ends a quantum, not
// the text: some programs join several encoded pieces.
type base64Decoder struct {
	bits uint32
	n    int // characters in bits
}

const noDigit = 0xff

// base64Digit maps an octet to its value; the URL alphabet is accepted too.
func base64Digit(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A'
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26
	case '0' <= c && c <= '9':
		return c - '0' + 52
	case c == '+', c == '-':
		return 62
	case c == '/', c == '_':
		return 63
	}
	return noDigit
}

func (d *base64Decoder) decode(dst, src []byte) []byte {
	for _, c := range src {
		if c == '=' {
			dst = d.finish(dst)
			continue
		}
		v := base64Digit(c)
		if v == noDigit {
			continue
		}
		d.bits = d.bits<<6 | uint32(v)
		if d.n++; d.n == 4 {
			dst = append(dst, byte(d.bits>>16), byte(d.bits>>8), byte(d.bits))
			d.bits, d.n = 0, 0
		}
	}
	return dst
}

// finish delivers the octets of an incomplete quantum.
func (d *base64Decoder) finish(dst []byte) []byte {
	switch d.n {
	case 2:
		dst = append(dst, byte(d.bits>>4))
	case 3:
		dst = append(dst, byte(d.bits>>10), byte(d.bits>>2))
	}
	d.bits, d.n = 0, 0
	return dst
}

// qpDecoder decodes quoted-printable (RFC 2045 §6.7). It holds back white space
// that may be at the end of a line, and an unfinished "=XX".
type qpDecoder struct {
	space  []byte
	escape []byte // begins with '='
}

// maxSpace bounds the white space held back; a longer run is no padding.
const maxSpace = 1 << 10

func (d *qpDecoder) decode(dst, src []byte) []byte {
	for _, c := range src {
		if len(d.escape) > 0 {
			var used bool
			if dst, used = d.escaped(dst, c); used {
				continue
			}
		}
		switch {
		case c == '=':
			dst = d.flushSpace(dst)
			d.escape = append(d.escape, c)
		case isWSP(c) && len(d.space) < maxSpace, c == '\r':
			if c == '\r' && len(d.space) > 0 && d.space[len(d.space)-1] == '\r' {
				dst = d.flushSpace(dst)
			}
			d.space = append(d.space, c)
		case c == '\n':
			// Padding goes, the line end stays as it is.
			if n := len(d.space); n > 0 && d.space[n-1] == '\r' {
				dst = append(dst, '\r')
			}
			d.space = d.space[:0]
			dst = append(dst, c)
		default:
			dst = d.flushSpace(dst)
			dst = append(dst, c)
		}
	}
	return dst
}

// escaped takes one more octet after a '='. It reports false if the octet is
// to be read as if there were no escape.
func (d *qpDecoder) escaped(dst []byte, c byte) ([]byte, bool) {
	last := d.escape[len(d.escape)-1]
	switch {
	case c == '\n' && (len(d.escape) == 1 || isLWSP(last)):
		d.escape = d.escape[:0] // soft line break
		return dst, true
	case isLWSP(c) && (len(d.escape) == 1 || isWSP(last)) && len(d.escape) < maxSpace:
		d.escape = append(d.escape, c)
		return dst, true
	case unhex(c) >= 0 && len(d.escape) == 1:
		d.escape = append(d.escape, c)
		return dst, true
	case unhex(c) >= 0 && len(d.escape) == 2 && unhex(last) >= 0:
		d.escape = d.escape[:0]
		return append(dst, byte(unhex(last)<<4|unhex(c))), true
	}
	dst = append(dst, d.escape...)
	d.escape = d.escape[:0]
	return dst, false
}

func (d *qpDecoder) flushSpace(dst []byte) []byte {
	dst = append(dst, d.space...)
	d.space = d.space[:0]
	return dst
}

// finish ends the text; a '=' at its very end is a soft line break.
func (d *qpDecoder) finish(dst []byte) []byte {
	dst = d.flushSpace(dst)
	if len(d.escape) > 1 && !isLWSP(d.escape[1]) {
		dst = append(dst, d.escape...)
	}
	d.escape = d.escape[:0]
	return dst
}

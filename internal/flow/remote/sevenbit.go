package remote

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"

	"posthorn/internal/wire/mime"
)

// sevenBit is content in a form that every host takes: lines of ASCII text. A
// host without 8BITMIME must get nothing else (RFC 6152 §3), nor one without
// BINARYMIME binary content (RFC 3030 §3). Parts that need it are encoded anew;
// everything else stays octet for octet.
type sevenBit struct {
	pieces []piece
	size   int64
}

// piece is a stretch of the content, or text in its place.
type piece struct {
	text   []byte
	span   mime.Span
	encode string // "", "quoted-printable" or "base64"
}

// errNoSevenBit says that there is no such form: the message does not follow
// MIME, is signed in its 8-bit form, or has header fields that only SMTPUTF8
// carries.
var errNoSevenBit = errors.New("the content cannot be turned into 7-bit text")

// maxHeader is the largest header section that is looked through for fields.
const maxHeader = 1 << 20

// sevenBit returns the form, made once. An error other than errNoSevenBit is
// one of reading.
func (c *content) sevenBit() (*sevenBit, error) {
	if c.seven == nil {
		s, err := c.makeSevenBit()
		if err != nil {
			return nil, err
		}
		c.seven = s
	}
	return c.seven, nil
}

func (c *content) makeSevenBit() (*sevenBit, error) {
	if c.mime.Opaque != 0 {
		return nil, errNoSevenBit // not all of its parts are known
	}
	s, at, signed := &sevenBit{}, int64(0), int64(0)
	for i := range c.mime.Parts {
		p := &c.mime.Parts[i]
		if p.Header.Start < signed {
			continue // its header fields are signed, too, even one that says 8bit for nothing
		}
		encode, err := c.encodingFor(p)
		if err != nil {
			return nil, err
		}
		if p.Type == "multipart" && p.Subtype == "signed" {
			signed = p.Body.End
		}
		header, err := c.header(p, encode, i == 0)
		if err != nil {
			return nil, err
		}
		if header != nil {
			s.pieces = append(s.pieces, piece{span: mime.Span{Start: at, End: p.Header.Start}}, piece{text: header})
			at = p.Header.End
		}
		if encode != "" {
			s.pieces = append(s.pieces, piece{span: mime.Span{Start: at, End: p.Body.Start}}, piece{span: p.Body, encode: encode})
			at = p.Body.End
		}
	}
	s.pieces = append(s.pieces, piece{span: mime.Span{Start: at, End: c.size()}})
	// What is still not plain, in a header or around the parts, has no form.
	parser := mime.NewParser()
	if _, err := io.Copy(parser, s.reader(c)); err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	made := parser.Close()
	if !plain(made.Facts) {
		return nil, errNoSevenBit
	}
	s.size = made.Size
	return s, nil
}

// plain reports what RFC 5322 §2.1 allows in a message.
func plain(f mime.Facts) bool {
	return f.Flags&(mime.Has8Bit|mime.HasNUL|mime.HasBareCR|mime.HasBareLF) == 0 && f.LongestLine <= 998
}

// encodingFor returns the encoding that the part's body needs, "" for none.
func (c *content) encodingFor(p *mime.Part) (string, error) {
	switch {
	case p.Type == "multipart" && p.Subtype == "signed":
		f, err := c.facts(p.Body)
		if err == nil && !plain(f) {
			err = errNoSevenBit // RFC 1847 §2.1: another encoding breaks the signature
		}
		return "", err
	case composite(p):
		return "", nil
	}
	f, err := c.facts(p.Body)
	switch {
	case err != nil || plain(f):
		return "", err
	case p.Encoding != "" && p.Encoding != "7bit" && p.Encoding != "8bit" && p.Encoding != "binary", p.Type == "message":
		return "", errNoSevenBit // it has an encoding already, or must not have one
	case p.Type == "text" && f.Flags&(mime.HasNUL|mime.HasBareCR|mime.HasBareLF) == 0:
		return "quoted-printable", nil
	}
	return "base64", nil
}

// composite parts hold others and are never encoded themselves (RFC 2045 §6.4).
func composite(p *mime.Part) bool {
	return p.Type == "multipart" || p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}

func (c *content) facts(span mime.Span) (mime.Facts, error) {
	parser := mime.NewParser()
	if _, err := io.Copy(parser, io.NewSectionReader(c, span.Start, span.Len())); err != nil {
		return mime.Facts{}, fmt.Errorf("read the message: %w", err)
	}
	return parser.Close().Facts, nil
}

// header returns the part's header section with the encoding its body gets, or
// nil if it can stay.
func (c *content) header(p *mime.Part, encode string, root bool) ([]byte, error) {
	if encode == "" && composite(p) && (p.Encoding == "8bit" || p.Encoding == "binary") {
		encode = "7bit"
	}
	if encode == "" {
		return nil, nil
	}
	if p.Header.Len() > maxHeader {
		return nil, errNoSevenBit
	}
	old := make([]byte, p.Header.Len())
	if _, err := io.ReadFull(io.NewSectionReader(c, p.Header.Start, p.Header.Len()), old); err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	fields, typed := dropEncoding(old)
	if root && !c.mime.Flags.Has(mime.HasMIMEVersion) {
		fields = append(fields, "MIME-Version: 1.0\r\n"...)
		if !typed { // RFC 1428 §3: nobody knows which
			fields = append(fields, "Content-Type: text/plain; charset=unknown-8bit\r\n"...)
		}
	}
	fields = append(fields, "Content-Transfer-Encoding: "+encode+"\r\n"...)
	return append(fields, "\r\n"...), nil
}

// dropEncoding returns the fields of a header section without
// Content-Transfer-Encoding and the empty line, and whether there is a
// Content-Type.
func dropEncoding(header []byte) (fields []byte, typed bool) {
	dropping := false
	for line := range bytes.Lines(header) {
		if text := bytes.TrimRight(line, "\r\n"); len(text) == 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(string(line[:min(len(line), 80)]), ":")
			name = strings.ToLower(strings.TrimRight(name, " \t"))
			dropping = name == "content-transfer-encoding"
			typed = typed || name == "content-type"
		}
		if !dropping {
			fields = append(fields, line...)
		}
	}
	if len(fields) > 0 && fields[len(fields)-1] != '\n' {
		fields = append(fields, "\r\n"...)
	}
	return fields, typed
}

// reader reads the form once.
func (s *sevenBit) reader(c *content) io.Reader {
	readers := make([]io.Reader, 0, len(s.pieces))
	for _, p := range s.pieces {
		section := io.NewSectionReader(c, p.span.Start, p.span.Len())
		switch p.encode {
		case "quoted-printable":
			e := &encoder{src: section}
			e.w = quotedprintable.NewWriter(&e.out)
			readers = append(readers, e)
		case "base64":
			e := &encoder{src: section}
			e.w = &wrapped{WriteCloser: base64.NewEncoder(base64.StdEncoding, &wrapper{to: &e.out}), end: &e.out}
			readers = append(readers, e)
		default:
			readers = append(readers, bytes.NewReader(p.text), section)
		}
	}
	return io.MultiReader(readers...)
}

// encoder reads what src becomes when it is written to w, which writes to out.
type encoder struct {
	src  io.Reader
	w    io.WriteCloser
	out  bytes.Buffer
	in   [3 << 10]byte
	done bool
}

// Read implements io.Reader.
func (e *encoder) Read(b []byte) (int, error) {
	for e.out.Len() == 0 && !e.done {
		n, err := e.src.Read(e.in[:])
		if _, werr := e.w.Write(e.in[:n]); werr != nil {
			return 0, werr
		}
		switch {
		case errors.Is(err, io.EOF):
			e.done = true
			if err := e.w.Close(); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, err
		}
	}
	if e.out.Len() == 0 {
		return 0, io.EOF
	}
	return e.out.Read(b)
}

// wrapper breaks base64 into lines of 76 characters (RFC 2045 §6.8).
type wrapper struct {
	to *bytes.Buffer
	n  int
}

// Write implements io.Writer.
func (w *wrapper) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		if w.n == 76 {
			w.to.WriteString("\r\n")
			w.n = 0
		}
		k := min(len(rest), 76-w.n)
		w.to.Write(rest[:k])
		rest, w.n = rest[k:], w.n+k
	}
	return len(b), nil
}

// wrapped ends the last line of base64.
type wrapped struct {
	io.WriteCloser
	end *bytes.Buffer
}

// Close implements io.Closer.
func (w *wrapped) Close() error {
	err := w.WriteCloser.Close()
	w.end.WriteString("\r\n")
	return err
}

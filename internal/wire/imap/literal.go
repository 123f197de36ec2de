package imap

import (
	"bytes"
	"io"
	"math"
)

// Literal is a literal in the input (RFC 3501 §4.3, RFC 7888, RFC 3516). It
// reads as exactly Size octets; the first Read asks a client that waits to
// send them. A Literal nobody reads is refused without cost: Next skips it.
type Literal struct {
	// Size is the number of octets.
	Size int64
	// NonSync says that the client sends without waiting: `{n+}`.
	NonSync bool
	// Binary says that the octets may contain NUL: `~{n}`.
	Binary bool

	d     *Decoder
	asked bool
	left  int64
}

// Read implements io.Reader. It returns io.ErrUnexpectedEOF when the client
// goes away inside the literal.
func (l *Literal) Read(p []byte) (int, error) {
	if err := l.ask(); err != nil {
		return 0, err
	}
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.d.in.read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if err != nil {
		l.d.fail(err)
		return n, err
	}
	l.settle()
	return n, nil
}

// ask sends the continuation request once, if the client waits for it.
func (l *Literal) ask() error {
	if l.d.err != nil {
		return l.d.err
	}
	if !l.asked {
		if !l.NonSync {
			if err := l.d.proceed(); err != nil {
				l.d.fail(err)
				return err
			}
		}
		l.asked = true
		l.settle()
	}
	return nil
}

// settle hands the stream back to the lines once the literal is through.
func (l *Literal) settle() {
	if l.left == 0 {
		l.d.rest = restLine
	}
}

// waiting reports whether the client has not been asked to send.
func (l *Literal) waiting() bool { return !l.NonSync && !l.asked }

// parse looks for a literal announcement at the end of line and returns where
// it begins. A size beyond 63 bits counts as the greatest there is.
func (l *Literal) parse(line []byte) (at int, ok bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0, false
	}
	at = bytes.LastIndexByte(line, '{')
	if at < 0 {
		return 0, false
	}
	digits, nonSync := bytes.CutSuffix(line[at+1:len(line)-1], []byte{'+'})
	size, ok := parseSize(digits)
	if !ok {
		return 0, false
	}
	binary := at > 0 && line[at-1] == '~'
	if binary {
		at--
	}
	l.Size, l.left, l.NonSync, l.Binary, l.asked = size, size, nonSync, binary, false
	return at, true
}

func parseSize(digits []byte) (int64, bool) {
	if len(digits) == 0 {
		return 0, false
	}
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// atLiteral reports whether the next token is a literal.
func (d *Decoder) atLiteral() bool {
	_, ok := d.peek()
	return !ok && d.err == nil && d.rest == restLiteral
}

// literalText reads an argument literal.
func (d *Decoder) literalText() string {
	l := &d.literal
	if l.Size > d.limits.Literal || l.Size > d.limits.Literals-d.literals {
		d.fail(d.excess("Literal too long"))
		return ""
	}
	d.literals += l.Size
	if l.Binary {
		d.fail(expected("a literal without ~"))
		return ""
	}
	b := make([]byte, l.Size)
	if err := l.ask(); err != nil {
		return ""
	}
	if _, err := io.ReadFull(l, b); err != nil {
		d.fail(unexpected(err))
		return ""
	}
	if bytes.IndexByte(b, 0) >= 0 {
		d.fail(expected("a literal without NUL"))
		return ""
	}
	return string(b)
}

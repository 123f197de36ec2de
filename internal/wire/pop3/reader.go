package pop3

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits in octets, line ends included.
const (
	// MaxLine is the longest command line (RFC 2449 §4).
	MaxLine = 255
	// MaxAuthLine is the longest AUTH command and the longest line of its
	// exchange. More than RFC 5034 §4 asks for, because clients send initial
	// responses of any size.
	MaxAuthLine = 8192

	// maxFlood is how much of an endless line is skipped before the
	// connection is given up.
	maxFlood = 1 << 20
	// buffer is kept small: most connections wait.
	buffer = 512
)

// ErrFlood says that a line did not end within a megabyte. It is not
// recoverable: close the connection.
var ErrFlood = errors.New("pop3: line without end")

// Reader reads lines from a client. It holds 512 octets and, while a longer
// line comes in, at most MaxAuthLine more. A bare LF ends a line too.
type Reader struct {
	r *bufio.Reader
}

// NewReader returns a Reader.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, buffer)} }

// Buffered is the number of octets received but not yet read. After STLS and
// before the handshake there must be none: they were not encrypted, so the
// connection is to be closed (RFC 2595 §4, CVE-2011-0411). A new Reader
// belongs to the encrypted connection.
func (r *Reader) Buffered() int { return r.r.Buffered() }

// ReadCommand reads one command. Errors for which Recoverable is true cost one
// line, which is skipped; io.EOF is the end between two commands,
// io.ErrUnexpectedEOF within one.
func (r *Reader) ReadCommand() (Command, error) {
	line, err := r.line()
	if err != nil {
		return Command{}, err
	}
	return ParseCommand(line)
}

// ReadResponse reads one line of an AUTH exchange, without its line end and
// still in base64 (see sasl.DecodeResponse). Errors are those of ReadCommand;
// a recoverable one ends the exchange.
func (r *Reader) ReadResponse() (string, error) {
	line, err := r.line()
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", ErrCharacter
	}
	return line, nil
}

// line reads to the next LF and cuts the line end off. What is longer than
// MaxAuthLine is skipped to its end.
func (r *Reader) line() (string, error) {
	part, err := r.r.ReadSlice('\n')
	if err == nil {
		return trim(part), nil // nearly always
	}
	long, total := bytes.Clone(part), len(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = r.r.ReadSlice('\n')
		total += len(part)
		if total > maxFlood {
			return "", ErrFlood
		}
		if total <= MaxAuthLine {
			long = append(long, part...)
		} else {
			long = nil
		}
	}
	switch {
	case errors.Is(err, io.EOF) && total > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	case long == nil:
		return "", fmt.Errorf("%w: %d octets", ErrTooLong, total)
	}
	return trim(long), nil
}

func trim(line []byte) string {
	return string(bytes.TrimSuffix(line[:len(line)-1], []byte("\r")))
}

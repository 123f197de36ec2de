package pop3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// WriteContent writes a message as RETR answers it: every line ends in CRLF,
// whatever it ended in (a bare CR and a bare LF become CRLF), lines that begin
// with a dot get another one, and ".\r\n" comes last (RFC 1939 §3). It returns
// the octets written. Memory is constant.
//
// After any error the end is not written, so that the client does not take
// half a message for a whole one: close the connection. Errors of r are
// wrapped with "pop3: content".
func WriteContent(w io.Writer, r io.Reader) (int64, error) {
	s := stuffer{w: w, start: true}
	return s.copy(r)
}

// WriteTop writes a message as TOP answers it: the header section, the empty
// line after it and the given number of lines of the body. It reads no
// further than one buffer beyond that; otherwise it is WriteContent.
func WriteTop(w io.Writer, r io.Reader, lines int) (int64, error) {
	s := stuffer{w: w, start: true, top: true, left: lines}
	return s.copy(r)
}

// chunk is how much is read at a time.
const chunk = 16 << 10

// memory is what one message needs on its way, lent for as long.
type memory struct{ in, out []byte }

var memories = sync.Pool{New: func() any {
	return &memory{in: make([]byte, chunk), out: make([]byte, 0, chunk+chunk/8)}
}}

// stuffer turns content into lines for the wire.
type stuffer struct {
	w       io.Writer
	out     []byte // written after each chunk
	written int64
	start   bool // at the start of a line
	cr      bool // a CR was read; LF may follow

	top  bool // stop after left lines of the body
	body bool // the header section is over
	left int
	done bool
}

func (s *stuffer) copy(r io.Reader) (int64, error) {
	m := memories.Get().(*memory)
	defer memories.Put(m)
	in := m.in
	s.out = m.out
	for idle := 0; !s.done; {
		n, err := r.Read(in)
		s.feed(in[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if idle++; n > 0 {
			idle = 0
		}
		if err == nil && idle >= 100 {
			err = io.ErrNoProgress
		}
		if err != nil {
			return s.written, fmt.Errorf("pop3: content: %w", err)
		}
		if err := s.flush(); err != nil {
			return s.written, err
		}
	}
	if !s.done && (s.cr || !s.start) {
		s.endLine()
	}
	s.out = AppendEnd(s.out)
	return s.written, s.flush()
}

func (s *stuffer) flush() error {
	n, err := s.w.Write(s.out)
	s.written += int64(n)
	s.out = s.out[:0]
	return err
}

// feed takes content up to each LF.
func (s *stuffer) feed(b []byte) {
	for len(b) > 0 && !s.done {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		s.untilLF(line)
		if found && !s.done {
			s.endLine()
		}
		b = rest
	}
}

// untilLF takes content without LF; each CR in it ends a line, unless it is
// the last octet and LF is still to come.
func (s *stuffer) untilLF(b []byte) {
	for len(b) > 0 {
		if s.cr {
			if s.endLine(); s.done {
				return
			}
		}
		text, rest, found := bytes.Cut(b, []byte("\r"))
		s.text(text)
		s.cr, b = found, rest
	}
}

func (s *stuffer) text(b []byte) {
	if len(b) == 0 {
		return
	}
	if s.start && b[0] == '.' {
		s.out = append(s.out, '.')
	}
	s.out = append(s.out, b...)
	s.start = false
}

func (s *stuffer) endLine() {
	s.out = append(s.out, "\r\n"...)
	empty := s.start
	s.start, s.cr = true, false
	if !s.top {
		return
	}
	if s.body {
		s.left--
	}
	s.body = s.body || empty
	s.done = s.body && s.left <= 0
}

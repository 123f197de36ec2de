package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// content writes the body with CRLF line ends, dots stuffed, and the end. An
// error of the source leaves the content unfinished, so that the server
// cannot take it for a whole message.
func (c *Client) content(src io.Reader) error {
	w := stuffer{c: c, start: true}
	if err := copyPieces(src, w.write); err != nil {
		return err
	}
	return w.end()
}

func copyPieces(src io.Reader, write func([]byte) error) error {
	buf := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			if err := write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("smtp: read the content: %w", err)
		}
	}
}

// stuffer writes content for DATA (RFC 5321 §4.5.2). Line ends are made CRLF
// first, so a dot after a bare CR or LF is stuffed like any other.
type stuffer struct {
	c      *Client
	normal Normalizer
	start  bool // at the beginning of a line
	buf    []byte
}

func (w *stuffer) write(p []byte) error {
	w.buf = w.normal.Append(w.buf[:0], p)
	return w.stuff(w.buf)
}

func (w *stuffer) stuff(p []byte) error {
	c := w.c
	for len(p) > 0 {
		if w.start && p[0] == '.' {
			c.out = append(c.out, '.')
		}
		end := bytes.IndexByte(p, '\n') + 1
		if w.start = end > 0; !w.start {
			end = len(p)
		}
		c.out = append(c.out, p[:end]...)
		p = p[end:]
	}
	return c.drain(largeBuffer)
}

func (w *stuffer) end() error {
	if err := w.stuff(w.normal.End(w.buf[:0])); err != nil {
		return err
	}
	if !w.start {
		w.c.out = append(w.c.out, '\r', '\n')
	}
	w.c.out = append(w.c.out, '.', '\r', '\n')
	return nil
}

// drain flushes once more than most octets wait.
func (c *Client) drain(most int) error {
	if len(c.out) < most {
		return nil
	}
	if err := c.deadline(c.o.Timeouts.DataBlock); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		c.out = nil
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

// shrink gives memory back that only content needs.
func (c *Client) shrink() {
	if cap(c.out) > smallBuffer*8 {
		c.out = nil
	}
}

// chunkSize is the size of a BDAT chunk.
const chunkSize = 1 << 20

// chunks sends the content by BDAT as it is (RFC 3030).
func (c *Client) chunks(m Message, s *Sent) error {
	buf := make([]byte, chunkSize)
	for last := false; !last; {
		n, err := io.ReadFull(m.Content, buf)
		last = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return fmt.Errorf("smtp: read the content: %w", err)
		}
		line := "BDAT " + strconv.Itoa(n)
		if last {
			line += " LAST"
		}
		if err := c.put(line); err != nil {
			return err
		}
		c.out = append(c.out, buf[:n]...)
		if last {
			return c.finish(m, s)
		}
		r, err := c.read(c.o.Timeouts.DataBlock)
		if err != nil {
			return err
		}
		if r.Code/100 < 4 && r.Code/100 != 2 {
			return judge("BDAT", r, 2)
		}
		if r.Code/100 != 2 {
			s.Data = r
			if err := c.Reset(); err != nil && !isRefusal(err) {
				return err
			}
			return &RefusedError{"BDAT", r}
		}
	}
	return nil
}

package smtp

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

const (
	// smallBuffer is what a connection that waits keeps; a usual group of
	// pipelined commands fits.
	smallBuffer = 512
	// largeBuffer is what is borrowed while there is more to read.
	largeBuffer = 32 << 10
)

var (
	// ErrLineTooLong says that no line end came within the bound; what was
	// read stays unread, so nothing sensible can follow.
	ErrLineTooLong = errors.New("smtp: line too long")
	// ErrBareLF says that a line ended in LF without CR; the line is consumed.
	ErrBareLF = errors.New("smtp: line ends in LF without CR")
)

// Reader reads lines and content from a connection. Idle it keeps 512 octets;
// it borrows a buffer of 32 KB while a message or a long line comes in, and
// never buffers more. Slices it returns are valid until the next call.
type Reader struct {
	src   io.Reader
	large *[largeBuffer]byte
	buf   []byte // small[:] or large[:]
	r, w  int    // unread: buf[r:w]
	full  bool   // the last Read filled the small buffer: more is coming
	small [smallBuffer]byte
}

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{src: src}
	r.buf = r.small[:]
	return r
}

// Buffered returns how many octets were read and not yet used.
func (r *Reader) Buffered() int { return r.w - r.r }

// Release drops what is unread and gives the buffer back.
func (r *Reader) Release() {
	r.r, r.w = 0, 0
	r.shrink()
}

func (r *Reader) shrink() {
	if r.large != nil {
		largeBuffers.Put(r.large)
		r.large = nil
	}
	r.buf, r.full = r.small[:], false
}

// grow moves to a large buffer, unless there is one.
func (r *Reader) grow() {
	if r.large != nil {
		return
	}
	r.large = largeBuffers.Get().(*[largeBuffer]byte)
	r.w = copy(r.large[:], r.buf[r.r:r.w])
	r.r, r.buf = 0, r.large[:]
}

// fill reads once, into the room behind what is unread.
func (r *Reader) fill() error {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	if r.w == len(r.buf) {
		r.grow()
	}
	if r.w == len(r.buf) {
		return ErrLineTooLong
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		r.full = r.w == len(r.buf)
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// ReadLine returns the next line without its line end, of at most limit octets
// (below 32 KB). Only LF ends a line; one without CR gives ErrBareLF. EOF in
// the middle of a line gives io.ErrUnexpectedEOF, before one io.EOF.
func (r *Reader) ReadLine(limit int) ([]byte, error) {
	if r.r == r.w {
		r.r, r.w = 0, 0
		if r.full {
			r.grow()
		} else {
			r.shrink()
		}
	}
	for searched := 0; ; {
		unread := r.buf[r.r:r.w]
		if i := bytes.IndexByte(unread[searched:], '\n'); i >= 0 {
			line := unread[:searched+i]
			if len(line) > limit+1 {
				return nil, ErrLineTooLong
			}
			r.r += len(line) + 1
			if len(line) == 0 || line[len(line)-1] != '\r' {
				return nil, ErrBareLF
			}
			return line[:len(line)-1], nil
		}
		if searched = len(unread); searched > limit+1 {
			return nil, ErrLineTooLong
		}
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) && searched > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// window returns what is unread, reading if that is nothing; content always
// comes through a large buffer.
func (r *Reader) window() ([]byte, error) {
	if r.r == r.w {
		r.r, r.w = 0, 0
		r.grow()
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return r.buf[r.r:r.w], nil
}

// ReadData passes the content that follows DATA to w, up to its end. An error
// of w ends it early and is returned; the rest is then unread.
func (r *Reader) ReadData(d *Dot, w io.Writer) error {
	for {
		src, err := r.window()
		if err != nil {
			return err
		}
		for len(src) > 0 {
			content, n, done := d.Next(src)
			r.r += n
			src = src[n:]
			if len(content) > 0 {
				if _, err := w.Write(content); err != nil {
					return err
				}
			}
			if done {
				return nil
			}
		}
	}
}

// ReadChunk passes the n octets of a BDAT chunk to w, whatever they are.
func (r *Reader) ReadChunk(n int64, w io.Writer) error {
	for n > 0 {
		src, err := r.window()
		if err != nil {
			return err
		}
		src = src[:min(int64(len(src)), n)]
		r.r += len(src)
		n -= int64(len(src))
		if _, err := w.Write(src); err != nil {
			return err
		}
	}
	return nil
}

// Await waits until something is there to read, which then is buffered. src
// replaces the Reader's source for this once.
func (r *Reader) Await(src io.Reader) error {
	if r.r < r.w {
		return nil
	}
	old := r.src
	r.src = src
	err := r.fill()
	r.src = old
	return err
}

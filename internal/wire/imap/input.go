package imap

import (
	"bytes"
	"io"
	"sync"
)

const (
	// smallSize is the buffer a waiting decoder keeps; most commands fit.
	smallSize = 64
	// pageSize is the buffer a command gets that does not.
	pageSize = 4096
	// tailSize holds the longest literal announcement with its CR:
	// `~{9223372036854775807+}`.
	tailSize = 32
)

// pages lends read buffers to connections that are busy, so that idle ones
// hold none.
var pages = sync.Pool{New: func() any { return new([pageSize]byte) }}

// input is the octets a client has sent, a line or a literal at a time.
// buf[r:w] has been received and not yet been taken.
type input struct {
	src   io.Reader
	buf   []byte
	r, w  int
	page  *[pageSize]byte
	small [smallSize]byte
}

// release gives a drained buffer back.
func (in *input) release() {
	if in.r < in.w {
		return
	}
	in.r, in.w, in.buf = 0, 0, in.small[:]
	in.giveBack()
}

// giveBack returns the page, cleared: it may hold a password.
func (in *input) giveBack() {
	if in.page != nil {
		clear(in.page[:])
		pages.Put(in.page)
		in.page = nil
	}
}

// room makes space behind w. It moves the octets, so no view of buf may be
// alive.
func (in *input) room() {
	if in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
		return
	}
	var next []byte
	if len(in.buf) < pageSize {
		in.page = pages.Get().(*[pageSize]byte)
		next = in.page[:]
	} else {
		next = make([]byte, 2*len(in.buf))
	}
	copy(next, in.buf[:in.w])
	if len(next) > pageSize {
		in.giveBack()
	}
	in.buf = next
}

// fill reads at least one octet more.
func (in *input) fill() error {
	if in.w == len(in.buf) {
		in.room()
	}
	n, err := readSome(in.src, in.buf[in.w:])
	in.w += n
	return err
}

// readSome reads at least one octet or returns why not.
func readSome(src io.Reader, p []byte) (int, error) {
	for range 100 {
		n, err := src.Read(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// line takes one line and returns it without its end; the view lives until
// the next call. ok is false when the line is longer than limit: then the
// view is its beginning and nothing has been taken.
func (in *input) line(limit int) (line []byte, ok bool, err error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(in.buf[in.r+scanned:in.w], '\n'); i >= 0 {
			scanned += i
			if scanned > limit {
				return in.buf[in.r : in.r+limit], false, nil
			}
			line = in.buf[in.r : in.r+scanned]
			in.r += scanned + 1
			return bytes.TrimSuffix(line, []byte{'\r'}), true, nil
		}
		scanned = in.w - in.r
		if scanned > limit {
			return in.buf[in.r : in.r+limit], false, nil
		}
		if err := in.fill(); err != nil {
			if err == io.EOF && scanned > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, true, err
		}
	}
}

// dropLine throws a line away and returns its last octets, which may announce
// a literal. It takes what it throws away from budget.
func (in *input) dropLine(budget *int64) (tail []byte, err error) {
	for {
		if i := bytes.IndexByte(in.buf[in.r:in.w], '\n'); i >= 0 {
			line := in.buf[in.r : in.r+i]
			in.r += i + 1
			*budget -= int64(i)
			line = bytes.TrimSuffix(line, []byte{'\r'})
			return line[max(0, len(line)-tailSize):], overdrawn(*budget)
		}
		if spare := in.w - in.r - tailSize; spare > 0 {
			in.r += spare
			*budget -= int64(spare)
		}
		if err := overdrawn(*budget); err != nil {
			return nil, err
		}
		if err := in.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
}

// discard throws n octets away.
func (in *input) discard(n int64) error {
	for {
		k := min(n, int64(in.w-in.r))
		in.r += int(k)
		n -= k
		if n == 0 {
			return nil
		}
		in.r, in.w = 0, 0
		if len(in.buf) < pageSize {
			in.room()
		}
		k = min(n, int64(len(in.buf)))
		got, err := readSome(in.src, in.buf[:k])
		if err != nil {
			return unexpected(err)
		}
		n -= int64(got)
	}
}

// read takes octets that were received, or else reads straight from the
// source, never more than len(p).
func (in *input) read(p []byte) (int, error) {
	if in.r < in.w {
		n := copy(p, in.buf[in.r:in.w])
		in.r += n
		return n, nil
	}
	n, err := readSome(in.src, p)
	return n, unexpected(err)
}

// unexpected turns the end of input inside a command into what it is.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// overdrawn says that too much would have to be thrown away.
func overdrawn(budget int64) error {
	if budget >= 0 {
		return nil
	}
	return closing("Too much to skip")
}

// closing is a fault after which the stream cannot be followed any longer.
func closing(text string) *Error {
	return &Error{Response{Status: BAD, Code: CodeTooBig, Text: text, Close: true}}
}

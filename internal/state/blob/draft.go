package blob

import (
	"errors"
	"io"
	"sync"
)

// MemoryLimit is how much of a draft is kept in memory.
const MemoryLimit = 64 << 10

// Spill takes what a draft does not keep in memory. It is written front to
// back, then finished, then read.
type Spill interface {
	io.Writer
	io.ReaderAt
	// Finish ends writing; room reserved but not used is given back.
	Finish() error
	// Settle leaves the content to the commit that refers to it; Discard
	// gives all room back. No other call may follow either.
	Settle()
	Discard()
}

// Draft is the content of a message on its way in: up to MemoryLimit octets in
// a pooled buffer, beyond that in a Spill, with the buffer before it. It
// belongs to one goroutine at a time.
type Draft struct {
	spiller  Spiller
	mem      []byte
	class    int
	spill    Spill
	size     int64
	ends     ends
	expected int64
	sealed   bool
	taken    bool
	done     bool
	err      error
}

var errSealed = errors.New("blob: write to a draft that was read or discarded")

// Spiller begins spills; *Segments is one.
type Spiller interface {
	// NewStream is asked when a draft of about size octets outgrows memory.
	NewStream(size int64) (Spill, error)
}

// Init makes d an empty draft of about expected octets (0: unknown).
func (d *Draft) Init(expected int64, spiller Spiller) {
	*d = Draft{spiller: spiller, expected: expected, class: -1}
}

// Write appends p. After an error the draft is of no use.
func (d *Draft) Write(p []byte) (int, error) {
	if d.sealed {
		return 0, errSealed
	}
	if d.err != nil {
		return 0, d.err
	}
	total := len(p)
	for len(p) > 0 {
		if len(d.mem) == MemoryLimit {
			if d.err = d.flush(); d.err != nil {
				return total - len(p), d.err
			}
		}
		n := min(len(p), MemoryLimit-len(d.mem))
		d.grow(len(d.mem) + n)
		d.mem = append(d.mem, p[:n]...)
		d.size += int64(n)
		d.ends.note(p[:n])
		p = p[n:]
	}
	return total, nil
}

// grow makes room for n octets in memory.
func (d *Draft) grow(n int) {
	if n <= cap(d.mem) {
		return
	}
	if d.class < 0 && d.expected > int64(n) {
		n = int(min(d.expected, MemoryLimit))
	}
	class, buf := takeBuffer(n)
	buf = append(buf, d.mem...)
	giveBuffer(d.class, d.mem)
	d.class, d.mem = class, buf
}

func (d *Draft) flush() error {
	if d.spill == nil {
		s, err := d.spiller.NewStream(max(d.expected, d.size))
		if err != nil {
			return err
		}
		d.spill = s
	}
	_, err := d.spill.Write(d.mem)
	d.mem = d.mem[:0]
	return err
}

// Size returns the number of octets written.
func (d *Draft) Size() int64 { return d.size }

// Uneven is that of what was written (see the function).
func (d *Draft) Uneven() int64 { return d.ends.uneven() }

// Seal ends writing. It is called before the content is read or stored, and
// may be called again.
func (d *Draft) Seal() error {
	if d.done {
		return errSealed
	}
	if d.err != nil || d.sealed {
		return d.err
	}
	d.sealed = true
	if d.spill != nil {
		if d.err = d.flush(); d.err == nil {
			d.err = d.spill.Finish()
		}
		d.release()
	}
	return d.err
}

// Memory returns the content of a sealed draft that fits in memory.
func (d *Draft) Memory() ([]byte, bool) { return d.mem, d.spill == nil }

// Spilled returns where the content of a sealed draft went, nil when it is in
// memory.
func (d *Draft) Spilled() Spill { return d.spill }

// ReadAt reads a sealed draft.
func (d *Draft) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= d.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > d.size-off
	if short {
		p = p[:d.size-off]
	}
	n, err := len(p), error(nil)
	if d.spill != nil {
		n, err = d.spill.ReadAt(p, off)
	} else {
		copy(p, d.mem[off:])
	}
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// Take leaves the spilled content to the commit that refers to it: Discard
// keeps it then.
func (d *Draft) Take() {
	if d.spill != nil && !d.taken {
		d.spill.Settle()
	}
	d.taken = true
}

// Taken reports whether Take was called.
func (d *Draft) Taken() bool { return d.taken }

// Discard gives everything back that was not taken. It may be called always.
func (d *Draft) Discard() {
	if d.done {
		return
	}
	d.done, d.sealed = true, true
	d.release()
	if d.spill != nil && !d.taken {
		d.spill.Discard()
	}
}

func (d *Draft) release() {
	giveBuffer(d.class, d.mem)
	d.mem, d.class = nil, -1
}

// Buffers come in three sizes, so that the common small message costs 4 KB.
var (
	bufferSizes = [...]int{4 << 10, 16 << 10, MemoryLimit}
	bufferPools [len(bufferSizes)]sync.Pool
)

func takeBuffer(n int) (int, []byte) {
	class := 0
	for bufferSizes[class] < n {
		class++
	}
	if p, _ := bufferPools[class].Get().(*buffer); p != nil {
		b := p.b
		p.b = nil
		emptyBuffers.Put(p)
		return class, b[:0]
	}
	return class, make([]byte, 0, bufferSizes[class])
}

func giveBuffer(class int, b []byte) {
	if class < 0 {
		return
	}
	p, _ := emptyBuffers.Get().(*buffer)
	if p == nil {
		p = new(buffer)
	}
	p.b = b
	bufferPools[class].Put(p)
}

// buffer carries a slice through a pool without allocating its header anew.
type buffer struct{ b []byte }

var emptyBuffers sync.Pool

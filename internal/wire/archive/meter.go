package archive

import (
	"bufio"
	"compress/flate"
	"errors"
	"io"
)

// timeStep is how many octets pass between two looks at the time.
const timeStep = 64 << 10

// level is the memory of one depth, used for one member after the other.
type level struct {
	buffer  *bufio.Reader
	inflate io.ReadCloser
}

func (w *walker) level(depth int) *level {
	for len(w.levels) <= depth {
		w.levels = append(w.levels, &level{buffer: bufio.NewReaderSize(nil, peekSize)})
	}
	return w.levels[depth]
}

// inflate returns a metered reader of deflated data. If r is an io.ByteReader
// nothing behind the end of the data is read.
func (w *walker) inflate(r io.Reader, depth int) io.Reader {
	level := w.level(depth)
	if level.inflate == nil {
		level.inflate = flate.NewReader(r)
	} else {
		_ = level.inflate.(flate.Resetter).Reset(r, nil) // never fails
	}
	return w.meterOut(level.inflate)
}

// meterIn is the source with its octets counted.
func (w *walker) meterIn() io.Reader { return readerFunc(w.readSource) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (w *walker) readSource(p []byte) (int, error) {
	if w.err != nil || w.ended {
		return 0, errStop
	}
	n, err := w.source.Read(p)
	w.report.In += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err, w.ended = err, true
		return n, errStop
	}
	if w.tick(n) {
		return 0, errStop
	}
	return n, err
}

// meterOut counts what a decompressor makes of its input and ends the walk
// when it is too much.
func (w *walker) meterOut(r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if w.ended {
			return 0, errStop
		}
		n, err := r.Read(p)
		w.report.Out += int64(n)
		switch out := w.report.Out; {
		case out > w.limits.Output:
			return 0, w.end(BoundOutput)
		case out > ratioFloor && out/w.limits.Ratio > w.report.In:
			return 0, w.end(BoundRatio)
		case w.tick(n):
			return 0, errStop
		}
		return n, err
	})
}

// tick reports that the walk has ended, looking at the time now and then.
func (w *walker) tick(n int) bool {
	if w.since += int64(n) + 1; w.since < timeStep {
		return w.ended
	}
	w.since = 0
	return w.expired()
}

// discard skips n octets; io.ErrUnexpectedEOF if there are fewer.
func discard(r io.Reader, n int64) error {
	if n < 0 {
		return io.ErrUnexpectedEOF
	}
	got, err := io.CopyN(io.Discard, r, n)
	if got < n && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

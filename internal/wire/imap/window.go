package imap

import (
	"math"
	"strconv"
)

// Window is a range of results (RFC 9394 §3.1): 1:100 are the first hundred,
// -1:-100 the last hundred. Both ends have the same sign and First is the one
// nearer to that end; the zero Window means all.
type Window struct{ First, Last int64 }

// window takes a partial-range.
func (d *Decoder) window() Window {
	const what = "a range such as 1:100 or -1:-100"
	first := d.windowEnd(what)
	d.expect(':', what)
	last := d.windowEnd(what)
	if (first < 0) != (last < 0) {
		d.fail(expected(what))
		return Window{}
	}
	if first > 0 && first > last || first < 0 && first < last {
		first, last = last, first
	}
	return Window{first, last}
}

func (d *Decoder) windowEnd(what string) int64 {
	negative := d.accept('-')
	n := int64(d.number(math.MaxUint32, what))
	if n == 0 {
		d.fail(expected(what))
	}
	if negative {
		return -n
	}
	return n
}

// Append appends the wire form.
func (w Window) Append(b []byte) []byte {
	b = strconv.AppendInt(b, w.First, 10)
	return strconv.AppendInt(append(b, ':'), w.Last, 10)
}

// Of returns which of n results, counted from 0, the window shows: those from
// lo to hi-1.
func (w Window) Of(n int) (lo, hi int) {
	switch {
	case w.First > 0:
		return int(min(w.First-1, int64(n))), int(min(w.Last, int64(n)))
	case w.First < 0:
		return int(max(int64(n)+w.Last, 0)), int(max(int64(n)+w.First+1, 0))
	}
	return 0, n
}

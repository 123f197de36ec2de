package junk

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// entry is what is known of one token: in how many messages of each class it
// was, and the day it was last learned. What is taken back has counts below 0.
type entry struct {
	hash      uint64
	spam, ham int
	day       uint16
}

// run is a list of entries ascending by hash, as it lies in the file:
//
//	hash 8 octets, spam 2, ham 2, day 2, all little-endian
//
// A run is never changed; what is learned makes new ones.
type run []byte

const entrySize = 14

func (r run) len() int { return len(r) / entrySize }

func (r run) hash(i int) uint64 { return binary.LittleEndian.Uint64(r[i*entrySize:]) }

func (r run) at(i int) entry {
	b := r[i*entrySize:][:entrySize]
	return entry{
		hash: binary.LittleEndian.Uint64(b),
		spam: int(int16(binary.LittleEndian.Uint16(b[8:]))),
		ham:  int(int16(binary.LittleEndian.Uint16(b[10:]))),
		day:  binary.LittleEndian.Uint16(b[12:]),
	}
}

func (r run) append(e entry) run {
	r = binary.LittleEndian.AppendUint64(r, e.hash)
	r = binary.LittleEndian.AppendUint16(r, uint16(narrow(e.spam)))
	r = binary.LittleEndian.AppendUint16(r, uint16(narrow(e.ham)))
	return binary.LittleEndian.AppendUint16(r, e.day)
}

func narrow(n int) int16 { return int16(max(math.MinInt16, min(math.MaxInt16, n))) }

// valid reports whether the octets are a run: what a damaged file says is not
// searched.
func (r run) valid() bool {
	if len(r)%entrySize != 0 {
		return false
	}
	for i := 1; i < r.len(); i++ {
		if r.hash(i-1) >= r.hash(i) {
			return false
		}
	}
	return true
}

// find returns the place of a hash. Keyed hashes are spread evenly, so that
// the first guess is nearly right and a few steps from it find the rest.
func (r run) find(h uint64) (int, bool) {
	n := r.len()
	if n == 0 {
		return 0, false
	}
	guess, _ := bits.Mul64(h, uint64(n))
	lo, hi := int(guess), int(guess)
	if step := 4; r.hash(lo) < h {
		for lo++; hi < n && r.hash(hi) < h; step *= 2 {
			lo, hi = hi+1, hi+step
		}
		hi = min(hi, n)
	} else {
		for lo > 0 && r.hash(lo) >= h {
			hi, lo = lo, max(0, lo-step)
			step *= 2
		}
	}
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); r.hash(mid) < h {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < n && r.hash(lo) == h
}

// makeRun sorts entries and adds up those of the same token.
func makeRun(list []entry) run {
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.hash, b.hash) })
	out := make(run, 0, len(list)*entrySize)
	for i := 0; i < len(list); {
		sum := list[i]
		for i++; i < len(list) && list[i].hash == sum.hash; i++ {
			sum = sum.plus(list[i])
		}
		if !sum.empty() {
			out = out.append(sum)
		}
	}
	return out
}

func (e entry) plus(o entry) entry {
	return entry{e.hash, e.spam + o.spam, e.ham + o.ham, max(e.day, o.day)}
}

func (e entry) empty() bool { return e.spam == 0 && e.ham == 0 }

// merge adds two runs up.
func merge(a, b run) run {
	out := make(run, 0, len(a)+len(b))
	i, j := 0, 0
	for i < a.len() && j < b.len() {
		switch x, y := a.hash(i), b.hash(j); {
		case x < y:
			out = append(out, a[i*entrySize:][:entrySize]...)
			i++
		case x > y:
			out = append(out, b[j*entrySize:][:entrySize]...)
			j++
		default:
			if sum := a.at(i).plus(b.at(j)); !sum.empty() {
				out = out.append(sum)
			}
			i, j = i+1, j+1
		}
	}
	out = append(out, a[i*entrySize:]...)
	return append(out, b[j*entrySize:]...)
}

// filtered returns the entries as keep changes them, without those it empties.
func (r run) filtered(keep func(entry) entry) run {
	out := make(run, 0, len(r))
	for i := range r.len() {
		if e := keep(r.at(i)); !e.empty() {
			out = out.append(e)
		}
	}
	return out
}

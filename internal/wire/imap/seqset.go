package imap

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strconv"
)

// Range is the numbers from First to Last, both included.
type Range struct{ First, Last uint32 }

// SeqSet is a set of message sequence numbers or UIDs (RFC 3501 §9,
// sequence-set). The zero SeqSet is empty and ready for Add.
//
// `*` is the greatest number in the mailbox, which only the reader of the set
// knows; it is given as greatest, 0 for an empty mailbox. Of "n:*" it follows
// (RFC 3501 §6.4.8) that the greatest is always in the set, even below n.
type SeqSet struct {
	ranges []Range // ascending, with a gap between any two, all below open
	open   uint32  // the least n of "n:*"; star for "*" alone, 0 for none
	saved  bool
}

// star is "*" alone: no other number is as great.
const star = math.MaxUint32

// Saved reports "$", the result of the last SEARCH RETURN (SAVE) (RFC 5182).
// Such a set is empty otherwise.
func (s SeqSet) Saved() bool { return s.saved }

// IsEmpty reports a set without any number.
func (s SeqSet) IsEmpty() bool { return len(s.ranges) == 0 && s.open == 0 && !s.saved }

// HasStar reports whether the set depends on the greatest number.
func (s SeqSet) HasStar() bool { return s.open != 0 }

// Highest returns the greatest number the set names itself, 0 for none. A
// sequence number beyond the mailbox is a fault, a UID is not.
func (s SeqSet) Highest() uint32 {
	if s.open != 0 && s.open != star {
		return s.open
	}
	if n := len(s.ranges); n > 0 {
		return s.ranges[n-1].Last
	}
	return 0
}

// Contains reports whether n is in the set; nothing beyond greatest is.
func (s SeqSet) Contains(n, greatest uint32) bool {
	if n == 0 || n > greatest {
		return false
	}
	if s.open != 0 && (n == greatest || n >= s.open) {
		return true
	}
	i, found := slices.BinarySearchFunc(s.ranges, n, func(r Range, n uint32) int { return cmp.Compare(r.First, n) })
	return found || i > 0 && n <= s.ranges[i-1].Last
}

// Ranges yields the set's ranges in ascending order, without overlap, and cut
// off behind greatest: what is not in the mailbox is not in the ranges.
func (s SeqSet) Ranges(greatest uint32) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		tail := Range{1, 0}
		if s.open != 0 && greatest != 0 {
			tail = Range{min(s.open, greatest), greatest}
		}
		for _, r := range s.ranges {
			r.Last = min(r.Last, greatest)
			if tail.First <= tail.Last && r.Last >= tail.First {
				r.Last = tail.First - 1
			}
			if r.First <= r.Last && !yield(r) {
				return
			}
		}
		if tail.First <= tail.Last {
			yield(tail)
		}
	}
}

// Count returns how many numbers up to greatest are in the set.
func (s SeqSet) Count(greatest uint32) uint64 {
	n := uint64(0)
	for r := range s.Ranges(greatest) {
		n += uint64(r.Last-r.First) + 1
	}
	return n
}

// Add puts n into the set. Adding in ascending order costs nothing; n is not 0.
func (s *SeqSet) Add(n uint32) { s.AddRange(n, n) }

// AddRange puts the numbers from first to last into the set.
func (s *SeqSet) AddRange(first, last uint32) {
	if k := len(s.ranges); k > 0 && s.open == 0 && first >= s.ranges[k-1].First {
		end := &s.ranges[k-1]
		if first <= end.Last || first == end.Last+1 {
			end.Last = max(end.Last, last)
			return
		}
		s.ranges = append(s.ranges, Range{first, last})
		return
	}
	s.ranges = append(s.ranges, Range{first, last})
	s.normalise()
}

// normalise sorts and joins the ranges.
func (s *SeqSet) normalise() {
	slices.SortFunc(s.ranges, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	out := s.ranges[:0]
	for _, r := range s.ranges {
		if n := len(out); n > 0 && uint64(r.First) <= uint64(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	s.ranges = out
	if s.open != 0 {
		s.joinOpen()
	}
	if len(s.ranges) == 0 {
		s.ranges = nil // equal sets are deeply equal
	}
}

// joinOpen takes ranges that reach the open end into it.
func (s *SeqSet) joinOpen() {
	for n := len(s.ranges); n > 0; n-- {
		r := s.ranges[n-1]
		if uint64(r.Last)+1 < uint64(s.open) {
			return
		}
		s.open = min(s.open, r.First)
		s.ranges = s.ranges[:n-1]
	}
}

// Append appends the set as it stands on the wire; an empty set has no form
// and appends nothing.
func (s SeqSet) Append(b []byte) []byte {
	if s.saved {
		return append(b, '$')
	}
	start := len(b)
	for _, r := range s.ranges {
		if len(b) > start {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.First), 10)
		if r.Last != r.First {
			b = strconv.AppendUint(append(b, ':'), uint64(r.Last), 10)
		}
	}
	if s.open == 0 {
		return b
	}
	if len(b) > start {
		b = append(b, ',')
	}
	if s.open != star {
		b = append(strconv.AppendUint(b, uint64(s.open), 10), ':')
	}
	return append(b, '*')
}

// String returns the wire form.
func (s SeqSet) String() string { return string(s.Append(nil)) }

// ParseSeqSet reads a whole sequence set.
func ParseSeqSet(text string) (SeqSet, error) {
	s, fault := parseSet([]byte(text))
	if fault != nil {
		return SeqSet{}, fault
	}
	return s, nil
}

// Set takes a sequence set or "$".
func (d *Decoder) Set() SeqSet {
	w := d.word(isSetChar)
	if d.err != nil {
		return SeqSet{}
	}
	s, fault := parseSet(w)
	if fault != nil {
		d.fail(fault)
	}
	return s
}

func parseSet(w []byte) (SeqSet, *Error) {
	if string(w) == "$" {
		return SeqSet{saved: true}, nil
	}
	var s SeqSet
	sorted := true
	for n := 0; ; n++ {
		if n == MaxSetElements {
			return SeqSet{}, tooMany("elements of the message set")
		}
		first, rest, ok := setNumber(w)
		last := first
		if ok && len(rest) > 0 && rest[0] == ':' {
			last, rest, ok = setNumber(rest[1:])
		}
		if !ok || len(rest) > 0 && rest[0] != ',' {
			return SeqSet{}, expected("a message set such as 1:5,7,9:*")
		}
		first, last = min(first, last), max(first, last)
		if last != star {
			k := len(s.ranges)
			sorted = sorted && (k == 0 || uint64(first) > uint64(s.ranges[k-1].Last)+1)
			s.ranges = append(s.ranges, Range{first, last})
		} else if s.open == 0 || first < s.open {
			s.open = first
		}
		if len(rest) == 0 {
			break
		}
		w = rest[1:]
	}
	if !sorted || s.open != 0 {
		s.normalise()
	}
	return s, nil
}

// setNumber takes one number or "*" off w. 4294967295 counts as "*": no
// mailbox reaches it.
func setNumber(w []byte) (n uint32, rest []byte, ok bool) {
	if len(w) > 0 && w[0] == '*' {
		return star, w[1:], true
	}
	i := 0
	for i < len(w) && isDigit(w[i]) {
		i++
	}
	v, ok := parseNumber(w[:i], math.MaxUint32)
	return uint32(v), w[i:], ok && v != 0
}

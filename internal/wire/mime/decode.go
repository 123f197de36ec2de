package mime

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt is returned for octets that no AppendBinary of this program wrote.
var ErrCorrupt = errors.New("mime: corrupt message structure")

// UnmarshalBinary reads the form AppendBinary wrote, replacing s. It does not
// retain b. Any other octets give an error that wraps ErrCorrupt; what it
// allocates is in proportion to len(b).
func (s *Structure) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != encodingVersion {
		return fmt.Errorf("%w: unknown version", ErrCorrupt)
	}
	d := decoder{text: string(b), b: b, i: 1}
	var fresh Structure
	d.structure(&fresh)
	if d.bad || d.i != len(b) {
		return fmt.Errorf("%w: near octet %d of %d", ErrCorrupt, d.i, len(b))
	}
	*s = fresh
	return nil
}

// decoder reads forward; after the first fault it delivers zeros.
type decoder struct {
	b    []byte
	text string // the same octets, for cutting strings from
	i    int
	bad  bool

	params    []Param
	addresses []Address
	envelopes []Envelope
}

func (d *decoder) fail() { d.bad = true }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b[d.i:])
	if n <= 0 || d.bad {
		d.fail()
		return 0
	}
	d.i += n
	return v
}

// size reads a count of octets or lines.
func (d *decoder) size() int64 {
	const most = 1 << 56 // sums of a few never overflow
	v := d.uvarint()
	if v > most {
		d.fail()
		return 0
	}
	return int64(v)
}

// count reads the number of things that take at least each octets from here on.
func (d *decoder) count(each int) int {
	v := d.uvarint()
	if v > uint64(len(d.b)-d.i)/uint64(each) {
		d.fail()
		return 0
	}
	return int(v)
}

func (d *decoder) octet() byte {
	if d.bad || d.i >= len(d.b) {
		d.fail()
		return 0
	}
	d.i++
	return d.b[d.i-1]
}

func (d *decoder) cut(n uint64) string {
	if n > uint64(len(d.b)-d.i) {
		d.fail()
		return ""
	}
	d.i += int(n)
	return d.text[d.i-int(n) : d.i]
}

func (d *decoder) string() string { return d.cut(d.uvarint()) }

func (d *decoder) word() string {
	v := d.uvarint()
	if v&1 == 0 {
		return d.cut(v >> 1)
	}
	if v >>= 1; v < uint64(len(words)) {
		return words[v]
	}
	d.fail()
	return ""
}

func (d *decoder) strings() []string {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = d.string()
	}
	return out
}

// Least octets of an encoded part, parameter, address and envelope.
const (
	leastPart     = 9
	leastParam    = 3
	leastAddress  = 2
	leastEnvelope = 7
)

func (d *decoder) structure(s *Structure) {
	s.Size = d.size()
	s.Opaque = Limits(d.uvarint())
	s.Flags = Flags(d.uvarint())
	s.Fields = int(d.size())
	s.Received = int(d.size())
	s.FromFields = int(d.size())
	s.LongestLine = d.size()
	s.DeliveredTo = d.strings()
	s.References = d.string()
	parts := d.count(leastPart)
	d.params = make([]Param, d.count(leastParam))
	d.addresses = make([]Address, d.count(leastAddress))
	d.envelopes = make([]Envelope, d.count(leastEnvelope))
	if d.bad || parts == 0 || parts > MaxParts {
		d.fail()
		return
	}
	s.Parts = make([]Part, parts)
	var at int64
	for i := range s.Parts {
		p := &s.Parts[i]
		d.part(p, i, parts, at)
		if d.bad || p.Body.End > s.Size {
			d.fail()
			return
		}
		at = p.Header.Start
	}
	if !s.sound() {
		d.fail()
	}
}

func (d *decoder) part(p *Part, index, parts int, at int64) {
	inside := d.uvarint()
	if inside > uint64(parts-index-1) {
		d.fail()
		return
	}
	p.end = int32(index + 1 + int(inside))
	optional := d.octet()
	d.offsets(p, at)
	p.Type, p.Subtype, p.Encoding = d.word(), d.word(), d.word()
	if optional&hasParams != 0 {
		p.Params = d.paramList()
	}
	for _, v := range [...]struct {
		bit byte
		dst *string
	}{{hasID, &p.ID}, {hasDescription, &p.Description}, {hasMD5, &p.MD5}, {hasLocation, &p.Location}} {
		if optional&v.bit != 0 {
			*v.dst = d.string()
		}
	}
	if optional&hasLanguage != 0 {
		p.Language = d.strings()
	}
	if optional&hasDisposition != 0 {
		p.Disposition = d.word()
		p.DispositionParams = d.paramList()
	}
	if optional&hasEnvelope != 0 {
		p.Envelope = d.envelope()
	}
}

func (d *decoder) offsets(p *Part, at int64) {
	v, n := binary.Varint(d.b[d.i:])
	if n <= 0 || v < -at || v > 1<<56 {
		d.fail()
		return
	}
	d.i += n
	p.Header.Start = at + v
	p.Header.End = p.Header.Start + d.size()
	p.Body.Start = p.Header.End
	p.Body.End = p.Body.Start + d.size()
	p.Lines = d.size()
}

// take cuts n elements from a slab that was made for all of them.
func take[T any](d *decoder, slab *[]T, n int) []T {
	if n > len(*slab) {
		d.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	out := (*slab)[:n:n]
	*slab = (*slab)[n:]
	return out
}

func (d *decoder) paramList() []Param {
	out := take(d, &d.params, d.count(leastParam))
	for i := range out {
		out[i].Extended = d.octet() != 0
		out[i].Name = d.word()
		out[i].Value = d.word()
	}
	return out
}

func (d *decoder) envelope() *Envelope {
	one := take(d, &d.envelopes, 1)
	if one == nil {
		return nil
	}
	e := &one[0]
	e.Present = Presence(d.octet())
	for i, t := range e.texts() {
		if e.Present&(1<<i) != 0 {
			*t = d.string()
		}
	}
	for _, list := range e.lists() {
		*list = take(d, &d.addresses, d.count(leastAddress))
		for i := range *list {
			d.address(&(*list)[i])
		}
	}
	return e
}

func (d *decoder) address(a *Address) {
	bits := d.octet()
	a.Kind = AddressKind(bits & addressKindMask)
	a.Mailbox = d.string()
	if bits&addressName != 0 {
		a.Name = d.string()
	}
	if bits&addressRoute != 0 {
		a.Route = d.string()
	}
	if bits&addressHost != 0 {
		a.Host = d.string()
	}
}

// sound checks what the methods of a Structure rely on: parts nest in number
// and in place, only containers have parts, and every message has an envelope.
func (s *Structure) sound() bool {
	if s.Parts[0].Header.Start != 0 || s.Parts[0].Envelope == nil || s.end(0) != len(s.Parts) {
		return false
	}
	var around [MaxDepth]int
	depth := 0
	for i := range s.Parts {
		for depth > 0 && s.end(around[depth-1]) == i {
			depth--
		}
		if depth == MaxDepth || depth > 0 && !s.nests(around[depth-1], i) || !s.soundPart(i) {
			return false
		}
		around[depth] = i
		depth++
	}
	return true
}

func (s *Structure) nests(outer, inner int) bool {
	o, i := &s.Parts[outer], &s.Parts[inner]
	return i.end <= o.end && i.Header.Start >= o.Body.Start && i.Body.End <= o.Body.End
}

func (s *Structure) soundPart(i int) bool {
	p := &s.Parts[i]
	switch {
	case p.Type == "" || p.Subtype == "":
		return false
	case s.childless(i) || p.isMultipart():
		return true
	}
	return p.isMessage() && s.Parts[i+1].Envelope != nil && s.end(i+1) == s.end(i)
}

package record

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"posthorn/internal/base/ident"
)

// errDamaged is returned for octets that are no record.
var errDamaged = errors.New("record: damaged")

// reader takes fields off the front of a record. After the first field that
// does not fit, bad is set and all further ones are zero.
type reader struct {
	b   []byte
	bad bool
	// bare: the record is of the version before facts.
	bare bool
	// known, if not nil, shares the words that most records have.
	known words
}

// words are texts that repeat themselves, such as names of checks.
type words map[string]string

// maxWords bounds what is shared.
const maxWords = 4096

func (w words) of(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	if w != nil && len(w) < maxWords {
		w[s] = s
	}
	return s
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the length of a list whose items have at least one octet each.
func (r *reader) count(most int) int {
	n := r.uvarint()
	if n > uint64(most) || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) text() string { return string(r.take(r.count(maxText))) }

// word is a text that other records have, too.
func (r *reader) word() string { return r.known.of(r.take(r.count(maxText))) }

func (r *reader) texts(most int) []string {
	n := r.count(most)
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.text()
	}
	return list
}

func (r *reader) id() (id ident.ID) {
	copy(id[:], r.take(len(id)))
	return id
}

func (r *reader) time() time.Time {
	us := r.varint()
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func (r *reader) duration() time.Duration { return time.Duration(r.varint()) }

// decodeHead reads an attempt without its steps.
func (r *reader) decodeHead(a *Attempt) {
	switch r.octet() {
	case kindAttempt:
		a.Complete = true
	case kindBareAttempt:
		r.bare = true
	default:
		r.bad = true
		return
	}
	a.ID = r.id()
	a.Session.ID = r.id()
	a.Begin = r.time()
	a.End = r.duration()
	flags := r.octet()
	a.HasSender, a.Outcome = flags&1 != 0, Outcome(flags>>1)
	a.Client, _ = netip.AddrFromSlice(r.take(int(r.octet())))
	a.Port = uint16(r.uvarint())
	for _, s := range [...]*string{&a.Listener, &a.Kind, &a.Trust, &a.Hostname, &a.Helo, &a.TLS, &a.Login, &a.Sender} {
		*s = r.text()
	}
	a.Account = r.varint()
	a.Recipients = r.texts(maxList)
	a.Size = r.varint()
	a.Hops = int(r.varint())
	a.Authors = r.texts(maxList)
	if !r.bare {
		a.Lost = int(min(r.uvarint(), 1<<30))
	}
}

func decodeAttempt(b []byte, known words) (Attempt, error) {
	r := &reader{b: b, known: known}
	var a Attempt
	r.decodeHead(&a)
	for len(r.b) > 0 && !r.bad {
		a.Steps = append(a.Steps, r.step())
	}
	if r.bad {
		return Attempt{}, errDamaged
	}
	return a, nil
}

func (r *reader) step() Step {
	s := Step{After: r.duration()}
	s.Verb = r.word()
	for _, text := range [...]*string{&s.Argument, &s.Reply, &s.Check, &s.Reason, &s.Setting} {
		*text = r.text()
	}
	s.Delay = r.duration()
	if n := r.count(maxList); n > 0 {
		s.Checks = make([]Check, 0, n)
		for range n {
			s.Checks = append(s.Checks, r.check())
		}
	}
	if !r.bare {
		s.Facts = r.inputs()
	}
	return s
}

func (r *reader) check() Check {
	var c Check
	for _, text := range [...]*string{&c.Name, &c.Setting, &c.Action, &c.Mode, &c.Skipped, &c.Reason} {
		*text = r.word()
	}
	c.Cost = r.duration()
	c.Inputs = r.inputs()
	return c
}

func (r *reader) inputs() []Input {
	n := r.count(maxList)
	if n == 0 {
		return nil
	}
	list := make([]Input, n)
	for i := range list {
		list[i] = Input{Name: r.word(), Value: string(r.take(r.count(maxValue)))}
	}
	return list
}

func decodeEvent(b []byte) (Event, error) {
	r := &reader{b: b}
	var e Event
	kind := r.octet()
	if kind != kindEvent && kind != kindBareEvent && kind != kindLink {
		return e, errDamaged
	}
	e.ID = r.id()
	e.Time = r.time()
	e.Kind = EventKind(r.octet())
	for _, s := range [...]*string{&e.Recipient, &e.Place, &e.Reply, &e.By} {
		*s = r.text()
	}
	e.Next = r.time()
	if kind != kindBareEvent {
		e.Account, e.Arrived = r.varint(), r.varint()
	}
	if kind == kindLink {
		e.Other = r.id()
	}
	if r.bad || len(r.b) > 0 {
		return Event{}, errDamaged
	}
	return e, nil
}

package policy

import "sync"

// scratch is the room that results and inputs of one session take while it is
// judged. Sessions that wait for their client give it back.
type scratch struct {
	results []Result
	inputs  []Input
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// unpack takes room, if the session has none.
func (l *ledger) unpack() {
	if l.results == nil {
		s := scratches.Get().(*scratch)
		l.results, l.inputs = s.results[:0], s.inputs[:0]
	}
}

// Rest gives back what judging took, between the messages of a session. The
// results of the last decision are gone then.
func (f *Facts) Rest() {
	l := &f.ledger
	if l.results == nil {
		return
	}
	clear(l.results[:cap(l.results)])
	clear(l.inputs[:cap(l.inputs)])
	scratches.Put(&scratch{l.results, l.inputs})
	l.results, l.inputs = nil, nil
}

package record

import (
	"context"
	"slices"
	"time"

	"posthorn/internal/base/ident"
)

// joiner adds the later events to the messages of an answer.
type joiner struct {
	r     *Recorder
	list  []Biography
	since time.Time
	left  int // events that still fit
	at    map[ident.ID]int
	// next are messages that those of at were forwarded as; seen are all of both.
	next map[ident.ID]int
	seen map[ident.ID]bool
	// copies are where and for whom the messages were filed.
	copies map[copied]filing
}

// filing is a copy of message i, or of what it was forwarded as, for a recipient.
type filing struct {
	i         int
	id        ident.ID
	recipient string
}

// maxForwards bounds how often a message is followed that is forwarded again.
const maxForwards = 4

// join adds the later events of the messages found: first those that name the
// message, then those of what it was forwarded as, then what people did with
// the copies these tell of.
func (r *Recorder) join(ctx context.Context, q Query, list []Biography) ([]Biography, error) {
	j := joiner{r: r, list: list, since: time.Now(), left: maxEvents, at: map[ident.ID]int{}, next: map[ident.ID]int{}, seen: map[ident.ID]bool{}, copies: map[copied]filing{}}
	for i := range list {
		j.add(list[i].Attempt.ID, i)
	}
	if len(list) == 0 && !q.ID.IsZero() {
		j.list = append(j.list, Biography{Via: q.via})
		j.add(q.ID, 0)
	} else if len(list) > 0 {
		list[0].Via = q.via
	}
	if len(j.list) == 0 {
		return nil, nil
	}
	var err error
	for n := 0; err == nil && n <= maxForwards && len(j.at) > 0; n++ {
		err = j.scan(ctx, hashes(j.at, hashID), j.named)
		j.at, j.next = j.next, map[ident.ID]int{}
	}
	if err == nil && len(j.copies) > 0 {
		err = j.scan(ctx, hashes(j.copies, copied.hash), j.kept)
	}
	for i := range j.list {
		slices.SortStableFunc(j.list[i].Events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	}
	if b := &j.list[0]; len(j.list) == 1 && b.Attempt == nil && len(b.Events) == 0 {
		return nil, err
	}
	return j.list, err
}

func (j *joiner) add(id ident.ID, i int) {
	j.at[id], j.seen[id] = i, true
	if t := id.Time().Add(-slack); t.Before(j.since) {
		j.since = t
	}
}

func hashes[K comparable, V any](m map[K]V, of func(K) uint64) []uint64 {
	keys := make([]uint64, 0, len(m))
	for k := range m {
		keys = append(keys, of(k))
	}
	return keys
}

// scan calls take with the events of segments that may have one of the keys.
func (j *joiner) scan(ctx context.Context, keys []uint64, take func(*Event)) error {
	want := func(f filter) bool { return slices.ContainsFunc(keys, f.has) }
	return j.r.file.scan(ctx, j.since, newest, want, func(_ int64, raw []byte) bool {
		records, err := split(raw)
		if err != nil {
			j.r.o.Failed(err)
		}
		for _, b := range records {
			if e, err := decodeEvent(b); err == nil && j.left > 0 {
				take(&e)
			}
		}
		return j.left > 0
	})
}

// named takes an event of one of the messages.
func (j *joiner) named(e *Event) {
	i, ok := j.at[e.ID]
	if !ok {
		return
	}
	j.put(i, e)
	if e.Kind == Filed && e.Arrived != 0 {
		j.copies[e.copy()] = filing{i, e.ID, e.Recipient}
	}
	if !e.Other.IsZero() && !j.seen[e.Other] {
		j.next[e.Other], j.seen[e.Other] = i, true
	}
}

// kept takes an event of one of the copies.
func (j *joiner) kept(e *Event) {
	f, ok := j.copies[e.copy()]
	if !ok || !e.ID.IsZero() {
		return
	}
	e.ID, e.Recipient = f.id, f.recipient
	j.put(f.i, e)
}

func (j *joiner) put(i int, e *Event) {
	j.list[i].Events = append(j.list[i].Events, *e)
	j.left--
}

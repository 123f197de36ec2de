package mailbox

import (
	"context"

	"posthorn/internal/state/store"
)

// Metas returns the structures of messages of the mailbox, in ascending order
// of UID, as the store keeps them; those that are gone are left out. The
// octets must not be changed. Nothing of the store is open afterwards.
func (m *Mailbox) Metas(ctx context.Context, entries []store.Entry) (map[store.MessageID][]byte, error) {
	found := make(map[store.MessageID][]byte, len(entries))
	ids := make([]store.MessageID, len(entries))
	for i := range entries {
		ids[i] = entries[i].Message
	}
	missing := m.metas.Get(m.account.ID(), ids, found)
	if len(missing) == 0 {
		return found, nil
	}
	r := reading{found: found}
	var err error
	if span := spanOf(entries); together(span, len(missing)) {
		if err = m.account.MetasIn(ctx, m.id, span, func(_ store.UID, id store.MessageID, meta []byte) error { return r.take(id, meta) }); err == nil {
			missing = r.without(missing)
		}
	}
	if err == nil && len(missing) > 0 { // what left the mailbox meanwhile may still be there
		err = m.account.Metas(ctx, missing, r.take)
	}
	if err != nil {
		return nil, err
	}
	for _, id := range r.got {
		m.metas.Put(m.account.ID(), id, found[id], len(found[id]))
	}
	return found, nil
}

// MetasIn calls fn with each message of a range of UIDs and its structure. The
// structures are not remembered: this is for whoever keeps what it makes of
// them. fn must not keep the octets.
func (m *Mailbox) MetasIn(ctx context.Context, span store.UIDRange, fn func(store.UID, store.MessageID, []byte) error) error {
	return m.account.MetasIn(ctx, m.id, span, fn)
}

// reading takes what the store reads.
type reading struct {
	found map[store.MessageID][]byte
	got   []store.MessageID
}

func (r *reading) take(id store.MessageID, meta []byte) error {
	if _, known := r.found[id]; !known {
		r.found[id] = append(make([]byte, 0, len(meta)), meta...)
		r.got = append(r.got, id)
	}
	return nil
}

// without returns the messages that were not read.
func (r *reading) without(ids []store.MessageID) []store.MessageID {
	var rest []store.MessageID
	for _, id := range ids {
		if _, ok := r.found[id]; !ok {
			rest = append(rest, id)
		}
	}
	return rest
}

func spanOf(entries []store.Entry) store.UIDRange {
	return store.UIDRange{First: entries[0].UID, Last: entries[len(entries)-1].UID}
}

// together reports whether reading a range of UIDs costs less than reading n
// messages in it one by one.
func together(span store.UIDRange, n int) bool {
	return n >= 8 && uint64(span.Last)-uint64(span.First) < 4*uint64(n)
}

package mailbox

import (
	"context"

	"posthorn/internal/state/store"
)

// Metas returns the structures of messages of the mailbox's account, as the
// store keeps them; those that are gone are left out. The octets must not be
// changed. Nothing of the store is open afterwards.
func (m *Mailbox) Metas(ctx context.Context, ids []store.MessageID) (map[store.MessageID][]byte, error) {
	found := make(map[store.MessageID][]byte, len(ids))
	missing := m.metas.Get(m.account.ID(), ids, found)
	if len(missing) == 0 {
		return found, nil
	}
	var all []byte // one piece of memory for all
	ends := make([]int, 0, len(missing))
	got := missing[:0]
	err := m.account.Metas(ctx, missing, func(id store.MessageID, meta []byte) error {
		all = append(all, meta...)
		ends = append(ends, len(all))
		got = append(got, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	start := 0
	for i, id := range got {
		meta := all[start:ends[i]:ends[i]]
		start = ends[i]
		found[id] = meta
		m.metas.Put(m.account.ID(), id, meta, len(meta))
	}
	return found, nil
}

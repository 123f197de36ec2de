package mailbox

import (
	"context"
	"sync"

	"posthorn/internal/state/store"
)

// metaCache remembers structures of messages, which never change. It has two
// generations: what is used moves into the younger one; when that is full the
// older one is forgotten. So it stays within its limit and costs no list.
type metaCache struct {
	limit int // octets of one generation

	mu         sync.Mutex
	young, old map[metaKey][]byte
	size       int // of young
}

type metaKey struct {
	account store.AccountID
	message store.MessageID
}

// metaOverhead is what an entry costs besides its octets.
const metaOverhead = 80

func newMetaCache(limit int) *metaCache {
	return &metaCache{limit: limit / 2, young: map[metaKey][]byte{}}
}

// get fills found with what is remembered and returns the rest.
func (c *metaCache) get(account store.AccountID, ids []store.MessageID, found map[store.MessageID][]byte) (missing []store.MessageID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		k := metaKey{account, id}
		meta, ok := c.young[k]
		if !ok {
			if meta, ok = c.old[k]; !ok {
				missing = append(missing, id)
				continue
			}
			c.put(k, meta)
		}
		found[id] = meta
	}
	return missing
}

// put remembers one; mu is held.
func (c *metaCache) put(k metaKey, meta []byte) {
	if c.size += len(meta) + metaOverhead; c.size > c.limit {
		c.old, c.young = c.young, make(map[metaKey][]byte)
		c.size = len(meta) + metaOverhead
	}
	c.young[k] = meta
}

// Metas returns the structures of messages of the mailbox's account, as the
// store keeps them; those that are gone are left out. The octets must not be
// changed. Nothing of the store is open afterwards.
func (m *Mailbox) Metas(ctx context.Context, ids []store.MessageID) (map[store.MessageID][]byte, error) {
	found := make(map[store.MessageID][]byte, len(ids))
	missing := m.metas.get(m.account.ID(), ids, found)
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
	m.metas.mu.Lock()
	defer m.metas.mu.Unlock()
	start := 0
	for i, id := range got {
		meta := all[start:ends[i]:ends[i]]
		start = ends[i]
		found[id] = meta
		m.metas.put(metaKey{m.account.ID(), id}, meta)
	}
	return found, nil
}

package sqlstore

import (
	"context"
	"time"

	"posthorn/internal/base/ident"
)

const (
	// keepKeys is how long accept keys are remembered at least.
	keepKeys = 7 * 24 * time.Hour
	// keyRounds is how long the sweeper lets old keys lie: it is kicked with every
	// message that goes, and most of the time finds nothing.
	keyRounds = 10 * time.Minute
)

// oldKeys are accept keys of a stretch that nobody asks for any more: those
// that are not of queued messages. What a queued message causes has a key that
// begins with the same eight octets, and is asked for by it as long as it is
// there, however old it has become: in quarantine, say. The queue's rows of that
// stretch lie together, too, so that a step looks at nothing else.
const oldKeys = `accepted WHERE accept_key > ? AND accept_key <= ?
	AND substr(accept_key, 1, 8) NOT IN (SELECT substr(id, 1, 8) FROM queue WHERE id >= ? AND id <= ?)`

// keySweep forgets old accept keys. They are made of the time, so the old ones
// lie together. A round goes through them once, in stretches.
type keySweep struct {
	s     *Store
	after ident.ID  // the next stretch begins behind it
	next  time.Time // no round begins before
}

// keyStretch is some keys that are old enough.
type keyStretch struct {
	after, first, last ident.ID
	keys               int
	old                bool // some are to go
}

// step looks at one stretch and reports whether there is another.
func (k *keySweep) step(ctx context.Context, now time.Time) (more bool, err error) {
	if now.Before(k.next) {
		return false, nil
	}
	l, err := k.look(ctx, now)
	if err == nil && l.old {
		err = k.s.remove(ctx, func(t *txn) error { return t.put(`DELETE FROM `+oldKeys, l.args()...) })
	}
	if err != nil {
		return false, err
	}
	if l.keys < sweepEntries {
		k.after, k.next = ident.ID{}, now.Add(keyRounds)
		return false, nil
	}
	k.after = l.last
	return true, nil
}

// look reads the next stretch.
func (k *keySweep) look(ctx context.Context, now time.Time) (l keyStretch, err error) {
	var bound ident.ID
	ms := uint64(now.Add(-keepKeys).UnixMilli())
	for i := range 6 {
		bound[i] = byte(ms >> (40 - 8*i))
	}
	err = k.s.read(ctx, func(t tx) error {
		l = keyStretch{after: k.after}
		err := t.query(`SELECT accept_key FROM accepted WHERE accept_key > ? AND accept_key < ? ORDER BY accept_key LIMIT ?`,
			[]any{l.after[:], bound[:], sweepEntries}, func(r row) error {
				copy(l.last[:], r.bytes(0))
				if l.keys++; l.keys == 1 {
					l.first = l.last
				}
				return nil
			})
		if err == nil && l.keys > 0 {
			l.old, err = one(t, `SELECT 1 FROM `+oldKeys+` LIMIT 1`, l.args(), func(row) error { return nil })
		}
		return err
	})
	return l, err
}

// args are those of oldKeys.
func (l *keyStretch) args() []any {
	low, high := l.first, l.last
	clear(low[8:])
	for i := range high[8:] {
		high[8+i] = 0xff
	}
	return []any{l.after[:], l.last[:], low[:], high[:]}
}

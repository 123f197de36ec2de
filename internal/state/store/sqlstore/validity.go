package sqlstore

import (
	"fmt"
	"math"
	"time"

	"posthorn/internal/state/store"
)

// validityCounter has the last UIDVALIDITY any mailbox of the store was given.
const validityCounter = "uid_validity"

// validityReserve is how many values no clock takes: one that was once set to
// the next century must not use them up.
const validityReserve = 1 << 24

// newUIDValidity returns a UIDVALIDITY that no mailbox of any account had: an
// address may have been another account's before, under the same names (RFC
// 9051 §2.3.1.1). The clock is for what the store cannot remember, because an
// older copy of it was restored. ErrLimit when there are no more.
func (t *txn) newUIDValidity(st *accountState) (uint32, error) {
	// The account's own last one counts too: a process of an older version may
	// have given it, which knew no counter.
	least := max(int64(st.uidValidity)+1, clockValidity(time.Now()))
	var got int64
	_, err := one(t, `INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE
		SET value = CASE WHEN counter.value < excluded.value THEN excluded.value ELSE counter.value + 1 END RETURNING value`,
		[]any{validityCounter, least}, func(r row) error { got = r.int(0); return nil })
	if err != nil {
		return 0, fmt.Errorf("next UIDVALIDITY: %w", err)
	}
	if got > math.MaxUint32 {
		return 0, fmt.Errorf("no UIDVALIDITY is left: %w", store.ErrLimit)
	}
	st.uidValidity = uint32(got)
	st.dirty = true
	return st.uidValidity, nil
}

// clockValidity is the least UIDVALIDITY at a time: its seconds, or 1 where
// they are no use.
func clockValidity(now time.Time) int64 {
	if n := now.Unix(); n > 0 && n <= math.MaxUint32-validityReserve {
		return n
	}
	return 1
}

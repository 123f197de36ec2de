package sqlstore

import (
	"context"
	"fmt"
)

// keyCounter is the row of counter that holds the key file's mark.
const keyCounter = "key"

// KeyMark implements store.Store.
func (s *Store) KeyMark(ctx context.Context) (mark int64, err error) {
	err = s.read(ctx, func(t tx) error {
		mark, err = counterValue(t, keyCounter)
		return err
	})
	return mark, err
}

// SetKeyMark implements store.Store.
func (s *Store) SetKeyMark(ctx context.Context, mark int64, replace bool) error {
	put := `INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE counter.value = 0`
	if replace {
		put = putCounter
	}
	if err := s.write(ctx, func(t *txn) error { return t.put(put, keyCounter, mark) }); err != nil {
		return fmt.Errorf("mark of the key file: %w", err)
	}
	return nil
}

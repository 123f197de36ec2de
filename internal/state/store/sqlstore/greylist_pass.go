package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/state/store"
)

// Pass implements store.Greylist. Entries come in order of their keys, so that
// two nodes never wait for each other.
func (g *greylist) Pass(ctx context.Context, rows []store.GreylistRow, r store.GreylistRules) (gone []string, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b store.GreylistRow) int { return strings.Compare(a.Key, b.Key) })
	err = g.s.write(ctx, func(t *txn) error {
		gone = nil
		for _, a := range rows {
			text := g.abridged(a, r)
			n, err := t.exec(`UPDATE greylist SET passed = passed + ?, last = CASE WHEN last < ? THEN ? ELSE last END,
				sender = ?, recipient = ?, helo = ? WHERE client = ? AND confirmed > 0`,
				a.Passed, a.Last, a.Last, text.Sender, text.Recipient, text.Helo, a.Key)
			if err != nil {
				return err
			}
			if n == 0 {
				gone = append(gone, a.Key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("greylist: passed: %w", err)
	}
	return gone, nil
}

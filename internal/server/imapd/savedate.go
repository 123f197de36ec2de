package imapd

import (
	"context"
	"time"

	"posthorn/internal/state/store"
)

// saveDates returns when messages came into the mailbox (RFC 8514). Those that
// are gone have none.
func (v *view) saveDates(ctx context.Context, uids []store.UIDRange) (map[store.UID]time.Time, error) {
	list, err := v.c.session.account.SaveDates(ctx, v.id, uids)
	if err != nil {
		return nil, err
	}
	dates := make(map[store.UID]time.Time, len(list))
	for _, d := range list {
		dates[d.UID] = d.Saved.UTC()
	}
	return dates, nil
}

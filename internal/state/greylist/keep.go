package greylist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthorn/internal/state/store"
)

// sweep removes what is over, in steps that leave room for mail between them.
func (l *List) sweep(ctx context.Context) error {
	for more := true; more; {
		var err error
		if _, more, err = l.store.Sweep(ctx, time.Now(), l.o.Rules()); err != nil {
			return err
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// Confirm lets a client in now; it need not be known.
func (l *List) Confirm(ctx context.Context, key string, now time.Time) error {
	defer l.forget(key)
	return l.store.Confirm(ctx, key, now)
}

// Remove forgets a client; store.ErrNotFound.
func (l *List) Remove(ctx context.Context, key string) error {
	defer l.forget(key)
	return l.store.Remove(ctx, key)
}

// Reset forgets everybody and returns how many there were.
func (l *List) Reset(ctx context.Context) (int, error) {
	defer l.forget()
	return l.store.Reset(ctx)
}

// Looking returns a greylist that says what Attempt would, for who only tries:
// nothing is noted.
func (l *List) Looking() Looking { return Looking{l.store} }

// Looking is the greylist without notes.
type Looking struct{ store store.Greylist }

// Attempt implements policy.Greylist.
func (l Looking) Attempt(ctx context.Context, a store.GreylistRow, now time.Time, r store.GreylistRules) (store.GreylistRow, time.Duration, error) {
	have, err := l.store.Get(ctx, a.Key)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.GreylistRow{}, 0, fmt.Errorf("greylist %s: %w", a.Key, err)
	}
	row, wait := r.Judge(have, known, now)
	row.Key, row.Sender, row.Recipient, row.Helo = a.Key, a.Sender, a.Recipient, a.Helo
	return row, wait, nil
}

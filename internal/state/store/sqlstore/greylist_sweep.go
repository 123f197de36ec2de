package sqlstore

import (
	"context"
	"fmt"
	"time"

	"posthorn/internal/state/store"
)

// greylistStep is how many entries one sweep removes at most: less than others
// wait for gladly, some 10 ms of the SQLite writer.
const greylistStep = 500

// Entries that wait for a retry in vain, and the three ways a confirmation ends.
// Each condition stands twice because another node may renew an entry between
// its being found and its being deleted. A + keeps the engines from an index
// that serves worse.
const (
	removeWaiting = `DELETE FROM greylist WHERE client IN (SELECT client FROM greylist WHERE confirmed = 0 AND first < ? LIMIT ?)
		AND +confirmed = 0 AND +first < ?`
	removeLapsed = `DELETE FROM greylist WHERE client IN (SELECT client FROM greylist WHERE confirmed > 0 AND confirmed < ? LIMIT ?)
		AND +confirmed > 0 AND +confirmed < ?`
	removeLapsedFromFirst = `DELETE FROM greylist WHERE client IN (SELECT client FROM greylist WHERE confirmed > 0 AND first < ? LIMIT ?)
		AND +confirmed > 0 AND +first < ?`
	removeIdle = `DELETE FROM greylist WHERE client IN (SELECT client FROM greylist WHERE last < ? AND +confirmed > 0 AND +confirmed < ? LIMIT ?)
		AND +last < ? AND +confirmed > 0 AND +confirmed < ?`
)

// removeOver deletes at most n entries that are over by the rules, as judge has
// it, and returns how many.
func removeOver(t *txn, now time.Time, r store.GreylistRules, n int64) (removed int64, err error) {
	waited, lapsed := now.Add(-r.Wait), now.Add(-r.Expiry)
	if removed, err = t.exec(removeWaiting, waited, n, waited); err != nil || removed == n {
		return removed, err
	}
	n -= removed
	var more int64
	switch {
	case r.Renew:
		more, err = t.exec(removeIdle, lapsed, lapsed, n, lapsed, lapsed)
	case r.FromFirst:
		more, err = t.exec(removeLapsedFromFirst, lapsed, n, lapsed)
	default:
		more, err = t.exec(removeLapsed, lapsed, n, lapsed)
	}
	return removed + more, err
}

// evict deletes at most n entries that have to go for there are too many, and
// returns how many.
func (g *greylist) evict(t *txn, n int64) (int64, error) {
	removed, err := t.exec(`DELETE FROM greylist WHERE client IN
		(SELECT client FROM greylist WHERE confirmed = 0 ORDER BY first LIMIT ?) AND +confirmed = 0`, n)
	if err == nil && removed < n {
		var more int64
		more, err = t.exec(`DELETE FROM greylist WHERE client IN (SELECT client FROM greylist
			WHERE NOT EXISTS (SELECT 1 FROM greylist WHERE confirmed = 0) ORDER BY last LIMIT ?)`, n-removed)
		removed += more
	}
	if err == nil {
		g.changed(t, -removed)
	}
	return removed, err
}

// Sweep implements store.Greylist. A round of calls counts once, at its
// beginning and outside of any writing transaction. The count of a round that
// somebody left is old, so only a call that counted itself ends one.
func (g *greylist) Sweep(ctx context.Context, now time.Time, r store.GreylistRules) (removed int, more bool, err error) {
	fresh := !g.counted.Load()
	if fresh {
		if err := g.count(ctx); err != nil {
			return 0, false, fmt.Errorf("sweep greylist: %w", err)
		}
	}
	err = g.s.remove(ctx, func(t *txn) error {
		over, err := removeOver(t, now, r, greylistStep)
		if err != nil {
			return err
		}
		g.changed(t, -over)
		removed, more = int(over), over == greylistStep
		excess := g.entries.Load() - over - int64(r.Most)
		if more || r.Most <= 0 || excess <= 0 {
			return nil
		}
		n, err := g.evict(t, min(excess, greylistStep-over))
		removed, more = int(over+n), n > 0 && n < excess
		return err
	})
	g.counted.Store(err == nil && more)
	if err != nil {
		return 0, false, fmt.Errorf("sweep greylist: %w", err)
	}
	return removed, more || !fresh, nil
}

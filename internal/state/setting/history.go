package setting

import (
	"context"
	"fmt"
	"time"

	"posthorn/internal/base/seal"
	"posthorn/internal/state/store"
)

// Change is one saved change as people see it: secrets are "set" or "not set".
type Change struct {
	Version   int64      `json:"version"`
	Time      time.Time  `json:"time"`
	Author    string     `json:"author"`
	Comment   string     `json:"comment,omitempty"`
	Items     []Item     `json:"items"`
	Undoes    int64      `json:"undoes,omitempty"`
	ConfirmBy *time.Time `json:"confirm_by,omitempty"` // on trial until then
}

// Item is the stored change of one setting; a nil text means the default.
type Item struct {
	Name string  `json:"name"`
	Old  *string `json:"old"`
	New  *string `json:"new"`
}

// History returns changes, newest first, before a version (0: from the newest).
func (b *Book) History(ctx context.Context, before int64, limit int) ([]Change, error) {
	rows, err := b.store.History(ctx, before, min(max(limit, 1), 1000))
	if err != nil {
		return nil, err
	}
	out := make([]Change, len(rows))
	for i, row := range rows {
		c := Change{Version: row.Version, Time: row.Time, Author: row.Author, Comment: row.Comment, Undoes: row.Undoes}
		if !row.ConfirmBy.IsZero() {
			c.ConfirmBy = &row.ConfirmBy
		}
		for _, item := range row.Items {
			c.Items = append(c.Items, Item{Name: item.Name, Old: b.masked(item.Name, item.Old, item.WasUnset), New: b.masked(item.Name, item.New, item.Unset)})
		}
		out[i] = c
	}
	return out, nil
}

// masked hides secrets, also those of settings this version does not know.
func (b *Book) masked(name, text string, unset bool) *string {
	if unset {
		return nil
	}
	if f := b.r.byName[name]; f != nil && f.secret || seal.IsSealed(text) {
		text = setOrNot(text)
	}
	return &text
}

// Undo takes a version back. It is refused with store.ErrConflict when one of
// its settings was changed again later, and names it.
func (b *Book) Undo(ctx context.Context, version int64, author string) (Saved, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := Edit{Author: author, Comment: fmt.Sprintf("undo of version %d", version)}
	if err := b.ready(ctx, e); err != nil {
		return Saved{}, err
	}
	rows, err := b.store.History(ctx, version+1, 1)
	if err != nil {
		return Saved{}, err
	}
	if version < 1 || len(rows) == 0 || rows[0].Version != version {
		return Saved{}, fmt.Errorf("version %d of the settings: %w", version, store.ErrNotFound)
	}
	if b.trial != nil && b.trial.Version != version {
		return Saved{}, onTrial(b.trial)
	}
	inverse, err := b.inverse(&rows[0])
	if err != nil {
		return Saved{}, err
	}
	inverse.Author, inverse.Comment = e.Author, e.Comment
	return b.commit(ctx, inverse)
}

// onTrial says what to do with the change that waits to be confirmed.
func onTrial(t *store.SettingChange) error {
	return fmt.Errorf("version %d by %s is on trial until %s; first keep it (posthorn setting confirm %[1]d) or take it back (posthorn setting undo %[1]d): %[4]w",
		t.Version, t.Author, t.ConfirmBy.Format(stamp), store.ErrConflict)
}

// inverse makes the edit that takes a change back.
func (b *Book) inverse(c *store.SettingChange) (Edit, error) {
	e := Edit{stored: map[string]string{}, undoes: c.Version, back: b.trial != nil && b.trial.Version == c.Version}
	for _, item := range c.Items {
		row, has := b.rows[item.Name]
		if has == item.Unset || has && row.Value != item.New {
			later := fmt.Sprintf("returned to its default after version %d", c.Version)
			if has {
				later = fmt.Sprintf("changed again after version %d (version %d)", c.Version, row.Version)
			}
			return e, fmt.Errorf("%s was %s; undo that first (posthorn setting history) or set the value by hand: %w", item.Name, later, store.ErrConflict)
		}
		if item.WasUnset {
			e.Unset = append(e.Unset, item.Name)
		} else {
			e.stored[item.Name] = item.Old
		}
	}
	return e, nil
}

// Confirm ends the trial of a version, so that it stays. store.ErrNotFound when
// it is not on trial (any more).
func (b *Book) Confirm(ctx context.Context, version int64) error {
	if err := b.store.Confirm(ctx, version); err != nil {
		return err
	}
	return b.Refresh(ctx)
}

// OnTrial returns the change that waits for Confirm and until when, if any.
func (b *Book) OnTrial() (version int64, author string, until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.trial == nil {
		return 0, "", time.Time{}, false
	}
	return b.trial.Version, b.trial.Author, b.trial.ConfirmBy, true
}

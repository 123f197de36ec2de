package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"posthorn/internal/state/store"
)

// settings implements store.Settings. Its version is a row of counter.
type settings struct {
	s       *Store
	changed chan struct{}
}

func newSettings(s *Store) *settings { return &settings{s: s, changed: make(chan struct{}, 1)} }

const settingsCounter = "settings"

// Changed implements store.Settings.
func (s *settings) Changed() <-chan struct{} { return s.changed }

// Version implements store.Settings.
func (s *settings) Version(ctx context.Context) (v int64, err error) {
	err = s.s.read(ctx, func(t tx) error {
		v, err = counterValue(t, settingsCounter)
		return err
	})
	return v, err
}

// Load implements store.Settings.
func (s *settings) Load(ctx context.Context) (version int64, rows []store.SettingRow, err error) {
	err = s.s.read(ctx, func(t tx) error {
		rows = nil
		if version, err = counterValue(t, settingsCounter); err != nil {
			return err
		}
		return t.query(`SELECT name, value, version FROM setting ORDER BY name`, nil, func(r row) error {
			rows = append(rows, store.SettingRow{Name: r.text(0), Value: r.text(1), Version: r.int(2)})
			return nil
		})
	})
	return version, rows, err
}

// Save implements store.Settings.
func (s *settings) Save(ctx context.Context, base int64, c store.SettingChange) (int64, error) {
	items, err := json.Marshal(c.Items)
	if err != nil {
		return 0, fmt.Errorf("save settings: %w", err)
	}
	version := base + 1
	err = s.s.write(ctx, func(t *txn) error {
		if err := s.raise(t, base); err != nil {
			return err
		}
		err := t.put(`INSERT INTO setting_change (version, time, author, comment, items, undoes, confirm_by) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			version, c.Time, c.Author, c.Comment, string(items), c.Undoes, c.ConfirmBy)
		if err != nil {
			return err
		}
		for _, item := range c.Items {
			if err := putSetting(t, item, version); err != nil {
				return err
			}
		}
		t.onCommit(func() { hint(s.changed) })
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("save settings: %w", err)
	}
	return version, nil
}

// raise takes the step from version base to the next, or fails with ErrConflict.
func (s *settings) raise(t *txn, base int64) error {
	if err := t.put(`INSERT INTO counter (name, value) VALUES (?, 0) ON CONFLICT (name) DO NOTHING`, settingsCounter); err != nil {
		return err
	}
	n, err := t.exec(`UPDATE counter SET value = value + 1 WHERE name = ? AND value = ?`, settingsCounter, base)
	if err == nil && n == 0 {
		err = store.ErrConflict
	}
	return err
}

func putSetting(t *txn, item store.SettingItem, version int64) error {
	if item.Unset {
		return t.put(`DELETE FROM setting WHERE name = ?`, item.Name)
	}
	return t.put(`INSERT INTO setting (name, value, version) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = excluded.version`, item.Name, item.New, version)
}

// Confirm implements store.Settings.
func (s *settings) Confirm(ctx context.Context, version int64) error {
	err := s.s.write(ctx, func(t *txn) error {
		// The counter first: it is what Save raises, so the two take turns.
		if err := t.put(`UPDATE counter SET value = value + 1 WHERE name = ?`, settingsCounter); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE setting_change SET confirm_by = 0 WHERE version = ? AND confirm_by <> 0
			AND NOT EXISTS (SELECT 1 FROM setting_change AS later WHERE later.version > ?)`, version, version)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("version %d is not on trial: %w", version, store.ErrNotFound)
		}
		t.onCommit(func() { hint(s.changed) })
		return nil
	})
	if err != nil {
		return fmt.Errorf("confirm settings: %w", err)
	}
	return nil
}

// History implements store.Settings.
func (s *settings) History(ctx context.Context, before int64, limit int) (out []store.SettingChange, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	err = s.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(`SELECT version, time, author, comment, items, undoes, confirm_by FROM setting_change
			WHERE version < ? ORDER BY version DESC LIMIT ?`, []any{before, limit}, func(r row) error {
			c := store.SettingChange{Version: r.int(0), Time: timeAt(r, 1), Author: r.text(2), Comment: r.text(3), Undoes: r.int(5), ConfirmBy: timeAt(r, 6)}
			if err := json.Unmarshal([]byte(r.text(4)), &c.Items); err != nil {
				return fmt.Errorf("settings history, version %d: %w", c.Version, err)
			}
			out = append(out, c)
			return nil
		})
	})
	return out, err
}

// counterValue reads a row of counter; 0 where there is none.
func counterValue(t tx, name string) (v int64, err error) {
	_, err = one(t, `SELECT value FROM counter WHERE name = ?`, []any{name}, func(r row) error { v = r.int(0); return nil })
	return v, err
}

// hint puts a value into a channel that holds one.
func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

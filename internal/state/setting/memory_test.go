package setting

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"posthorn/internal/state/store"
)

// memory is a store.Settings without a disk; two Books on one are two nodes.
type memory struct {
	mu      sync.Mutex
	version int64
	rows    map[string]store.SettingRow
	history []store.SettingChange
	changed chan struct{}
	fail    error
}

func newMemory() *memory {
	return &memory{rows: map[string]store.SettingRow{}, changed: make(chan struct{}, 1)}
}

func (m *memory) Changed() <-chan struct{} { return m.changed }

func (m *memory) Version(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version, m.fail
}

func (m *memory) Load(context.Context) (int64, []store.SettingRow, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []store.SettingRow
	for _, r := range m.rows {
		rows = append(rows, r)
	}
	return m.version, rows, m.fail
}

func (m *memory) Save(_ context.Context, base int64, c store.SettingChange) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	if base != m.version {
		return 0, store.ErrConflict
	}
	m.version++
	c.Version = m.version
	for _, item := range c.Items {
		if item.Unset {
			delete(m.rows, item.Name)
		} else {
			m.rows[item.Name] = store.SettingRow{Name: item.Name, Value: item.New, Version: c.Version}
		}
	}
	m.history = append([]store.SettingChange{c}, m.history...)
	return m.version, nil
}

func (m *memory) Confirm(_ context.Context, version int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.history[:min(1, len(m.history))] { // a later change has ended the trial
		if m.history[i].Version == version && !m.history[i].ConfirmBy.IsZero() {
			m.history[i].ConfirmBy = store.SettingChange{}.ConfirmBy
			m.version++
			return nil
		}
	}
	return fmt.Errorf("version %d: %w", version, store.ErrNotFound)
}

func (m *memory) History(_ context.Context, before int64, limit int) ([]store.SettingChange, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.SettingChange
	for _, c := range m.history {
		if before == 0 || c.Version < before {
			out = append(out, c)
		}
	}
	return slices.Clone(out[:min(limit, len(out))]), m.fail
}

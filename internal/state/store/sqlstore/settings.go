package sqlstore

import "posthorn/internal/state/store"

// settings implements store.Settings.
type settings struct {
	store.Settings
	s *Store
}

func newSettings(s *Store) *settings { return &settings{s: s} }

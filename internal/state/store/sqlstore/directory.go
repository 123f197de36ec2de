package sqlstore

import "posthorn/internal/state/store"

// directory implements store.Directory.
type directory struct {
	store.Directory
	s *Store
}

func newDirectory(s *Store) *directory { return &directory{s: s} }

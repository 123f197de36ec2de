package sqlstore

import "testing"

// onBoth runs a test on each engine.
func onBoth(t *testing.T, run func(t *testing.T, s *Store)) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		run(t, openTest(t, Options{}))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		run(t, openPG(t, database(t)))
	})
}

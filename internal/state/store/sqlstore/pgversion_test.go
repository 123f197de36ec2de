package sqlstore

import (
	"fmt"
	"testing"
)

// Later scripts run on rows that an earlier version left behind.
func TestAPostgresDatabaseOfVersion1IsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := openPG(t, dsn)
	id := enqueue(t, s, 0, "bob@far.test", "eve@far.test")
	before, err := s.Queue().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	err = s.write(t.Context(), func(t *txn) error {
		for _, column := range []string{"notified", "asked", "last_try", "last_host", "route"} {
			if _, err := t.exec(`ALTER TABLE queue_recipient DROP COLUMN ` + column); err != nil {
				return err
			}
		}
		if _, err := t.exec(`DROP TABLE token`); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM schema_version WHERE version > 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := openPG(t, dsn).Queue().Get(t.Context(), id)
	if err != nil || fmt.Sprintf("%+v", after.Recipients) != fmt.Sprintf("%+v", before.Recipients) {
		t.Errorf("%+v, want %+v, %v", after.Recipients, before.Recipients, err)
	}
}

package sqlstore

import (
	"fmt"
	"strings"
	"testing"
)

// Later scripts run on rows that an earlier version left behind.
func TestAPostgresDatabaseOfVersion1IsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	undoing := undoLater(t)
	s := openPG(t, dsn)
	id := enqueue(t, s, 0, "bob@far.test", "eve@far.test")
	before, err := s.Queue().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	err = s.write(t.Context(), func(t *txn) error {
		for _, statement := range undoing {
			if _, err := t.exec(statement); err != nil {
				return err
			}
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

// undoLater takes back what the scripts after version 1 make: tables, indexes and columns.
func undoLater(t *testing.T) (undoing []string) {
	t.Helper()
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all[1:] {
		for _, statement := range statements(m.script) {
			switch words := strings.Fields(statement); {
			case strings.HasPrefix(statement, "CREATE TABLE "):
				undoing = append(undoing, "DROP TABLE "+words[2])
			case strings.HasPrefix(statement, "CREATE INDEX "):
				undoing = append(undoing, "DROP INDEX IF EXISTS "+words[2]) // perhaps with its table
			case strings.HasPrefix(statement, "ALTER TABLE ") && words[3] == "ADD":
				undoing = append(undoing, "ALTER TABLE "+words[2]+" DROP COLUMN "+words[5])
			}
		}
	}
	return undoing
}

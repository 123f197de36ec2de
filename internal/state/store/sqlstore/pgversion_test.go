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
	s := openPG(t, dsn)
	id := enqueue(t, s, 0, "bob@far.test", "eve@far.test")
	before, err := s.Queue().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	undoLater(t, s, 1)
	after, err := openPG(t, dsn).Queue().Get(t.Context(), id)
	if err != nil || fmt.Sprintf("%+v", after.Recipients) != fmt.Sprintf("%+v", before.Recipients) {
		t.Errorf("%+v, want %+v, %v", after.Recipients, before.Recipients, err)
	}
}

// undoLater takes back what the scripts after a version make: tables, indexes,
// columns and counters.
func undoLater(t *testing.T, s *Store, version int) {
	t.Helper()
	var undoing []string
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all[version:] {
		for _, statement := range statements(m.script) {
			switch words := strings.Fields(statement); {
			case strings.HasPrefix(statement, "CREATE TABLE "):
				undoing = append(undoing, "DROP TABLE "+words[2])
			case strings.HasPrefix(statement, "CREATE INDEX "):
				undoing = append(undoing, "DROP INDEX IF EXISTS "+words[2]) // perhaps with its table
			case strings.HasPrefix(statement, "ALTER TABLE ") && words[3] == "ADD":
				undoing = append(undoing, "ALTER TABLE "+words[2]+" DROP COLUMN "+words[5])
			case strings.HasPrefix(statement, "INSERT INTO counter "):
				undoing = append(undoing, "DELETE FROM counter WHERE name = "+strings.TrimSuffix(words[6], ","))
			}
		}
	}
	err = s.write(t.Context(), func(t *txn) error {
		for _, statement := range undoing {
			if _, err := t.exec(statement); err != nil {
				return err
			}
		}
		_, err := t.exec(`DELETE FROM schema_version WHERE version > ?`, version)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

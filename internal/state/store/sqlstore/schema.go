package sqlstore

import (
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"

	"posthorn/internal/base/event"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// migration takes a database from version-1 to version.
type migration struct {
	version int
	script  string
}

// migrations lists the numbered scripts in order, beginning with 1.
func migrations() ([]migration, error) {
	names, err := fs.Glob(schemaFiles, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, name := range names {
		text, err := schemaFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "schema/"), ".sql"))
		if err != nil || n != i+1 {
			return nil, fmt.Errorf("schema file %s is out of sequence", name)
		}
		all = append(all, migration{n, string(text)})
	}
	return all, nil
}

// pending returns the migrations a database of this version needs. A newer
// database is refused: an older program must not write into it.
func (o Options) pending(version int) ([]migration, error) {
	all, err := o.schema, error(nil)
	if all == nil {
		all, err = migrations()
	}
	if err != nil {
		return nil, err
	}
	if version > len(all) {
		return nil, fmt.Errorf("the database has schema version %d, this program knows %d: it was written by a newer posthorn; install that version again or restore a backup", version, len(all))
	}
	return all[version:], nil
}

// migrated tells of a database that is not new and was taken some versions on.
func (o Options) migrated(from, steps int) {
	if from > 0 && steps > 0 {
		o.Log.Log(event.StoreMigrated, slog.Int("from", from), slog.Int("to", from+steps))
	}
}

// statements splits a script; no statement of ours contains a semicolon.
func statements(script string) []string {
	var lines []string
	for line := range strings.Lines(script) {
		if text, _, _ := strings.Cut(line, "--"); strings.TrimSpace(text) != "" {
			lines = append(lines, strings.TrimRight(text, " \t\r\n"))
		}
	}
	var all []string
	for s := range strings.SplitSeq(strings.Join(lines, "\n"), ";") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// forPostgres translates a schema statement. Text sorts by bytes on both
// engines, whatever the collation of the database.
func forPostgres(statement string) string {
	return strings.NewReplacer(
		" WITHOUT ROWID", "",
		" INTEGER", " BIGINT",
		" BLOB", " BYTEA",
		" TEXT", ` TEXT COLLATE "C"`,
	).Replace(statement)
}

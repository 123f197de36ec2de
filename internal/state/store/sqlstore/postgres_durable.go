package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// remedies of the settings without which a confirmed commit can be lost in a
// crash of the database.
var remedies = map[string]string{
	"fsync": "set fsync = on in postgresql.conf and restart the server: after a crash without it the whole database may be damaged",
	"synchronous_commit": "set it to on, or remove it, in the connection string (dsn), in postgresql.conf and with " +
		"ALTER ROLE … RESET synchronous_commit and ALTER DATABASE … RESET synchronous_commit",
}

// demandDurable refuses a connection on which a confirmed commit can be lost
// in a crash of the database. It is asked of every connection: servers behind
// one string differ, and settings change. What it found for the connection
// stays so until the connection ends.
func demandDurable(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT name, source FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off'`)
	if err != nil {
		return err
	}
	var name, source string
	var found []error
	_, err = pgx.ForEachRow(rows, []any{&name, &source}, func() error {
		found = append(found, fmt.Errorf("%s is off (set by: %s), so acknowledged mail could be lost; %s", name, source, remedies[name]))
		return nil
	})
	if err = errors.Join(append(found, err)...); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false)`)
	return err
}

package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"posthorn/internal/state/store"
)

// pgCode returns the SQLSTATE of an error, "" when the server did not send it.
func pgCode(err error) string {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// again reports errors that another try may not meet: serialisation failure,
// deadlock, and two transactions that inserted the same new key.
func again(err error) bool {
	switch pgCode(err) {
	case "40001", "40P01", "23505":
		return true
	}
	return false
}

// unreachable marks an error in getting a connection.
func unreachable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

var errOverdue = errors.New("PostgreSQL does not answer")

// overdue is the error of a server that did not answer in the time it had. It
// hides the end of that time, for it is not the caller's.
func overdue(err error) error { return fmt.Errorf("%w: %v", errOverdue, err) }

// classifyPG wraps an error of the server or of the connection in the error of
// the contract that tells callers what to do.
func classifyPG(err error) error {
	var refused *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errOverdue), errors.As(err, &connect):
		return unreachable(err)
	case !errors.As(err, &refused):
		if pgconn.SafeToRetry(err) || isConnection(err) {
			return unreachable(err)
		}
		return err
	}
	switch refused.Code {
	case "53100": // disk_full
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case "25006", "55P03", "58030", "40001", "40P01":
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	switch refused.Code[:min(2, len(refused.Code))] {
	case "08", "53", "57": // connection, resources, intervention of an operator
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

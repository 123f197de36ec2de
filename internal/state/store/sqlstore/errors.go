package sqlstore

import (
	"errors"
	"fmt"
	"syscall"

	"zombiezen.com/go/sqlite"

	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// errClosed is what calls get after Close.
var errClosed = fmt.Errorf("store is closed: %w", store.ErrUnavailable)

// classifySQLite wraps an error of SQLite or of body files in the error of the
// contract that tells callers what to do. Errors of the contract pass.
func classifySQLite(err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrFull), errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrUnavailable):
		return err
	case errors.Is(err, blob.ErrFailed): // whatever the cause: some systems say ENOSPC at a sync
		return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	code := sqlite.ErrCode(err)
	switch code {
	case sqlite.ResultIOErrSHMSize: // a full disk shows so, too
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case sqlite.ResultIOErrNoMem:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	switch code.ToPrimary() {
	case sqlite.ResultFull:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case sqlite.ResultIOErr, sqlite.ResultCorrupt, sqlite.ResultNotADB, sqlite.ResultReadOnly:
		return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
	case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultCantOpen, sqlite.ResultNoMem:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

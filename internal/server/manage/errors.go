package manage

import (
	"errors"
	"fmt"
	"net/http"

	"posthorn/internal/state/store"
)

// ErrInput is wrapped by errors that the caller can mend.
var ErrInput = errors.New("invalid input")

// statuses pairs error kinds with what HTTP says of them.
var statuses = []struct {
	err  error
	code int
}{
	{ErrInput, http.StatusUnprocessableEntity},
	{store.ErrInvalid, http.StatusUnprocessableEntity},
	{store.ErrNotFound, http.StatusNotFound},
	{store.ErrExists, http.StatusConflict},
	{store.ErrConflict, http.StatusConflict},
	{store.ErrLimit, http.StatusConflict},
	{store.ErrFull, http.StatusInsufficientStorage},
	{store.ErrReadOnly, http.StatusServiceUnavailable},
	{store.ErrUnavailable, http.StatusServiceUnavailable},
}

// StatusOf returns the HTTP status of an operation's error.
func StatusOf(err error) int {
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.code
		}
	}
	return http.StatusInternalServerError
}

// inField names the field an error is about.
func inField(field string, err error) error { return fmt.Errorf("%w: %s: %w", ErrInput, field, err) }

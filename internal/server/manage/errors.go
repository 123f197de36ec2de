package manage

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"posthorn/internal/state/store"
)

// ErrInput is wrapped by errors that the caller can mend.
var ErrInput = errors.New("invalid input")

// errNothing says that a change names no field.
var errNothing = said{"nothing to change was given; --help lists what can be", ErrInput}

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

// said is an error in words of its own that is still of the kind it wraps.
type said struct {
	text string
	kind error
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.kind }

// inField names the field an error is about.
func inField(field string, err error) error {
	return said{field + ": " + err.Error(), fmt.Errorf("%w: %w", ErrInput, err)}
}

// plain leaves out the kind at an error's end ("…: invalid") where the words
// before it have told the reason; HTTP has its status for the kind.
func plain(err error) error {
	text := err.Error()
	for _, kind := range []error{store.ErrInvalid, store.ErrConflict} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	return said{text, err}
}

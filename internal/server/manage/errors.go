package manage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"posthorn/internal/base/passwd"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// ErrInput is wrapped by errors that the caller can mend.
var ErrInput = errors.New("invalid input")

// ErrForbidden is wrapped by errors of callers whose role is too small.
var ErrForbidden = errors.New("not allowed")

// ErrMissing is wrapped by errors of inputs that name too little to act on.
var ErrMissing = fmt.Errorf("%w: something is missing", ErrInput)

// ErrNothing says that a change names no field.
var ErrNothing error = said{"nothing to change was given; --help lists what can be", ErrMissing}

// statuses pairs error kinds with what HTTP says of them.
var statuses = []struct {
	err  error
	code int
}{
	{ErrInput, http.StatusUnprocessableEntity},
	{ErrForbidden, http.StatusForbidden},
	{store.ErrInvalid, http.StatusUnprocessableEntity},
	{store.ErrNotFound, http.StatusNotFound},
	{store.ErrExists, http.StatusConflict},
	{store.ErrConflict, http.StatusConflict},
	{store.ErrLimit, http.StatusConflict},
	{store.ErrFull, http.StatusInsufficientStorage},
	{store.ErrReadOnly, http.StatusServiceUnavailable},
	{store.ErrUnavailable, http.StatusServiceUnavailable},
	{passwd.ErrBusy, http.StatusServiceUnavailable},
	{context.Canceled, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, http.StatusServiceUnavailable},
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

// Fault is what is wrong with one field of an input.
type Fault struct{ Field, Text string }

// fielded is an error about one field.
type fielded struct {
	Fault
	kind error
}

func (f fielded) Error() string { return f.Field + ": " + f.Text }
func (f fielded) Unwrap() error { return f.kind }

// inField names the field an error is about.
func inField(field string, err error) error {
	return fielded{Fault{field, err.Error()}, fmt.Errorf("%w: %w", ErrInput, err)}
}

// FaultOf returns the first field of the input that an error is about, if it is
// about one: the error's text then has "field: text" in it, or of a setting, whose
// field is set.NAME, "NAME: text".
func FaultOf(err error) (Fault, bool) {
	if all := faultsOf(err); len(all) > 0 {
		return all[0], true
	}
	return Fault{}, false
}

// faultsOf lists the fields an error is about; none when it is about none.
func faultsOf(err error) []Fault {
	if f := (fielded{}); errors.As(err, &f) {
		return []Fault{f.Fault}
	}
	var all []Fault
	if list := (setting.Invalid)(nil); errors.As(err, &list) {
		for _, p := range list {
			if p.Name != "" {
				all = append(all, Fault{"set." + p.Name, p.Text})
			}
		}
	}
	return all
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

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
)

// misused is the error of a command line that cannot be meant: exit code 2.
type misused struct{ error }

// Unwrap gives what was wrong.
func (m misused) Unwrap() error { return m.error }

func misuse(format string, args ...any) error { return misused{fmt.Errorf(format, args...)} }

// wrong reports that the command line was at fault, not what it asked for: it
// could not be meant, names too little, or has a value that its flag or argument
// cannot have, whoever noticed.
func wrong(err error, node *kong.Node) bool {
	if errors.As(err, new(misused)) || errors.Is(err, manage.ErrMissing) {
		return true
	}
	fault, ok := manage.FaultOf(err)
	return ok && node != nil && typed(node, fault.Field) != ""
}

// asTyped puts into an error about a field of an operation what was typed for
// it. A flag stands for the field of its name; where the names differ, or an
// argument stands for a field, its declaration says so in the tag field.
func asTyped(text string, err error, node *kong.Node) string {
	fault, ok := manage.FaultOf(err)
	if !ok || node == nil {
		return text
	}
	if flag := typed(node, fault.Field); flag != "" {
		return strings.Replace(text, fault.Field+": "+fault.Text, flag+": "+fault.Text, 1)
	}
	return text
}

// typed is the flag or the argument of a field: of several the one that was
// given, "" where there is none.
func typed(node *kong.Node, field string) string {
	field, _, _ = strings.Cut(field, ".") // set.NAME
	found := ""
	for _, f := range node.Flags {
		if stands(f.Value, field) && (found == "" || f.Set) {
			found = "--" + f.Name
			if f.Set {
				return found
			}
		}
	}
	for _, p := range node.Positional {
		if found == "" && stands(p, field) {
			found = "<" + p.Name + ">"
		}
	}
	return found
}

func stands(v *kong.Value, field string) bool {
	if fields := v.Tag.Get("field"); fields != "" {
		return slices.Contains(strings.Split(fields, ","), field)
	}
	return strings.ReplaceAll(v.Name, "-", "_") == field
}

// whatThereIs adds to the error about a thing that is not there the command
// that lists such things, unless the error names a command already.
func whatThereIs(text string, err error, node *kong.Node) string {
	if _, fault := manage.FaultOf(err); fault { // it is a part of the question, not what was asked for
		return text
	}
	if !errors.Is(err, store.ErrNotFound) || strings.Contains(text, "posthorn ") || node == nil || node.Parent == nil {
		return text
	}
	for _, c := range node.Parent.Children {
		if c.Name == "list" {
			return text + "; what there is: " + c.FullPath()
		}
	}
	return text
}

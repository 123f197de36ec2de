package storetest

import (
	"errors"
	"fmt"
	"runtime"

	"pgregory.net/rapid"
)

// quietly lets helpers that end a test run on another goroutine: their failure
// comes back as an error.
func (e *env) quietly(f func(q *env)) error {
	n := &notes{TB: e.t}
	q := *e
	q.t = n
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(&q)
	}()
	<-done
	return n.err
}

// notes is a test that keeps its failure to itself.
type notes struct {
	rapid.TB
	err error
}

func (n *notes) Helper() {}

func (n *notes) Errorf(format string, args ...any) {
	n.err = errors.Join(n.err, fmt.Errorf(format, args...))
}

func (n *notes) Error(args ...any) { n.err = errors.Join(n.err, errors.New(fmt.Sprint(args...))) }

func (n *notes) Fatalf(format string, args ...any) {
	n.Errorf(format, args...)
	runtime.Goexit()
}

func (n *notes) Fatal(args ...any) {
	n.Error(args...)
	runtime.Goexit()
}

// withoutDeadline hides the deadline of a test, which may not be asked for in
// a bubble.
func withoutDeadline(e *env) rapid.TB { return struct{ rapid.TB }{e.t} }

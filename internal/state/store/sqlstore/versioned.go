package sqlstore

import (
	"context"
	"fmt"
	"strings"
)

// versioned is what lists have in common that nodes keep in memory: a row of
// counter that every change raises, which also makes changes of several nodes
// follow each other.
type versioned struct {
	s       *Store
	counter string
	changed chan struct{}
}

func newVersioned(s *Store, counter string) versioned {
	return versioned{s: s, counter: counter, changed: make(chan struct{}, 1)}
}

// Changed is that of the contract.
func (v *versioned) Changed() <-chan struct{} { return v.changed }

// Version is that of the contract.
func (v *versioned) Version(ctx context.Context) (n int64, err error) {
	_, err = v.s.get(ctx, `SELECT value FROM counter WHERE name = ?`, []any{v.counter}, func(r row) error {
		n = r.int(0)
		return nil
	})
	return n, err
}

// change runs fn in a transaction that raises the version.
func (v *versioned) change(ctx context.Context, write func(context.Context, func(*txn) error) error, what string, fn func(t *txn) error) error {
	err := write(ctx, func(t *txn) error {
		if err := raiseCounter(t, v.counter); err != nil {
			return err
		}
		t.onCommit(func() { hint(v.changed) })
		return fn(t)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// delete is change for one statement that removes rows; it returns how many.
func (v *versioned) delete(ctx context.Context, what, query string, args ...any) (removed int, err error) {
	err = v.change(ctx, v.s.remove, what, func(t *txn) error {
		n, err := t.exec(query, append([]any(nil), args...)...)
		removed = int(n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// raiseCounter moves a counter on; other transactions that do so wait.
func raiseCounter(t *txn, name string) error {
	return t.put(`INSERT INTO counter (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = counter.value + 1`, name)
}

// tally adds to a counter and returns what it is then; other transactions that
// do so wait. It is how lists know their length without counting.
func tally(t *txn, name string, n int64) (value int64, err error) {
	_, err = one(t, `INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value`,
		[]any{name, n}, func(r row) error { value = r.int(0); return nil })
	return value, err
}

// containing is a pattern for LIKE … ESCAPE '!' that finds the text, in lower
// case as far as the engines know it, anywhere.
func containing(text string) string { return "%" + likely(text) + "%" }

// likely is a text, in lower case, as a part of such a pattern.
func likely(text string) string {
	return asciiLower(strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text))
}

// asciiLower is what LOWER does on both engines (collation C on PostgreSQL).
func asciiLower(text string) string {
	b := []byte(text)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Bounds of a page of a list.
const (
	usualPage = 100
	mostPage  = 1000
)

// pageOf is the size of a page somebody asked for.
func pageOf(limit int) int {
	if limit <= 0 {
		return usualPage
	}
	return min(limit, mostPage)
}

// sweepStep is how many rows of a list one sweep removes at most.
const sweepStep = 1000

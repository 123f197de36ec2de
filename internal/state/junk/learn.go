package junk

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const (
	// maxBatch is the most lessons of one commit.
	maxBatch = 256
	// maxRemembered is how many messages of an account are known by key; an
	// older one, learned again, counts again.
	maxRemembered = 10_000
	// maxLevel is beyond any a model of the largest setting reaches.
	maxLevel = 8
	// maxEverybody is the most tokens of everybody's model.
	maxEverybody = 500_000
	// freelyGiven is how many messages of a class an account may give to
	// everybody; beyond that no more than a quarter of all come from one, so
	// that nobody decides for the others.
	freelyGiven = 200
)

// request is a call of Learn on its way to the writer.
type request struct {
	lessons []Lesson
	forget  Account // or an account to be forgotten
	done    chan error
}

// Learn learns messages, in order; when it returns nil they are in the file
// and in every later Score. What is known as the same class already is left
// out, what is known as another is taken back first. After an error some may
// have been learned; learning all again is right. A context that ends stops
// the waiting, not the lesson.
func (f *Filter) Learn(ctx context.Context, lessons ...Lesson) error {
	for _, l := range lessons {
		if err := l.check(); err != nil {
			return err
		}
	}
	for len(lessons) > 0 {
		n := min(len(lessons), maxBatch)
		if err := f.ask(ctx, &request{lessons: lessons[:n]}); err != nil {
			return err
		}
		lessons = lessons[n:]
	}
	return nil
}

func (l *Lesson) check() error {
	if l.Account <= everybody || l.Class > Ham || l.Tokens == nil {
		return fmt.Errorf("junk: learn %q: account %d, class %d, tokens %t: not a lesson", l.Key, l.Account, l.Class, l.Tokens != nil)
	}
	return nil
}

// Forget takes back what was learned of one message.
func (f *Filter) Forget(ctx context.Context, account Account, key string, t *Tokens) error {
	return f.Learn(ctx, Lesson{Account: account, Key: key, Tokens: t})
}

// Remove forgets everything about an account. What it gave to everybody stays:
// those counts name nobody.
func (f *Filter) Remove(ctx context.Context, account Account) error {
	if account <= everybody {
		return fmt.Errorf("junk: remove account %d: there is none", account)
	}
	return f.ask(ctx, &request{forget: account})
}

func (f *Filter) ask(ctx context.Context, r *request) error {
	r.done = make(chan error, 1)
	select {
	case f.requests <- r:
	case <-f.stop:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve is the writer. It takes what waits, up to a batch, into one commit.
func (f *Filter) serve() {
	defer close(f.done)
	for {
		select {
		case r := <-f.requests:
			f.batch(r)
		case <-f.stop:
			return
		}
	}
}

func (f *Filter) batch(first *request) {
	list, lessons := []*request{first}, len(first.lessons)
	for more := true; more && lessons < maxBatch; {
		select {
		case r := <-f.requests:
			list, lessons = append(list, r), lessons+len(r.lessons)
		default:
			more = false
		}
	}
	err := f.apply(list)
	if err == nil {
		f.learned.Add(int64(lessons))
	} else {
		err = fmt.Errorf("junk: learn: %w", err)
	}
	for _, r := range list {
		r.done <- err
	}
}

// apply does what is asked in one transaction.
func (f *Filter) apply(list []*request) error {
	vacuum := false
	err := f.file.use(context.Background(), f.file.write, func(conn *sqlite.Conn) error {
		t := &turn{f: f, conn: conn, settings: f.o.Settings(), day: today(), pupils: map[Account]*pupil{}, octets: f.octets.Load()}
		if err := t.run(list); err != nil {
			f.cache.clear() // the outcome of a failed commit may be unknown
			return err
		}
		// Still under the handle: nobody sets the file aside in between.
		f.octets.Store(t.octets)
		f.cache.publish(t.models(), t.gone)
		vacuum = len(t.gone) > 0
		return nil
	})
	if err != nil || !vacuum {
		return err
	}
	return f.file.use(context.Background(), f.file.write, func(conn *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(conn, "PRAGMA incremental_vacuum", nil)
	})
}

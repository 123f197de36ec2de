package junk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/wire/mime"
)

// body counts what is open.
type body struct {
	*bytes.Reader
	open *atomic.Int64
}

func (b body) Close() error {
	b.open.Add(-1)
	return nil
}

func opener(raw []byte, open *atomic.Int64) func(context.Context) (Message, Body, error) {
	return func(context.Context) (Message, Body, error) {
		open.Add(1)
		b := body{bytes.NewReader(raw), open}
		return Message{Structure: mime.Parse(raw), Content: b}, b, nil
	}
}

func flush(t *testing.T, l *Learner) {
	t.Helper()
	if err := l.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestMovesAreLearned(t *testing.T) {
	t.Parallel()
	f, c := newFilter(t), newCorpus(german(), 3)
	var open atomic.Int64
	l := NewLearner(f, func(err error) { t.Error(err) })
	defer l.Close()
	for i := range 60 {
		l.Moved(Move{1, fmt.Sprint("s", i), Spam, opener(c.spam(), &open)})
		l.Moved(Move{1, fmt.Sprint("h", i), Ham, opener(c.ham(), &open)})
	}
	raw := c.spam()
	l.Moved(Move{1, "back", Spam, opener(raw, &open)})
	flush(t, l)
	l.Moved(Move{1, "back", Ham, opener(raw, &open)})
	flush(t, l)
	if got := learnedBy(t, f, 1); got != [2]int{60, 61} || open.Load() != 0 {
		t.Errorf("%v learned, %d left open", got, open.Load())
	}
	if s := l.Stats(); s.Learned != 122 || s.Dropped+s.Failed+s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	if q := examine(t, f, 1, c, 50); q.caught < 40 || q.accused > 0 {
		t.Errorf("%+v", q)
	}
}

// TestMovingIsNeverDelayed holds the first message while thousands move; the
// clock of the bubble stands still unless somebody waits for it.
func TestMovingIsNeverDelayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, err := Open(options(filepath.Join(t.TempDir(), "junk.db")))
		if err != nil {
			t.Fatal(err)
		}
		raw := []byte("Subject: x\r\n\r\nhello world\r\n")
		var open atomic.Int64
		l := NewLearner(f, func(err error) { t.Error(err) })
		l.Moved(Move{1, "slow", Spam, func(ctx context.Context) (Message, Body, error) {
			time.Sleep(time.Hour)
			return opener(raw, &open)(ctx)
		}})
		synctest.Wait()
		begin := time.Now()
		for i := range maxMoves + 100 {
			l.Moved(Move{2, fmt.Sprint(i), Ham, opener(raw, &open)})
			l.Moved(Move{2, fmt.Sprint(i), Spam, opener(raw, &open)}) // takes the place of the one before
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("moving took %v", d)
		}
		if s := l.Stats(); s.Waiting != maxMoves || s.Dropped != 100 {
			t.Errorf("%+v", s)
		}
		flush(t, l)
		if got := learnedBy(t, f, 2); got != [2]int{maxMoves, 0} {
			t.Errorf("%v", got)
		}
		l.Close()
		if err := l.Flush(context.Background()); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		l.Moved(Move{1, "late", Spam, opener(raw, &open)}) // harmless
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestMessagesThatCannotBeReadStopNothing(t *testing.T) {
	t.Parallel()
	f, c := newFilter(t), &complaints{}
	var open atomic.Int64
	raw := []byte("Subject: x\r\n\r\nhello world\r\n")
	l := NewLearner(f, c.add)
	defer l.Close()
	l.Moved(Move{1, "gone", Spam, func(context.Context) (Message, Body, error) {
		return Message{}, nil, fmt.Errorf("body: %w", fs.ErrNotExist)
	}})
	l.Moved(Move{1, "broken", Spam, func(context.Context) (Message, Body, error) {
		open.Add(1)
		return Message{Structure: mime.Parse(raw), Content: broken{}}, body{bytes.NewReader(raw), &open}, nil
	}})
	l.Moved(Move{0, "nobody", Spam, opener(raw, &open)})
	l.Moved(Move{1, "good", Spam, opener(raw, &open)})
	flush(t, l)
	if got := learnedBy(t, f, 1); got != [2]int{1, 0} || open.Load() != 0 {
		t.Errorf("%v, %d open", got, open.Load())
	}
	if s := l.Stats(); s.Learned != 1 || s.Failed != 3 || c.count() != 2 {
		t.Errorf("%+v, %v", s, c.list)
	}
}

func TestClosingCountsWhatIsLost(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	var open atomic.Int64
	l := NewLearner(f, nil)
	held, reached := make(chan struct{}), make(chan struct{})
	l.Moved(Move{1, "first", Spam, func(ctx context.Context) (Message, Body, error) {
		close(reached)
		<-held
		return Message{}, nil, ctx.Err()
	}})
	<-reached
	for i := range 10 {
		l.Moved(Move{1, fmt.Sprint(i), Spam, opener([]byte("\r\nx\r\n"), &open)})
	}
	l.cancel()
	close(held)
	l.Close()
	if s := l.Stats(); s.Dropped != 10 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

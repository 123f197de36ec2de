package smtpd

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/flow/accept"
	"posthorn/internal/state/store"
)

// stuck is a store that stands still. What waits for it is withdrawn when its
// context ends, and done otherwise.
type stuck struct {
	*faulty
	line  time.Duration // how long nothing is begun
	write time.Duration // how long content is not taken
}

func (s stuck) Accept(ctx context.Context, a *store.Acceptance) (store.Accepted, error) {
	select {
	case <-time.After(s.line):
		return s.faulty.Accept(ctx, a)
	case <-ctx.Done():
		return store.Accepted{}, ctx.Err()
	}
}

func (s stuck) NewDraft(ctx context.Context, size int64) (store.Draft, error) {
	d, err := s.faulty.NewDraft(ctx, size)
	if f, ok := d.(*faultyDraft); ok {
		f.takes = s.write
	}
	return d, err
}

// RFC 5321 §4.5.3.2.6: ten minutes after the end of its content a client gives
// up and sends again, whatever kept the message: checks, content, or the line
// in front of the disk.
func TestNothingIsTakenThatItsSenderHasGivenUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		checks time.Duration
		store  stuck
		filed  string
		want   sending
	}{
		"a line that moves in time":   {0, stuck{line: 8 * time.Minute}, "bob 1", sending{250, 8 * time.Minute}},
		"a line that stands still":    {0, stuck{line: 20 * time.Minute}, "bob 0", sending{451, replyTime}},
		"slow checks, and a line":     {5 * time.Minute, stuck{line: 5 * time.Minute}, "bob 0", sending{451, replyTime}},
		"content that is not taken":   {0, stuck{write: 12 * time.Minute}, "bob 0", sending{0, 10 * time.Minute}},
		"content taken, then a line":  {0, stuck{write: 5 * time.Minute, line: 5 * time.Minute}, "bob 0", sending{451, replyTime}},
		"content that is slow a time": {0, stuck{write: 5 * time.Minute}, "bob 1", sending{250, 5 * time.Minute}},
	} {
		for _, listener := range []string{"smtp", "lmtp"} {
			t.Run(name+" by "+listener, func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(t *testing.T, w *world) {
					c.store.faulty = w.store
					w.server.Policy = slowly{Policy: w.server.Policy, takes: c.checks}
					w.server.Store, w.server.Door = c.store, accept.New(c.store, accept.Options{})
					got := w.begin(listener)
					time.Sleep(time.Hour)
					synctest.Wait()
					if err := w.filed(c.filed); err != nil || *got != c.want {
						t.Errorf("%+v, want %+v; %v", *got, c.want, err)
					}
				})
			})
		}
	}
}

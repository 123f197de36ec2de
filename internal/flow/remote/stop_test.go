package remote

import (
	"context"
	"io"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/wire/mime"
)

// TestAStopForgetsNoMessageThatAHostHasTaken: with queue, store and host as
// they are, what is told in time is not sent again, and the whole stop takes
// less than ten seconds whatever the host does (reliability.md row 5).
func TestAStopForgetsNoMessageThatAHostHasTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  string // of the dialogue, a second before the stop
		left int64  // messages in the queue afterwards
	}{
		"in time":          {"wait 2s\nS: 250 taken\n" + bye, 0},
		"after the breach": {"wait 7900ms\nS: 250 taken\nstall", 0},
		"refused":          {"wait 7900ms\nS: 550 no\nstall", 0},
		"never":            {"stall", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.one(hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nD\n" + c.end)
				s := queued(w.t)
				r := queue.New(queue.Options{Queue: s.Queue(), Deliverer: w.d, Owner: "n", Route: func(*store.QueueMessage, *store.QueueRecipient) route.Destination {
					return route.Destination{Key: "far.test", Domain: "far.test"}
				}})
				ctx, stop := context.WithTimeout(w.t.Context(), time.Second)
				defer stop()
				r.Run(ctx)
				w.d.Close()
				if took := time.Since(start(ctx)); took >= 10*time.Second {
					t.Errorf("the stop took %v", took)
				}
				if n, _, err := s.Queue().Count(w.t.Context()); n != c.left || err != nil {
					t.Errorf("%d messages are left, want %d, %v", n, c.left, err)
				}
			})
		})
	}
}

// start is when a context ended.
func start(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}

// queued is a store with one message in its queue.
func queued(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlstore.OpenSQLite(context.Background(), t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	d, err := s.NewDraft(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if _, err := io.WriteString(d, text); err != nil {
		t.Fatal(err)
	}
	from, to := mail.Address{Local: "a", Domain: "here.test"}, mail.Address{Local: "b", Domain: "far.test"}
	e := &accept.Envelope{Key: ident.NewSource().New(), Time: time.Now(), Sender: from, Recipients: []accept.Recipient{{Address: to, Remote: []mail.Address{to}}}}
	if err := accept.New(s, accept.Options{}).Accept(t.Context(), e, &accept.Content{Body: d, Structure: mime.Parse([]byte(text))}); err != nil {
		t.Fatal(err)
	}
	return s
}

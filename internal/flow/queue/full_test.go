package queue

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/state/store"
)

// crammed is a full disk: no notice has room, the rest uses the reserve.
type crammed struct {
	*shelf
	full atomic.Bool
}

func (c *crammed) Finish(ctx context.Context, cl store.Claim, o []store.Outcome, n *store.Acceptance) error {
	if n != nil && c.full.Load() {
		return fmt.Errorf("no notice: %w", store.ErrFull)
	}
	return c.shelf.Finish(ctx, cl, o, n)
}

// troubled is a world of a full disk: bad.test is down, no.test refuses,
// busy.test defers, all others take mail.
func troubled(t *testing.T) (*world, *crammed, *teller) {
	w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
		switch {
		case j.To.Key == "bad.test":
			return nil, &Outage{Reply: reply.New(451, reply.E(4, 4, 1), "no answer")}
		case strings.HasPrefix(j.To.Key, "no"):
			return refusing(ctx, j)
		case j.To.Key == "busy.test":
			return busy(j), nil
		}
		return delivered(j), nil
	})
	n, c := &teller{}, &crammed{shelf: w.shelf}
	c.full.Store(true)
	w.o.Notices, w.o.Queue = n, c
	return w, c, n
}

func soon(m *store.QueueMessage, _ *store.QueueRecipient) { m.Expires = time.Now().Add(time.Second) }

// With a full disk mail goes out, and whoever is to be told something is told
// when there is room again.
func TestNoNoticeStopsOutgoingMailOnAFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, c, n := troubled(t)
		w.shelf.add(nil, "a@bad.test")
		stop := w.start()
		defer stop()
		rest(time.Minute)
		w.shelf.add(soon, "late@bad.test") // its destination is known to be dead
		for i := range 2 * w.s.Workers {
			w.shelf.add(nil, fmt.Sprintf("u@no%d.test", i))
		}
		w.shelf.add(func(m *store.QueueMessage, _ *store.QueueRecipient) { m.Accepted = time.Now().Add(-24 * time.Hour) }, "delayed@busy.test")
		rest(time.Minute)
		for i := range 10 {
			w.shelf.add(nil, fmt.Sprintf("x%d@good.test", i))
		}
		rest(time.Second)
		for _, r := range w.shelf.of("@good.test") {
			if !r.gone {
				t.Errorf("%s waits for the disk", r.rcpt.Address)
			}
		}
		rest(8 * 24 * time.Hour)
		if len(w.shelf.notices) > 0 {
			t.Errorf("%d notices on a full disk", len(w.shelf.notices))
		}
		for _, r := range append(w.shelf.of("late@bad.test"), w.shelf.of("u@no0.test")...) {
			if r.gone || r.rcpt.LastError == "" {
				t.Errorf("given up without a word: %+v", r)
			}
		}
		if r := w.shelf.of("@busy.test")[0]; r.rcpt.Notified {
			t.Errorf("taken for told: %+v", r.rcpt)
		}
		c.full.Store(false)
		rest(5 * time.Hour)
		if got := len(w.shelf.notices); got < 2*w.s.Workers+2 {
			t.Errorf("%d notices with room", got)
		}
		told := strings.Join(n.words(), "\n")
		for _, want := range []string{"late@bad.test failed", "u@no0.test failed", "delayed@busy.test delayed"} {
			if !strings.Contains(told, want) {
				t.Errorf("nobody was told: %s", want)
			}
		}
	})
}

// A notice that does not even get as far as the store is the same.
func TestANoticeWithoutRoomForItsDraftStopsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, n := troubled(t)
		n.err = fmt.Errorf("draft: %w", store.ErrFull)
		w.shelf.add(nil, "a@no.test", "b@no.test")
		w.during(time.Minute)
		for _, r := range w.shelf.rows {
			if r.gone || r.owner != "" || len(r.attempts) != 1 || r.rcpt.LastError != "550 5.1.1 no such user" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// While a store takes no outcome for a dead destination, other mail is claimed.
func TestOutcomesThatCannotBeStoredStopNoOtherMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, c, _ := troubled(t)
		c.full.Store(false)
		w.shelf.refuse = func(cl store.Claim, _ []store.Outcome) error {
			if cl.Message.Recipients[0].Address.Local == "stuck" {
				return store.ErrUnavailable
			}
			return nil
		}
		w.shelf.add(nil, "a@bad.test")
		stop := w.start()
		defer stop()
		rest(time.Minute)
		for range 2 * batch {
			w.shelf.add(nil, "stuck@bad.test")
		}
		rest(time.Second)
		w.shelf.add(nil, "a@good.test")
		rest(time.Second)
		if !w.shelf.of("@good.test")[0].gone {
			t.Error("good mail waits")
		}
		for range 2 * window { // but not without end
			w.shelf.add(nil, "stuck@bad.test")
		}
		rest(time.Second)
		held := 0
		w.shelf.do(func() {
			for _, r := range w.shelf.rows {
				if r.owner != "" {
					held++
				}
			}
		})
		if held > window+batch {
			t.Errorf("%d are held", held)
		}
	})
}

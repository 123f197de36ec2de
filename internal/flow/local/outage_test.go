package local_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/flow/local"
	"posthorn/internal/state/store"
)

// away is a store that does not answer until a moment.
type away struct {
	store.Store
	until time.Time
	asked int
}

func (a *away) gone() error {
	if time.Now().Before(a.until) {
		a.asked++
		return fmt.Errorf("connection refused: %w", store.ErrUnavailable)
	}
	return nil
}

func (a *away) GetAccount(ctx context.Context, id store.AccountID) (store.AccountRow, error) {
	if err := a.gone(); err != nil {
		return store.AccountRow{}, err
	}
	return a.Directory().GetAccount(ctx, id)
}

func (a *away) NewDraft(ctx context.Context, size int64) (store.Draft, error) {
	if err := a.gone(); err != nil {
		return nil, err
	}
	return a.Store.NewDraft(ctx, size)
}

const outage = 7 * time.Second

// A store that takes over within seconds must not make mail wait for a pause of
// the schedule, which is minutes.
func TestAShortOutageDefersNoFiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.enqueue(h.a, h.b)
		s := &away{Store: h.store, until: time.Now().Add(outage)}
		h.deliver(&local.Deliverer{Accounts: s, Usage: usage{h.store}}, outage+3*time.Second)
		if n := h.waiting(); n != 0 || len(h.inbox(h.a)) != 1 || len(h.inbox(h.b)) != 1 {
			t.Errorf("%d wait, a has %d, b has %d", n, len(h.inbox(h.a)), len(h.inbox(h.b)))
		}
		for _, e := range h.done {
			if e.Recipient.Attempts != 0 {
				t.Errorf("%s: the outage counts as an attempt", e.Recipient.Address)
			}
		}
		if s.asked < 3 || s.asked > 20 {
			t.Errorf("it was asked %d times within %v", s.asked, outage)
		}
	})
}

func TestAShortOutageDefersNoForwarding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.person("p@ours.test", true, "p@far.test")
		o.receive("s@else.test", "p@ours.test", "", 0)
		s := &away{Store: o.store, until: time.Now().Add(outage)}
		o.forwarder.Drafts = s
		if got := o.work(); !strings.HasSuffix(got, "p@ours.test") || s.asked == 0 {
			t.Errorf("sent %q; asked %d times", got, s.asked)
		}
	})
}

// What cannot be read for long may be the trouble of one message, which must not
// keep a worker for ever, nor be tried without a count.
func TestALongOutageIsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		id := h.enqueue(h.a)
		s := &away{Store: h.store, until: time.Now().Add(3 * time.Minute)}
		d := &local.Deliverer{Accounts: s, Usage: usage{h.store}}
		h.deliver(d, 2*time.Minute)
		e, err := h.store.Queue().Get(t.Context(), id)
		if err != nil || e.Recipients[0].Attempts != 1 || !strings.HasPrefix(e.Recipients[0].LastError, "451 4.3.0 Temporary problem") {
			t.Errorf("after two minutes: %+v, %v", e, err)
		}
		h.deliver(d, 6*time.Minute)
		if n := h.waiting(); n != 0 || len(h.inbox(h.a)) != 1 {
			t.Errorf("later: %d wait, a has %d", n, len(h.inbox(h.a)))
		}
	})
}

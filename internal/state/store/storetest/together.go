package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

var acceptTogetherTests = []test{
	{name: "ArrivalsBecomeVisibleInOrderWithoutGaps", run: visibleOrder},
	{name: "OneKeyFromManySidesFilesOnce", run: sameKeyTogether},
	{name: "QuotaHoldsAgainstMany", run: quotaTogether},
	{name: "ErrorsLeaveNothingBehind", run: cancelledTogether},
	{name: "ChangingTheQuotaMeanwhileLosesNothing", run: quotaChangeTogether},
}

// together runs f on n goroutines and returns their errors joined.
func together(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// deliver is file for any goroutine.
func (e *env) deliver(ctx context.Context, a store.Account, body string, f store.Filing) (store.Accepted, error) {
	d, err := e.draft([]byte(body))
	if err != nil {
		return store.Accepted{}, err
	}
	defer d.Discard()
	return e.s.Accept(ctx, &store.Acceptance{Key: e.ids.New(), Time: time.Now(), Body: d, Account: a.ID(), Filings: []store.Filing{f}})
}

func visibleOrder(e *env) {
	const writers = 64
	each := e.o.size(5, 20, 500)
	accounts := []store.Account{e.account(), e.account()}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readErrs := make([]error, 4)
	for i := range readErrs {
		a := accounts[i%2]
		box := e.box(a, "INBOX")
		// The first asks all the time, the others when they are woken.
		p := e.pace(a, i == 0, stop)
		readers.Go(func() { readErrs[i] = e.followArrivals(a, box, p, writers*each/2) })
	}
	var mu sync.Mutex
	seen := map[store.AccountID]map[store.UID]bool{accounts[0].ID(): {}, accounts[1].ID(): {}}
	err := together(writers, func(i int) error {
		a := accounts[i%2]
		for n := range each {
			got, err := e.deliver(e.ctx, a, fmt.Sprintf("message %d of %d", n, i), inbox())
			if err != nil {
				return err
			}
			mu.Lock()
			if uid := got.Filed[0].UID; seen[a.ID()][uid] {
				err = fmt.Errorf("UID %d was given twice", uid)
			} else {
				seen[a.ID()][uid] = true
			}
			mu.Unlock()
			if err != nil {
				return err
			}
		}
		return nil
	})
	close(stop)
	readers.Wait()
	e.must(errors.Join(append(readErrs, err)...))
	for _, a := range accounts {
		e.verify(a)
	}
}

// pace is how a reader goes on while others write: at once, or when woken.
type pace struct {
	w     *store.Watch
	spins bool
	stop  <-chan struct{}
}

func (e *env) pace(a store.Account, spins bool, stop <-chan struct{}) pace {
	return pace{e.s.Watch(a.ID()), spins, stop}
}

// ended waits as the pace says and reports whether the writers are done.
func (p pace) ended() bool {
	if p.spins {
		select {
		case <-p.stop:
			return true
		default:
			return false
		}
	}
	select {
	case <-p.stop:
		return true
	case <-p.w.C:
		return false
	}
}

// followArrivals reads changes until stop, and then to the end, and complains
// of any UID that is missing or late.
func (e *env) followArrivals(a store.Account, box store.Mailbox, p pace, total int) error {
	defer p.w.Close()
	cursor, next, modseq := store.Cursor{UIDNext: box.UIDNext, ModSeq: box.HighestModSeq}, box.UIDNext, box.HighestModSeq
	for {
		last := p.ended()
		c, err := a.ChangesSince(e.ctx, box.ID, cursor)
		if err != nil {
			return err
		}
		for _, x := range c.Arrived {
			if x.UID != next || x.ModSeq <= modseq {
				return fmt.Errorf("UID %d with modseq %d arrived, expected UID %d above %d", x.UID, x.ModSeq, next, modseq)
			}
			next, modseq = next+1, x.ModSeq
		}
		if c.Cursor.UIDNext != next || !c.Complete || len(c.Changed)+len(c.Expunged) > 0 {
			return fmt.Errorf("after UID %d the cursor is %+v, %d changed, %d expunged", next-1, c.Cursor, len(c.Changed), len(c.Expunged))
		}
		cursor = c.Cursor
		if last {
			if int(next-box.UIDNext) != total {
				return fmt.Errorf("%d of %d messages arrived", next-box.UIDNext, total)
			}
			return nil
		}
	}
}

func sameKeyTogether(e *env) {
	a := e.account()
	for range e.o.size(3, 10, 200) {
		m := e.acceptance(a, []byte("once"), inbox())
		m.Queue = queueMessage(m.Key)
		copies := make([]*store.Acceptance, 16)
		for i := range copies {
			copies[i] = e.again(m, []byte("once"))
		}
		m.Body.Discard()
		results := make([]store.Accepted, len(copies))
		e.must(together(len(copies), func(i int) (err error) {
			results[i], err = e.accept(copies[i])
			return err
		}))
		first := 0
		for _, r := range results {
			if !r.Repeated {
				first++
			}
			if !slices.Equal(r.Filed, results[0].Filed) {
				e.t.Errorf("one key, different outcomes: %+v and %+v", r, results[0])
			}
		}
		if first != 1 {
			e.t.Errorf("%d calls say that they were the first", first)
		}
		if text := e.octets(a, results[0].Filed[0].Message); text != "once" {
			e.t.Errorf("body %q", text)
		}
	}
	u, err := a.Usage(e.ctx)
	messages, _, err2 := e.s.Queue().Count(e.ctx)
	if want := int64(e.o.size(3, 10, 200)); err != nil || err2 != nil || u.Messages != want || messages != want {
		e.t.Errorf("%d filed, %d queued (%v, %v), want %d", u.Messages, messages, err, err2, want)
	}
	e.verify(a)
}

func quotaTogether(e *env) {
	a := e.accountOf(store.AccountRow{QuotaMessages: 10, QuotaBytes: 1000})
	var took atomic.Int64
	err := together(64, func(int) error {
		_, err := e.deliver(e.ctx, a, "0123456789", inbox())
		if err == nil {
			took.Add(1)
		} else if !errors.Is(err, store.ErrOverQuota) {
			return err
		}
		return nil
	})
	e.must(err)
	if u, err := a.Usage(e.ctx); err != nil || u.Messages != 10 || took.Load() != 10 {
		e.t.Errorf("%d acknowledged, usage %+v, %v", took.Load(), u, err)
	}
	e.verify(a)
}

// cancelledTogether gives up on calls at any moment: nil means there, an error
// means not there, for each of them.
func cancelledTogether(e *env) {
	a := e.account()
	const n = 64
	var acknowledged [n]atomic.Int64
	unknown := atomic.Int64{}
	e.must(together(n, func(i int) error {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		if i%4 == 0 {
			cancel()
		} else if i%2 == 0 {
			go cancel()
		}
		f := inbox()
		f.Internal = time.UnixMicro(int64(i + 1))
		switch _, err := e.deliver(ctx, a, "x", f); {
		case err == nil:
			acknowledged[i].Store(1)
		case errors.Is(err, store.ErrUnknownOutcome):
			unknown.Add(1)
			acknowledged[i].Store(-1)
		}
		return nil
	}))
	have := map[int]bool{}
	for _, x := range e.index(a, e.box(a, "INBOX").ID).Entries {
		have[int(x.Internal)-1] = true
	}
	for i := range n {
		if ack := acknowledged[i].Load(); ack >= 0 && (ack == 1) != have[i] {
			e.t.Errorf("message %d: acknowledged %v, stored %v", i, ack == 1, have[i])
		}
	}
	e.verify(a)
}

func quotaChangeTogether(e *env) {
	a := e.account()
	each := e.o.size(5, 20, 200)
	e.must(together(17, func(i int) error {
		for n := range each {
			if i == 0 {
				row, err := e.s.Directory().GetAccount(e.ctx, a.ID())
				if err != nil {
					return err
				}
				row.QuotaMessages = int64(100_000 + n)
				if err := e.s.Directory().SetAccount(e.ctx, row); err != nil {
					return err
				}
				continue
			}
			if _, err := e.deliver(e.ctx, a, "x", inbox()); err != nil {
				return err
			}
		}
		return nil
	}))
	if u, err := a.Usage(e.ctx); err != nil || u.Messages != int64(16*each) || u.LimitMessages != int64(100_000+each-1) {
		e.t.Errorf("usage %+v, %v after %d messages", u, err, 16*each)
	}
	e.verify(a)
}

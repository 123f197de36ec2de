package queue

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// shelf is a queue in memory: the part of store.Queue that a Runner uses, with
// leases and fences. storetest holds the real ones to the same words.
type shelf struct {
	store.Queue
	mu      sync.Mutex
	rows    []*row
	fence   int64
	wake    chan struct{}
	notices []*store.Acceptance
	refuse  func(c store.Claim, o []store.Outcome) error // of Finish, before anything
	doubt   bool                                         // the next Finish happens and says that it does not know
	deaf    error                                        // of Claim, Extend and Finish
	claims  int
	finish  int
	extends int
}

// row is one recipient.
type row struct {
	message  store.QueueMessage
	rcpt     store.QueueRecipient
	due      time.Time
	owner    string
	fence    int64
	gone     bool
	untried  int
	attempts []time.Time // when outcomes were stored
}

func newShelf() *shelf { return &shelf{wake: make(chan struct{}, 1)} }

// add queues a message for addresses.
func (s *shelf) add(change func(m *store.QueueMessage, r *store.QueueRecipient), to ...string) ident.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	m := store.QueueMessage{ID: ident.ID{byte(len(s.rows) >> 8), byte(len(s.rows)), 1}, Sender: mail.Address{Local: "eva", Domain: "sender.test"},
		Accepted: now, Expires: now.Add(5 * 24 * time.Hour)}
	for _, text := range to {
		a, err := mail.ParseAddress(text)
		if err != nil {
			panic(err)
		}
		r := store.QueueRecipient{ID: int64(len(s.rows) + 1), Address: a, NextTry: now}
		if change != nil {
			change(&m, &r)
		}
		s.rows = append(s.rows, &row{message: m, rcpt: r, due: r.NextTry})
	}
	s.hint()
	return m.ID
}

func (s *shelf) hint() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shelf) Claim(_ context.Context, owner string, _ bool, limit int, lease time.Duration) ([]store.Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims++
	if s.deaf != nil {
		return nil, s.deaf
	}
	now := time.Now()
	var due []*row
	for _, r := range s.rows {
		if !r.gone && r.rcpt.State == store.Queued && !r.due.After(now) {
			due = append(due, r)
		}
	}
	slices.SortStableFunc(due, func(a, b *row) int { return a.due.Compare(b.due) })
	s.fence++
	var out []store.Claim
	at := map[ident.ID]int{}
	for _, r := range due {
		i, ok := at[r.message.ID]
		if !ok {
			if len(out) == limit {
				continue
			}
			i, at[r.message.ID] = len(out), len(out)
			out = append(out, store.Claim{Message: r.message, Fence: s.fence, Until: now.Add(lease)})
		}
		r.owner, r.fence, r.due = owner, s.fence, now.Add(lease)
		out[i].Message.Recipients = append(out[i].Message.Recipients, r.rcpt)
	}
	return out, nil
}

// claimed returns the rows of recipients if the claim holds.
func (s *shelf) claimed(c store.Claim, id int64) (*row, error) {
	if i := int(id) - 1; i >= 0 && i < len(s.rows) {
		if r := s.rows[i]; !r.gone && r.fence == c.Fence {
			return r, nil
		}
	}
	return nil, fmt.Errorf("recipient %d: %w", id, store.ErrConflict)
}

func (s *shelf) Finish(_ context.Context, c store.Claim, outcomes []store.Outcome, notice *store.Acceptance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish++
	if s.deaf != nil {
		return s.deaf
	}
	if s.refuse != nil {
		if err := s.refuse(c, outcomes); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		if _, err := s.claimed(c, o.Recipient); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		r, _ := s.claimed(c, o.Recipient)
		r.owner, r.fence, r.gone, r.due, r.rcpt.NextTry = "", 0, o.Done, o.NextTry, o.NextTry
		if o.Untried {
			r.untried++
			continue
		}
		r.attempts = append(r.attempts, time.Now())
		r.rcpt.Attempts++
		r.rcpt.LastError, r.rcpt.LastHost, r.rcpt.Route, r.rcpt.Asked = o.LastError, o.Host, o.Route, false
		r.rcpt.Notified = r.rcpt.Notified || o.Notified
	}
	if notice != nil {
		s.notices = append(s.notices, notice)
	}
	if s.doubt {
		s.doubt = false
		return store.ErrUnknownOutcome
	}
	return nil
}

func (s *shelf) Extend(_ context.Context, c store.Claim, lease time.Duration) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.extends++
	if s.deaf != nil {
		return time.Time{}, s.deaf
	}
	until, n := time.Now().Add(lease), 0
	for _, r := range s.rows {
		if !r.gone && r.fence == c.Fence && r.message.ID == c.Message.ID {
			r.due = until
			n++
		}
	}
	if n == 0 {
		return time.Time{}, store.ErrConflict
	}
	return until, nil
}

func (s *shelf) Abandon(_ context.Context, owner string) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.owner == owner && !r.gone {
			r.owner, r.fence, r.due = "", 0, r.rcpt.NextTry
			n++
		}
	}
	return n, nil
}

func (s *shelf) Wake(bool) <-chan struct{} { return s.wake }

func (s *shelf) NextDue(context.Context, bool) (due time.Time, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if !r.gone && r.rcpt.State == store.Queued && (!ok || r.due.Before(due)) {
			due, ok = r.due, true
		}
	}
	return due, ok, nil
}

// of returns the rows whose address ends so.
func (s *shelf) of(end string) (list []*row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if strings.HasSuffix(r.rcpt.Address.String(), end) {
			list = append(list, r)
		}
	}
	return list
}

func (s *shelf) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// deliverer is a Deliverer made of one function.
type deliverer func(ctx context.Context, j Job) ([]Result, error)

func (d deliverer) Deliver(ctx context.Context, j Job) ([]Result, error) { return d(ctx, j) }

// all makes the same result for every recipient of a job.
func all(j Job, r Result) []Result {
	var list []Result
	for _, rcpt := range j.Claim.Message.Recipients {
		r.Recipient = rcpt.ID
		list = append(list, r)
	}
	return list
}

func delivered(j Job) []Result {
	return all(j, Result{Fate: Delivered, Host: "mx." + j.To.Key, Reply: reply.New(250, reply.E(2, 0, 0), "ok")})
}

func busy(j Job) []Result {
	return all(j, Result{Fate: Deferred, Host: "mx." + j.To.Key, Reply: reply.New(450, reply.E(4, 2, 0), "busy")})
}

// byDomain routes by the recipient's domain.
func byDomain(_ *store.QueueMessage, r *store.QueueRecipient) route.Destination {
	return route.Destination{Key: r.Address.Domain, Domain: r.Address.Domain}
}

// teller is a Notices that notes what it was asked.
type teller struct {
	mu    sync.Mutex
	asked []Notice
	err   error
}

func (n *teller) Notice(_ context.Context, x Notice) (*store.Acceptance, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, x)
	if n.err != nil {
		return nil, n.err
	}
	return &store.Acceptance{Key: ident.ID{9, byte(len(n.asked))}, Body: noDraft{}}, nil
}

type noDraft struct{ store.Draft }

func (noDraft) Discard() {}

// words are the actions of the notices asked for, by recipient.
func (n *teller) words() (list []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.asked {
		for _, r := range x.Reports {
			list = append(list, fmt.Sprint(r.Recipient.Address, " ", [...]string{"failed", "delayed", "delivered", "relayed"}[r.Action]))
		}
	}
	return list
}

// world is a Runner on a shelf, in virtual time.
type world struct {
	t       *testing.T
	shelf   *shelf
	o       Options
	s       Settings
	log     *lockedBuffer
	mu      sync.Mutex
	endings []Ending
	changed chan struct{} // closed by the next change
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, d deliverer) *world {
	w := &world{t: t, changed: make(chan struct{}), shelf: newShelf(), s: setting.Defaults[Settings](setting.Recommended), log: &lockedBuffer{}}
	w.o = Options{Queue: w.shelf, Deliverer: d, Owner: "node", Route: byDomain, Settings: func() *Settings {
		w.mu.Lock()
		defer w.mu.Unlock()
		s := w.s
		return &s
	}, Changed: func() <-chan struct{} {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.changed
	}, Log: event.New(event.Handler(w.log, event.Options{})), Done: func(_ Job, list []Ending, _ ident.ID) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.endings = append(w.endings, list...)
	}}
	return w
}

// pause changes the setting, and says so.
func (w *world) pause(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.s.Paused = on
	close(w.changed)
	w.changed = make(chan struct{})
}

// start runs a Runner until the function returned is called, which waits for
// its end.
func (w *world) start() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	o := w.o
	go func() { defer close(ended); New(o).Run(ctx) }()
	return func() { cancel(); <-ended }
}

// rest lets time pass and everything settle.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// during runs a Runner for a while.
func (w *world) during(d time.Duration) {
	stop := w.start()
	time.Sleep(d)
	stop()
}

package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/testkit/pgtest"
)

var cluster pgtest.Cluster

func TestMain(m *testing.M) {
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping PostgreSQL:", err)
		code = 1
	}
	os.Exit(code)
}

// openNodes opens one PostgreSQL database several times, as nodes do.
func openNodes(t *testing.T, n int) (nodes []store.Store) {
	t.Helper()
	dsn := cluster.Database(t, func(dsn string) error {
		s, err := sqlstore.OpenPostgres(context.Background(), dsn, sqlstore.Options{})
		if err != nil {
			return err
		}
		return s.Close()
	})
	for range n {
		s, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		nodes = append(nodes, s)
	}
	return nodes
}

// acceptance is a message for the queue.
func acceptance(t *testing.T, s store.Store, ids *ident.Source, to ...string) *store.Acceptance {
	t.Helper()
	d, err := s.NewDraft(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	q := &store.QueueMessage{ID: ids.New(), Sender: mail.Address{Local: "eva", Domain: "sender.test"}, Size: 16, Accepted: now, Expires: now.Add(time.Hour)}
	for _, text := range to {
		a, err := mail.ParseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		q.Recipients = append(q.Recipients, store.QueueRecipient{Address: a, NextTry: now})
	}
	return &store.Acceptance{Key: q.ID, Time: now, Body: d, Queue: q}
}

func enqueue(t *testing.T, s store.Store, ids *ident.Source, to ...string) {
	t.Helper()
	a := acceptance(t, s, ids, to...)
	defer a.Body.Discard()
	if _, err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

// empty waits until nothing is left in the queue.
func empty(t *testing.T, s store.Store, want int64) {
	t.Helper()
	for range 600 {
		if n, _, err := s.Queue().Count(t.Context()); err != nil {
			t.Fatal(err)
		} else if n == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the queue does not become empty")
}

// tally counts deliveries by address.
type tally struct {
	mu sync.Mutex
	by map[string][]string
}

func (y *tally) deliverer(node string) deliverer {
	return func(_ context.Context, j Job) ([]Result, error) {
		y.mu.Lock()
		defer y.mu.Unlock()
		for _, r := range j.Claim.Message.Recipients {
			y.by[r.Address.String()] = append(y.by[r.Address.String()], node)
		}
		return all(j, Result{Fate: Delivered, Host: "mx", Reply: reply.New(250, reply.E(2, 0, 0), "ok")}), nil
	}
}

func TestTwoNodesOnOneQueueDeliverEachMessageOnce(t *testing.T) {
	t.Parallel()
	nodes, ids := openNodes(t, 2), ident.NewSource()
	const n = 400
	for i := range n {
		enqueue(t, nodes[i%2], ids, fmt.Sprintf("u%d@a%d.test", i, i%7), fmt.Sprintf("v%d@b%d.test", i, i%3))
	}
	// A node that died with claims in its hand: they fall due again.
	if claims, err := nodes[0].Queue().Claim(t.Context(), "dead", false, 20, 500*time.Millisecond); err != nil || len(claims) < 10 {
		t.Fatal(len(claims), err)
	}
	y := tally{by: map[string][]string{}}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i, s := range nodes {
		name := fmt.Sprint("node", i)
		r := New(Options{Queue: s.Queue(), Route: byDomain, Owner: name, Deliverer: y.deliverer(name)})
		wg.Go(func() { r.Run(ctx) })
	}
	empty(t, nodes[0], 0)
	stop()
	wg.Wait()
	share := map[string]int{}
	for to, by := range y.by {
		if len(by) != 1 {
			t.Errorf("%s got it from %v", to, by)
		}
		share[by[0]]++
	}
	if len(y.by) != 2*n || len(share) != 2 {
		t.Errorf("%d recipients were served, shares %v", len(y.by), share)
	}
}

// writer is a Notices that stores something.
type writer struct {
	t   *testing.T
	s   store.Store
	ids *ident.Source
}

func (w writer) Notice(context.Context, Notice) (*store.Acceptance, error) {
	a := acceptance(w.t, w.s, w.ids, "eva@sender.test")
	a.Queue.Sender = mail.Address{}
	a.Queue.Recipients[0].NextTry = time.Now().Add(time.Hour)
	return a, nil
}

// unsure loses the answer to some commits.
type unsure struct {
	store.Queue
	mu sync.Mutex
	n  int
}

func (u *unsure) Finish(ctx context.Context, c store.Claim, o []store.Outcome, a *store.Acceptance) error {
	err := u.Queue.Finish(ctx, c, o, a)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n++; err == nil && u.n%3 == 0 {
		return errors.Join(store.ErrUnknownOutcome, errors.New("connection lost"))
	}
	return err
}

// On both engines a failure makes one notice, even if the answer to the commit
// was lost.
func TestEachFailureIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) store.Store{
		"PostgreSQL": func(t *testing.T) store.Store { return openNodes(t, 1)[0] },
		"SQLite": func(t *testing.T) store.Store {
			s, err := sqlstore.OpenSQLite(t.Context(), t.TempDir(), sqlstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ids := open(t), ident.NewSource()
			const n = 60
			for i := range n {
				enqueue(t, s, ids, fmt.Sprintf("u%d@a.test", i))
			}
			settings := setting.Defaults[Settings](setting.Recommended)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			r := New(Options{Queue: &unsure{Queue: s.Queue()}, Route: byDomain, Owner: "node", Settings: func() *Settings { return &settings }, Notices: writer{t, s, ids},
				Deliverer: deliverer(func(_ context.Context, j Job) ([]Result, error) {
					return all(j, Result{Fate: Failed, Reply: reply.New(550, reply.E(5, 1, 1), "no")}), nil
				})})
			go func() { defer close(ended); r.Run(ctx) }()
			for range 600 {
				list, err := s.Queue().List(ctx, store.QueueFilter{Recipient: "a.test"})
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			stop()
			<-ended
			if messages, _, err := s.Queue().Count(t.Context()); err != nil || messages != n {
				t.Errorf("%d notices of %d failures, %v", messages, n, err)
			}
		})
	}
}

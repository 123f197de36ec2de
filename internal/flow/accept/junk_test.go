package accept

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// two is mail for two accounts.
func two(t *testing.T) (*Envelope, *Content) {
	return message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}},
		Recipient{Address: addr(t, "c@example.test"), Accounts: []store.AccountID{8}})
}

func TestJunkOfTheRulesIsFiledInJunkByBothWays(t *testing.T) {
	t.Parallel()
	e, c := two(t)
	c.Effects = policy.Effects{Junk: "the policy of remote.example", Sift: true}
	a := run(t, e, c)
	if len(a.Filings) != 1 || a.Filings[0].Role != store.RoleJunk || a.Queue.Junk != "the policy of remote.example" || !a.Queue.Sift || a.Queue.Quarantine != "" {
		t.Errorf("%+v %+v", a.Filings, a.Queue)
	}
	if c.Junk() != "the policy of remote.example" {
		t.Error(c.Junk())
	}
}

func TestOpinionOfAnAccountConcernsItsCopyAlone(t *testing.T) {
	t.Parallel()
	e, c := two(t)
	c.Effects = policy.Effects{Copy: policy.Copy{Field: "X-Posthorn-Junk: yes 0.97 (from 0.9)\r\n", Junk: true, Why: "0.97"}, Sift: true}
	a := run(t, e, c)
	f := a.Filings[0]
	const head = "Return-Path: <a@remote.example>\r\nDelivered-To: b@example.test\r\nX-Posthorn-Junk: yes 0.97 (from 0.9)\r\nReceived: from x; y\r\n"
	if f.Role != store.RoleJunk || string(f.Head) != head || c.Junk() != "0.97" {
		t.Errorf("%v %q", f.Role, f.Head)
	}
	var s mime.Structure
	if err := s.UnmarshalBinary(f.Meta); err != nil || s.Size != int64(len(head)+len(text)) {
		t.Errorf("structure of %d octets, %v", s.Size, err)
	}
	if a.Queue.Junk != "" || strings.Contains(string(a.Queue.Head), "X-Posthorn-Junk") {
		t.Errorf("the other's copy: %+v", a.Queue)
	}
}

func TestQuarantineFilesNothing(t *testing.T) {
	t.Parallel()
	e, c := two(t)
	c.Effects = policy.Effects{Quarantine: "a virus, maybe"}
	a := run(t, e, c)
	if a.Account != 0 || len(a.Filings) != 0 || a.Queue == nil || a.Queue.Quarantine != "a virus, maybe" || len(a.Queue.Recipients) != 2 {
		t.Fatalf("%+v", a)
	}
	for _, r := range a.Queue.Recipients {
		if r.State != store.Quarantined {
			t.Errorf("%+v", r)
		}
	}
}

func TestAtOnceIsWhatAcceptFiles(t *testing.T) {
	t.Parallel()
	local := func(to string, id ...store.AccountID) Recipient { return Recipient{Address: addr(t, to), Accounts: id} }
	reported := local("b@example.test", 7)
	reported.Notify = store.NotifySuccess
	for i, c := range []struct {
		to    []Recipient
		first store.AccountID
		later bool
	}{
		{[]Recipient{local("b@example.test", 7)}, 7, false},
		{[]Recipient{local("b@example.test", 7), local("c@example.test", 8)}, 7, true},
		{[]Recipient{local("b@example.test", 7), local("b+x@example.test", 7)}, 7, false},
		{[]Recipient{reported}, 0, true},
		{[]Recipient{reported, local("c@example.test", 8)}, 8, true},
		{[]Recipient{{Address: addr(t, "x@far.test"), Remote: []mail.Address{addr(t, "x@far.test")}}}, 0, false},
	} {
		e, content := message(t, c.to...)
		account, later := e.AtOnce()
		if account != c.first || later != c.later {
			t.Errorf("%d: %d %v", i, account, later)
		}
		if a := run(t, e, content); a.Account != account {
			t.Errorf("%d: filed for %d", i, a.Account)
		}
	}
}

// held is a queue with messages in quarantine.
type held struct {
	store.Queue
	mu      sync.Mutex
	list    []store.QueueEntry
	removed int
}

// now is how many are left, and how many removals were told of.
func (h *held) now() (left, removed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.list), h.removed
}

func (h *held) told(store.QueueEntry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removed++
}

func (h *held) List(_ context.Context, f store.QueueFilter) (page []store.QueueEntry, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.list {
		if string(e.ID[:]) > string(f.After[:]) && len(page) < f.Limit && *f.State == store.Quarantined {
			page = append(page, e)
		}
	}
	return page, nil
}

func (h *held) Remove(_ context.Context, f store.QueueFilter) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, e := range h.list {
		if e.ID == f.ID && *f.State == store.Quarantined {
			h.list = append(h.list[:i:i], h.list[i+1:]...)
			return 1, nil
		}
	}
	return 0, store.ErrNotFound
}

func TestQuarantineEndsInSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, idents := &held{}, ident.NewSource()
		for i := range 250 {
			h.list = append(h.list, store.QueueEntry{QueueMessage: store.QueueMessage{ID: idents.New(), Accepted: time.Now().Add(-time.Duration(i%2) * 20 * 24 * time.Hour)}})
		}
		q := &Quarantine{Queue: h, Settings: func() *QuarantineSettings { return &QuarantineSettings{Keep: 30 * 24 * time.Hour} }, Removed: h.told}
		ctx, cancel := context.WithCancel(t.Context())
		go q.Run(ctx)
		time.Sleep(9 * 24 * time.Hour)
		synctest.Wait()
		if left, _ := h.now(); left != 250 {
			t.Errorf("%d are left too early", left)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if left, removed := h.now(); left != 125 || removed != 125 {
			t.Errorf("%d are left, %d told of", left, removed)
		}
		time.Sleep(20 * 24 * time.Hour)
		synctest.Wait()
		if left, _ := h.now(); left != 0 {
			t.Errorf("%d are left", left)
		}
		cancel()
		synctest.Wait()
	})
}

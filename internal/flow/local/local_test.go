package local_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/local"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/wire/mime"
)

// house is a real store with two accounts, a and b.
type house struct {
	t      *testing.T
	store  store.Store
	filter local.Filter
	a, b   store.AccountID
	idents *ident.Source
	done   []queue.Ending
}

func newHouse(t *testing.T) *house {
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
	h := &house{t: t, store: s, idents: ident.NewSource()}
	if err := s.Directory().PutDomain(t.Context(), store.AnyVersion, store.DomainRow{Name: "ours.test"}); err != nil {
		t.Fatal(err)
	}
	h.a, h.b = h.account("a", 0), h.account("b", 0)
	return h
}

func (h *house) account(name string, quota int64) store.AccountID {
	h.t.Helper()
	id, err := h.store.Directory().AddAccount(h.t.Context(), store.AccountRow{
		Addresses: []mail.Address{{Local: name, Domain: "ours.test"}}, QuotaBytes: quota, Created: time.Now()})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

const content = "Subject: news\r\n\r\nHello.\r\n"

// enqueue accepts a message with rows for the accounts.
func (h *house) enqueue(to ...store.AccountID) ident.ID {
	h.t.Helper()
	d, err := h.store.NewDraft(h.t.Context(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer d.Discard()
	if _, err := d.Write([]byte(content)); err != nil {
		h.t.Fatal(err)
	}
	head := "Received: from x\r\n by y; now\r\n"
	structure := mime.Parse([]byte(content))
	structure.Shift(int64(len(head)))
	meta, err := structure.AppendBinary(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	q := &store.QueueMessage{ID: h.idents.New(), Sender: mail.Address{Local: "s", Domain: "far.test"}, Head: []byte(head), Meta: meta,
		Size: int64(len(head) + len(content)), Accepted: time.Now(), Expires: time.Now().Add(5 * 24 * time.Hour)}
	for i, id := range to {
		q.Recipients = append(q.Recipients, store.QueueRecipient{Address: mail.Address{Local: fmt.Sprintf("r%d", i), Domain: "ours.test"}, Local: id, NextTry: time.Now()})
	}
	if _, err := h.store.Accept(h.t.Context(), &store.Acceptance{Key: q.ID, Time: time.Now(), Body: d, Queue: q}); err != nil {
		h.t.Fatal(err)
	}
	return q.ID
}

// run delivers for as long as given.
func (h *house) run(during time.Duration) {
	h.deliver(&local.Deliverer{Accounts: h.store.Directory(), Usage: usage{h.store}, Filter: h.filter}, during)
}

// deliver is run with a deliverer of the caller's.
func (h *house) deliver(d queue.Deliverer, during time.Duration) {
	ctx, cancel := context.WithTimeout(h.t.Context(), during)
	defer cancel()
	queue.New(queue.Options{Queue: h.store.Queue(), Local: true, Owner: "node", Deliverer: d,
		Workers: 1, Done: func(_ queue.Job, list []queue.Ending, _ ident.ID) { h.done = append(h.done, list...) }}).Run(ctx)
}

type usage struct{ store.Store }

func (u usage) Usage(ctx context.Context, id store.AccountID) (store.Usage, error) {
	return u.Account(id).Usage(ctx)
}

// inbox returns the texts in an account's INBOX.
func (h *house) inbox(id store.AccountID) []string {
	h.t.Helper()
	box, err := h.store.Account(id).FindMailbox(h.t.Context(), "INBOX")
	if err != nil {
		h.t.Fatal(err)
	}
	index, err := h.store.Account(id).Index(h.t.Context(), box.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	var texts []string
	for _, e := range index.Entries {
		body, err := h.store.Account(id).OpenBody(h.t.Context(), e.Message)
		if err != nil {
			h.t.Fatal(err)
		}
		raw := make([]byte, body.Size())
		if _, err := body.ReadAt(raw, 0); err != nil {
			h.t.Fatal(err)
		}
		if err := body.Close(); err != nil {
			h.t.Error(err)
		}
		texts = append(texts, string(raw))
	}
	return texts
}

func (h *house) waiting() int64 {
	h.t.Helper()
	_, n, err := h.store.Queue().Count(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestQueuedMailIsFiledOnceForEachAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.enqueue(h.a, h.b, h.a)
		h.run(time.Second)
		for _, id := range []store.AccountID{h.a, h.b} {
			got := h.inbox(id)
			if len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <s@far.test>\r\nDelivered-To: r") || !strings.HasSuffix(got[0], "now\r\n"+content) {
				t.Errorf("account %d has %q", id, got)
			}
		}
		if n := h.waiting(); n != 0 {
			t.Errorf("%d recipients still wait", n)
		}
		if len(h.done) != 3 {
			t.Errorf("told of %d outcomes", len(h.done))
		}
	})
}

func TestMailForAFullMailboxWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		small := h.account("small", 10)
		id := h.enqueue(small, h.b)
		h.run(time.Second)
		if len(h.inbox(small)) != 0 || len(h.inbox(h.b)) != 1 || h.waiting() != 1 {
			t.Fatalf("small has %d, b has %d, %d wait", len(h.inbox(small)), len(h.inbox(h.b)), h.waiting())
		}
		e, err := h.store.Queue().Get(t.Context(), id)
		if err != nil || !strings.Contains(e.Recipients[0].LastError, "452 4.2.2 Mailbox of small@ours.test is full") || e.Recipients[0].Attempts != 1 {
			t.Fatalf("%+v, %v", e.Recipients, err)
		}
		a, err := h.store.Directory().GetAccount(t.Context(), small)
		if err != nil {
			t.Fatal(err)
		}
		a.QuotaBytes = 0
		if err := h.store.Directory().SetAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		h.run(6 * time.Minute)
		if len(h.inbox(small)) != 1 || len(h.inbox(h.b)) != 1 || h.waiting() != 0 {
			t.Errorf("later: small has %d, b has %d, %d wait", len(h.inbox(small)), len(h.inbox(h.b)), h.waiting())
		}
	})
}

func TestMailForADisabledAccountWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a, err := h.store.Directory().GetAccount(t.Context(), h.a)
		if err != nil {
			t.Fatal(err)
		}
		a.Disabled = true
		if err := h.store.Directory().SetAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		id := h.enqueue(h.a)
		h.run(time.Second)
		e, err := h.store.Queue().Get(t.Context(), id)
		if err != nil || !strings.HasPrefix(e.Recipients[0].LastError, "450 4.2.1 Account a@ours.test is disabled") {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestMailForARemovedAccountFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.enqueue(h.a, h.b)
		if err := h.store.Directory().RemoveAccount(t.Context(), h.a); err != nil {
			t.Fatal(err)
		}
		h.run(time.Second)
		if len(h.done) != 2 || h.done[0].Result.Fate != queue.Failed || !strings.HasPrefix(h.done[0].Result.Reply.String(), "550 5.1.1 ") || h.done[1].Result.Fate != queue.Delivered {
			t.Errorf("%+v", h.done)
		}
		if n := h.waiting(); n != 0 {
			t.Errorf("%d recipients still wait", n)
		}
	})
}

// A process that was killed with claims in hand finds them again at its start,
// not when the lease has run out.
func TestClaimsOfAKilledProcessAreDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.enqueue(h.a)
		claims, err := h.store.Queue().Claim(t.Context(), "node", true, 10, time.Hour)
		if err != nil || len(claims) != 1 {
			t.Fatalf("%d claims, %v", len(claims), err)
		}
		h.run(time.Second)
		if len(h.inbox(h.a)) != 1 {
			t.Error("the message was not delivered")
		}
		if err := h.store.Queue().Finish(t.Context(), claims[0], []store.Outcome{{Recipient: claims[0].Message.Recipients[0].ID, Done: true}}, nil); err == nil {
			t.Error("the lost claim could still be finished")
		}
	})
}

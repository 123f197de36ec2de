package local_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// taste takes everything of one account for junk, after it has read it.
type taste struct {
	t     *testing.T
	dirty store.AccountID
	asked int
}

func (f *taste) Copy(_ context.Context, account store.AccountID, m *policy.Message) policy.Copy {
	f.asked++
	span := m.Structure.Parts[0].Body
	b := make([]byte, span.Len())
	if _, err := m.Body.ReadAt(b, span.Start); err != nil && err != io.EOF || string(b) != "Hello.\r\n" || m.Structure.Size != m.Size {
		f.t.Errorf("%q %v, %d octets", b, err, m.Size)
	}
	return policy.Copy{Field: fmt.Sprintf("X-Posthorn-Junk: %v\r\n", account == f.dirty), Junk: account == f.dirty, Why: "taste"}
}

// send queues a message for both accounts.
func (h *house) send(change func(*store.QueueMessage)) {
	h.t.Helper()
	d, err := h.store.NewDraft(h.t.Context(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer d.Discard()
	if _, err := io.WriteString(d, content); err != nil {
		h.t.Fatal(err)
	}
	head := "Received: x\r\n"
	s := mime.Parse([]byte(content))
	s.Shift(int64(len(head)))
	meta, err := s.AppendBinary(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now()
	m := &store.QueueMessage{ID: h.idents.New(), Head: []byte(head), Meta: meta, Size: s.Size, Accepted: now, Expires: now.Add(time.Hour)}
	for _, id := range []store.AccountID{h.a, h.b} {
		m.Recipients = append(m.Recipients, store.QueueRecipient{Address: mail.Address{Local: "x", Domain: "ours.test"}, Local: id, NextTry: now})
	}
	change(m)
	if _, err := h.store.Accept(h.t.Context(), &store.Acceptance{Key: m.ID, Time: now, Body: d, Queue: m}); err != nil {
		h.t.Fatal(err)
	}
}

// in counts what lies in a mailbox of an account.
func (h *house) in(id store.AccountID, role store.Role) int {
	h.t.Helper()
	all, err := h.store.Account(id).Mailboxes(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(b store.Mailbox) bool { return b.Role == role })
	return all[i].Messages
}

func TestQueuedCopiesAreFiledInJunk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(*store.QueueMessage)
		a, b     store.Role
		asked    int
		why      string
		withoutF bool
	}{
		"by a rule":           {func(m *store.QueueMessage) { m.Junk = "the rule" }, store.RoleJunk, store.RoleJunk, 0, "the rule", false},
		"by one filter":       {func(m *store.QueueMessage) { m.Sift = true }, store.RoleInbox, store.RoleJunk, 2, "taste", false},
		"by rule and filters": {func(m *store.QueueMessage) { m.Junk, m.Sift = "the rule", true }, store.RoleJunk, store.RoleJunk, 2, "the rule", false},
		"nobody asks":         {func(*store.QueueMessage) {}, store.RoleInbox, store.RoleInbox, 0, "", false},
		"no filter":           {func(m *store.QueueMessage) { m.Sift = true }, store.RoleInbox, store.RoleInbox, 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				f := &taste{t: t, dirty: h.b}
				if !c.withoutF {
					h.filter = f
				}
				h.send(c.change)
				h.run(time.Second)
				if h.in(h.a, c.a) != 1 || h.in(h.b, c.b) != 1 || f.asked != c.asked || len(h.done) != 2 || h.done[0].Result.Why != c.why {
					t.Errorf("a has %d in %s, b %d in %s; %d asked; %+v", h.in(h.a, c.a), c.a.Name(), h.in(h.b, c.b), c.b.Name(), f.asked, h.done)
				}
				if strings.Contains(h.done[0].Result.Reply.String(), "Junk") {
					t.Error("the sender may be told that it is junk")
				}
			})
		})
	}
}

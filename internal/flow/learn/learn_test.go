package learn

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/junk"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/wire/mime"
)

// pupil writes down what it is taught, by the subject of the message.
type pupil struct {
	t    *testing.T
	mu   sync.Mutex
	said []string
}

func (p *pupil) Moved(m junk.Move) {
	p.mu.Lock()
	defer p.mu.Unlock()
	message, body, err := m.Open(p.t.Context())
	if err != nil {
		p.t.Error(err)
		return
	}
	text, err := io.ReadAll(io.NewSectionReader(message.Content, 0, message.Structure.Size))
	if err != nil || !strings.HasSuffix(string(text), "\r\n\r\nhello\r\n") || m.Key == "" {
		p.t.Errorf("%q %v", text, err)
	}
	if err := body.Close(); err != nil {
		p.t.Error(err)
	}
	p.said = append(p.said, fmt.Sprintf("%d %s %s", m.Account, message.Structure.Envelope().Subject, m.Class))
}

// home is one account whose owner is watched.
type home struct {
	*testing.T
	s     *Store
	p     *pupil
	a     store.Account
	boxes map[store.Role]store.MailboxID
}

func newHome(t *testing.T) *home {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Directory().PutDomain(t.Context(), store.AnyVersion, store.DomainRow{Name: "ours.test"}); err != nil {
		t.Fatal(err)
	}
	id, err := s.Directory().AddAccount(t.Context(), store.AccountRow{Addresses: []mail.Address{{Local: "a", Domain: "ours.test"}}, Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	h := &home{T: t, p: &pupil{t: t}, boxes: map[store.Role]store.MailboxID{}}
	h.s = New(s, h.p, func(err error) { t.Error(err) })
	t.Cleanup(func() {
		h.s.Stop(t.Context())
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h.a = h.s.Account(id)
	all, err := h.a.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		h.boxes[b.Role] = b.ID
	}
	return h
}

// append puts messages into a mailbox and returns their numbers.
func (h *home) append(to store.Role, keywords []string, subjects ...string) (uids []store.UIDRange) {
	h.Helper()
	var items []store.AppendItem
	for _, subject := range subjects {
		text := "Subject: " + subject + "\r\n\r\nhello\r\n"
		d, err := h.s.NewDraft(h.Context(), 0)
		if err != nil {
			h.Fatal(err)
		}
		defer d.Discard()
		if _, err := io.WriteString(d, text); err != nil {
			h.Fatal(err)
		}
		meta, err := mime.Parse([]byte(text)).AppendBinary(nil)
		if err != nil {
			h.Fatal(err)
		}
		items = append(items, store.AppendItem{Body: d, Keywords: keywords, Meta: meta, Internal: time.Now()})
	}
	filed, err := h.a.Append(h.Context(), h.boxes[to], items)
	if err != nil {
		h.Fatal(err)
	}
	for _, f := range filed {
		uids = append(uids, store.UIDRange{First: f.UID, Last: f.UID})
	}
	return uids
}

// taught is what was taught since the last call.
func (h *home) taught() []string {
	last := make(chan struct{})
	h.s.deeds <- deed{last: last}
	<-last
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	said := h.p.said
	h.p.said = nil
	return said
}

func (h *home) want(what string, want ...string) {
	h.Helper()
	got := h.taught()
	for i := range want {
		want[i] = fmt.Sprintf("%d %s", h.a.ID(), want[i])
	}
	if !slices.Equal(got, want) {
		h.Errorf("%s taught %q, want %q", what, got, want)
	}
}

func TestMovesIntoAndOutOfJunkTeach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to store.Role
		class    string
	}{
		{store.RoleInbox, store.RoleJunk, junk.Spam.String()},
		{store.RoleTrash, store.RoleJunk, junk.Spam.String()},
		{store.RoleJunk, store.RoleInbox, junk.Ham.String()},
		{store.RoleJunk, store.RoleArchive, junk.Ham.String()},
		{store.RoleJunk, store.RoleTrash, ""},
		{store.RoleInbox, store.RoleArchive, ""},
	} {
		h := newHome(t)
		uids := h.append(c.from, nil, "one", "two", "three")
		h.taught()
		var want []string
		if c.class != "" {
			want = []string{"one " + c.class, "three " + c.class}
		}
		what := fmt.Sprintf("from %s to %s", c.from.Name(), c.to.Name())
		pick := []store.UIDRange{uids[0], uids[2]}
		if _, err := h.a.Copy(t.Context(), h.boxes[c.from], pick, h.boxes[c.to]); err != nil {
			t.Fatal(err)
		}
		h.want("COPY "+what, slices.Clone(want)...)
		if _, err := h.a.Move(t.Context(), h.boxes[c.from], pick, h.boxes[c.to]); err != nil {
			t.Fatal(err)
		}
		h.want("MOVE "+what, want...)
	}
}

func TestMessagesPutIntoJunkTeach(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.append(store.RoleJunk, nil, "a", "b")
	h.want("APPEND", "a "+junk.Spam.String(), "b "+junk.Spam.String())
	h.append(store.RoleInbox, nil, "c")
	h.want("APPEND to INBOX")
	h.append(store.RoleInbox, []string{"$junk"}, "d")
	h.want("APPEND with a mark", "d "+junk.Spam.String())
}

func TestMarksTeach(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	uids := h.append(store.RoleInbox, nil, "a", "b")
	set := func(op store.FlagOp, uids []store.UIDRange, keywords ...string) {
		t.Helper()
		if _, err := h.a.SetFlags(t.Context(), h.boxes[store.RoleInbox], store.FlagUpdate{UIDs: uids, Op: op, Keywords: keywords}); err != nil {
			t.Fatal(err)
		}
	}
	set(store.FlagsAdd, uids, "$Junk")
	h.want("$Junk", "a "+junk.Spam.String(), "b "+junk.Spam.String())
	set(store.FlagsAdd, uids, "$Junk")
	h.want("the same again")
	set(store.FlagsRemove, uids, "$Junk")
	h.want("taking $Junk off")
	set(store.FlagsReplace, uids[:1], "$NotJunk", "x")
	h.want("$NotJunk", "a "+junk.Ham.String())
	set(store.FlagsReplace, uids[1:], "$NotJunk", "$Junk")
	h.want("both")
	set(store.FlagsAdd, uids, "x")
	h.want("another keyword")
}

// What the server files does not teach, and neither does what failed.
func TestOnlyOwnersTeach(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	d, err := h.s.NewDraft(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if _, err := io.WriteString(d, "Subject: x\r\n\r\nhello\r\n"); err != nil {
		t.Fatal(err)
	}
	key := [16]byte{1}
	if _, err := h.s.Accept(t.Context(), &store.Acceptance{Key: key, Time: time.Now(), Body: d, Account: h.a.ID(),
		Filings: []store.Filing{{Role: store.RoleJunk, Internal: time.Now()}}}); err != nil {
		t.Fatal(err)
	}
	h.want("filing")
	if _, err := h.a.Move(t.Context(), h.boxes[store.RoleJunk], []store.UIDRange{{First: 1, Last: 1}}, 9999); err == nil {
		t.Error("moved into nothing")
	}
	h.want("a failure")
	if got := spans([]store.UID{1, 2, 3, 7, 9, 10}); fmt.Sprint(got) != "[{1 3} {7 7} {9 10}]" {
		t.Error(got)
	}
}

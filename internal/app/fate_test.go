package app

import (
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// mailroom is a house with one account to which messages come.
type mailroom struct {
	*House
	t       *testing.T
	account store.AccountID
	box     store.Mailbox
	ids     *ident.Source
	uid     store.UID
}

func newMailroom(t *testing.T) *mailroom {
	t.Helper()
	h := newHouse(t, OpenOptions{})
	if err := h.Directory.AddDomain(t.Context(), store.DomainRow{Name: "ours.test"}); err != nil {
		t.Fatal(err)
	}
	row := store.AccountRow{Addresses: []mail.Address{{Local: "bob", Domain: "ours.test"}}}
	id, err := h.Directory.AddAccount(t.Context(), directory.NewAccount{AccountRow: row})
	if err != nil {
		t.Fatal(err)
	}
	box, err := h.Store.Account(id).FindMailbox(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	return &mailroom{h, t, id, box, ident.NewSource(), 0}
}

// comes takes a message in and returns its key; its UID is m.uid.
func (m *mailroom) comes() ident.ID {
	m.t.Helper()
	d, err := m.Store.NewDraft(m.t.Context(), 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer d.Discard()
	text := []byte("From: <eve@away.test>\r\n\r\nhello\r\n")
	if _, err := d.Write(text); err != nil {
		m.t.Fatal(err)
	}
	e := &accept.Envelope{Key: m.ids.New(), Time: time.Now(), Sender: mail.Address{Local: "eve", Domain: "away.test"}, Recipients: []accept.Recipient{
		{Address: mail.Address{Local: "info", Domain: "ours.test"}, Accounts: []store.AccountID{m.account}}}}
	door := accept.New(m.Store, accept.Options{Filed: m.filed, Lifetime: m.lifetime})
	if err := door.Accept(m.t.Context(), e, &accept.Content{Body: d, Structure: mime.Parse(text), Trace: []byte("Received: by test\r\n"), Host: "ours.test"}); err != nil {
		m.t.Fatal(err)
	}
	m.uid++
	return e.Key
}

// fate is what the record has of a message, in words.
func (m *mailroom) fate(id ident.ID) string {
	m.t.Helper()
	found, err := m.Records.Search(m.t.Context(), record.Query{ID: id})
	if err != nil || len(found) != 1 {
		m.t.Fatal(found, err)
	}
	var words []string
	for _, e := range found[0].Events {
		if e.Recipient != "info@ours.test" {
			m.t.Errorf("%+v", e)
		}
		words = append(words, strings.TrimSpace(e.Kind.String()+" "+e.Place+" "+e.By))
	}
	return strings.Join(words, ", ")
}

func TestTraceTellsWhatReadersDoByIMAP(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	boxes := mailbox.NewRegistry(m.Store, mailbox.Options{})
	defer boxes.Close()
	read, moved, kept := m.comes(), m.comes(), m.comes()
	_, release, err := boxes.Open(t.Context(), m.account, m.box.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	a := m.witnessed("IMAP", boxes).Account(m.account)
	one := func(uid store.UID) []store.UIDRange { return []store.UIDRange{{First: uid, Last: uid}} }
	seen := store.FlagUpdate{UIDs: []store.UIDRange{{First: 1, Last: 2}}, Op: store.FlagsAdd, Flags: store.FlagSeen}
	trash, err := a.FindMailbox(t.Context(), "Trash")
	for _, do := range []func() error{
		func() error { _, err := a.SetFlags(t.Context(), m.box.ID, seen); return err },
		func() error { _, err := a.SetFlags(t.Context(), m.box.ID, seen); return err }, // is so already
		func() error {
			_, err := a.SetFlags(t.Context(), m.box.ID, store.FlagUpdate{UIDs: one(3), Op: store.FlagsAdd, Flags: store.FlagFlagged})
			return err
		},
		func() error { _, err := a.Move(t.Context(), m.box.ID, one(2), trash.ID); return err },
		func() error { _, _, err := a.Expunge(t.Context(), m.box.ID, one(1), false); return err },
	} {
		if err == nil {
			err = do()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[ident.ID]string{
		read:  "filed INBOX, read INBOX bob@ours.test (IMAP), deleted INBOX bob@ours.test (IMAP)",
		moved: "filed INBOX, read INBOX bob@ours.test (IMAP), moved Trash bob@ours.test (IMAP)",
		kept:  "filed INBOX",
	} {
		if got := m.fate(id); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	// What is read after it was moved, and goes with its mailbox.
	_, release, err = boxes.Open(t.Context(), m.account, trash.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := a.DeleteMailbox(t.Context(), trash.ID); err != nil {
		t.Fatal(err)
	}
	if got := m.fate(moved); !strings.HasSuffix(got, "moved Trash bob@ours.test (IMAP), deleted Trash bob@ours.test (IMAP)") {
		t.Error(got)
	}
}

func TestTraceTellsWhatReadersDoByPOP3(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	fetched, retired, expunged := m.comes(), m.comes(), m.comes()
	a := m.witnessed("POP3", nil).Account(m.account)
	index, err := a.Index(t.Context(), m.box.ID)
	if err != nil || len(index.Entries) != 3 {
		t.Fatal(index, err)
	}
	for _, i := range []int{0, 2, 1} {
		a.(*reader).Fetched(index.Entries[i].Message)
	}
	a.(*reader).Fetched(0)
	if _, err := a.Retire(t.Context(), m.box.ID, []store.UIDRange{{First: 2, Last: 2}}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Expunge(t.Context(), m.box.ID, []store.UIDRange{{First: 3, Last: 3}}, false); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[ident.ID]string{
		fetched:  "filed INBOX, read INBOX bob@ours.test (POP3)",
		retired:  "filed INBOX, read INBOX bob@ours.test (POP3), deleted INBOX bob@ours.test (POP3)",
		expunged: "filed INBOX, read INBOX bob@ours.test (POP3), deleted INBOX bob@ours.test (POP3)",
	} {
		if got := m.fate(id); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestTraceFollowsMailThatIsForwarded(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	id, as := m.comes(), m.ids.New()
	info := mail.Address{Local: "info", Domain: "ours.test"}
	j := queue.Job{To: route.Ours()}
	j.Claim.Message.ID = id
	sent := queue.Result{Fate: queue.Delivered, As: as, Onward: []mail.Address{{Local: "a", Domain: "far.test"}, {Local: "b", Domain: "far.test"}}}
	m.settled(j, []queue.Ending{{Recipient: store.QueueRecipient{Address: info}, Result: sent}}, ident.ID{})
	if got := m.fate(as); got != "filed INBOX, forwarded a@far.test, forwarded b@far.test" {
		t.Error(got)
	}
}

// Of the members of a group each has a fate of their own.
func TestTraceKeepsTheCopiesOfAGroupApart(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	id := m.comes()
	row := store.QueueRecipient{Address: mail.Address{Local: "info", Domain: "ours.test"}, Local: 77}
	full := queue.Result{Fate: queue.Deferred, Reply: reply.New(452, reply.E(4, 2, 2), "Mailbox full")}
	j := queue.Job{}
	j.Claim.Message.ID = id
	m.settled(j, []queue.Ending{{Recipient: row, Result: full}}, ident.ID{})
	found, err := m.Records.Search(t.Context(), record.Query{ID: id})
	if err != nil || len(found) != 1 || len(found[0].Events) != 2 || found[0].Events[0].Account == 0 || found[0].Events[1].Account != 77 {
		t.Fatal(found, err)
	}
}

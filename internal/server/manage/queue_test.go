package manage

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/seal"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// office is a Service on a real store.
type office struct {
	*Service
	t   *testing.T
	ids *ident.Source
}

func newOffice(t *testing.T) *office {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlstore.OpenSQLite(t.Context(), dir, sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	records, err := record.Open(record.Options{Path: filepath.Join(dir, "records.db"),
		Settings: func() record.Settings { return setting.Defaults[record.Settings](setting.Recommended) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(records.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	settings := setting.Defaults[directory.Settings](setting.Recommended)
	d := directory.New(s.Directory(), directory.Options{Settings: func() *directory.Settings { return &settings }, HostName: func() string { return "mail.example.org" }})
	registry := setting.NewRegistry()
	setting.Register[route.RelaySettings](registry, "relay")
	box, err := seal.OpenOrCreate(filepath.Join(t.TempDir(), "key"), true)
	if err != nil {
		t.Fatal(err)
	}
	book, err := setting.Open(t.Context(), registry, s.Settings(), box, setting.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &office{New(Options{Store: s, Records: records, Directory: d, Settings: book}), t, ident.NewSource()}
}

// queued puts a message for addresses elsewhere into the queue.
func (o *office) queued(change func(m *store.QueueMessage), to ...string) ident.ID {
	o.t.Helper()
	d, err := o.o.Store.NewDraft(o.t.Context(), 0)
	if err != nil {
		o.t.Fatal(err)
	}
	defer d.Discard()
	if _, err := d.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		o.t.Fatal(err)
	}
	now := time.Now()
	m := &store.QueueMessage{ID: o.ids.New(), Sender: mail.Address{Local: "eva", Domain: "sender.test"}, Size: 17, Accepted: now, Expires: now.Add(time.Hour)}
	for _, text := range to {
		a, err := mail.ParseAddress(text)
		if err != nil {
			o.t.Fatal(err)
		}
		m.Recipients = append(m.Recipients, store.QueueRecipient{Address: a, NextTry: now.Add(time.Hour)})
	}
	if change != nil {
		change(m)
	}
	if _, err := o.o.Store.Accept(o.t.Context(), &store.Acceptance{Key: m.ID, Time: now, Body: d, Queue: m}); err != nil {
		o.t.Fatal(err)
	}
	return m.ID
}

// do runs an operation as its doors do.
func do[O any](o *office, id string, in any) (O, error) {
	return Invoke[O](o.t.Context(), o.Service, id, in)
}

// count runs one that acts and wants it to touch so many recipients.
func (o *office) count(id string, in any, want int) {
	o.t.Helper()
	n, err := do[Count](o, id, in)
	if err != nil || n.Count != want {
		o.t.Errorf("%s %+v: %d, %v; want %d", id, in, n.Count, err, want)
	}
}

// waiting lists "address state" of what is selected.
func (o *office) waiting(sel QueueSelection) (list []string) {
	o.t.Helper()
	p, err := do[QueuePage](o, "queue-list", QueueListInput{QueueSelection: sel})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, m := range p.Items {
		for _, r := range m.Recipients {
			list = append(list, r.Address+" "+r.State)
		}
	}
	return list
}

func TestTheQueueShowsTheWholeEnvelope(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.queued(func(m *store.QueueMessage) {
		m.Client, m.Return, m.EnvelopeID, m.EightBit, m.SMTPUTF8, m.RequireTLS = "192.0.2.7", "HDRS", "QQ", true, true, true
		r := &m.Recipients[0]
		r.Original, r.Notify, r.Attempts, r.LastError = "rfc822;bob@x.test", store.NotifySuccess|store.NotifyDelay, 3, "450 busy"
		r.Route, r.LastHost, r.LastTry, r.Notified = "relay smart.test:25", "smart.test [192.0.2.9]", m.Accepted, true
	}, "a@far.test")
	m, err := do[QueueItem](o, "queue-show", QueueShowInput{ID: id.String()})
	if err != nil {
		t.Fatal(err)
	}
	if m.Client != "192.0.2.7" || m.Return != "HDRS" || m.EnvelopeID != "QQ" || m.Body != "8BITMIME" || !m.SMTPUTF8 || !m.RequireTLS {
		t.Errorf("%+v", m)
	}
	r := m.Recipients[0]
	if r.Original != "rfc822;bob@x.test" || !slices.Equal(r.Notify, []string{"SUCCESS", "DELAY"}) || r.Attempts != 3 || r.Route != "relay smart.test:25" ||
		r.LastHost != "smart.test [192.0.2.9]" || r.LastTry.IsZero() || !r.Notified || r.LastError != "450 busy" {
		t.Errorf("%+v", r)
	}
}

func TestTheQueueSaysWhichNodeHasClaimedWhat(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.queued(func(m *store.QueueMessage) { m.Recipients[0].NextTry = m.Accepted }, "a@far.test", "b@far.test")
	if _, err := o.o.Store.Queue().Claim(t.Context(), "node1/remote", false, 10, time.Minute); err != nil {
		t.Fatal(err)
	}
	m, err := do[QueueItem](o, "queue-show", QueueShowInput{ID: id.String()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := do[QueuePage](o, "queue-list", QueueListInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range append(p.Items, m) {
		if len(m.Recipients) != 2 || m.Recipients[0].ClaimedBy != "node1" || m.Recipients[1].ClaimedBy != "" {
			t.Errorf("%+v", m.Recipients)
		}
	}
}

func TestOneRecipientIsHeldRedirectedAndRemoved(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.queued(nil, "a@far.test", "b@far.test", "c@other.test")
	o.count("queue-hold", QueueInput{ID: id.String(), Recipient: "b@far.test", Author: "eva"}, 1)
	o.count("queue-retry", QueueInput{ID: id.String(), Recipient: "far.test"}, 2)
	redirect := QueueRedirectInput{ID: id.String(), Recipient: "c@other.test"}
	redirect.Body.To = "d@third.test"
	o.count("queue-redirect", redirect, 1)
	if got := o.waiting(QueueSelection{}); !slices.Equal(got, []string{"a@far.test queued", "b@far.test held", "d@third.test queued"}) {
		t.Errorf("%q", got)
	}
	o.count("queue-remove", QueueInput{ID: id.String(), Recipient: "d@third.test"}, 1)
	if _, err := do[Count](o, "queue-remove", QueueInput{ID: id.String(), Recipient: "nobody@far.test"}); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "does not wait for nobody@far.test") {
		t.Errorf("nobody: %v", err)
	}
	b, err := o.o.Records.Search(t.Context(), record.Query{ID: id})
	if err != nil || len(b) != 1 {
		t.Fatal(len(b), err)
	}
	var got []string
	for _, e := range b[0].Events {
		got = append(got, e.Kind.String()+" "+e.Recipient+" "+e.Place+" "+e.By)
	}
	want := []string{"held b@far.test  eva", "redirected c@other.test d@third.test ", "removed d@third.test  "}
	if !slices.Equal(got, want) {
		t.Errorf("traces %q, want %q", got, want)
	}
}

func TestManyMessagesAreActedOnAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 3 {
		o.queued(nil, "a@far.test", "b@other.test")
	}
	gone := o.queued(func(m *store.QueueMessage) { m.Recipients[0].Route = "relay smart.test:25" }, "c@far.test")
	many := func(sel QueueSelection) QueueManyInput { return QueueManyInput{QueueSelection: sel, Author: "eva"} }
	o.count("queue-hold-many", many(QueueSelection{Recipient: "far.test"}), 4)
	o.count("queue-release-many", many(QueueSelection{State: "held", Recipient: "a@far.test"}), 3)
	o.count("queue-retry-many", many(QueueSelection{Destination: "relay smart.test:25"}), 1)
	o.count("queue-retry-many", many(QueueSelection{Destination: "elsewhere.test"}), 0)
	_, err := do[Count](o, "queue-remove-many", QueuePurgeInput{QueueManyInput: many(QueueSelection{Sender: "sender.test"})})
	if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "7 recipients of 4 messages") {
		t.Errorf("removal without confirmation: %v", err)
	}
	o.count("queue-remove-many", QueuePurgeInput{QueueManyInput: many(QueueSelection{State: "held"}), Confirm: true}, 1)
	if _, err := o.o.Store.Queue().Get(t.Context(), gone); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if got := o.waiting(QueueSelection{}); len(got) != 6 {
		t.Errorf("%q", got)
	}
}

func TestActingOnEverythingByMistakeIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.queued(nil, "a@far.test")
	for _, id := range []string{"queue-retry-many", "queue-hold-many", "queue-release-many"} {
		if _, err := do[Count](o, id, QueueManyInput{}); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "nothing is selected") {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := do[Count](o, "queue-remove-many", QueuePurgeInput{Confirm: true}); !errors.Is(err, ErrInput) {
		t.Errorf("removal of everything: %v", err)
	}
	if _, err := do[Count](o, "queue-hold-many", QueueManyInput{QueueSelection: QueueSelection{State: "lost"}}); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "queued or held") {
		t.Errorf("a state that does not exist: %v", err)
	}
	if got := o.waiting(QueueSelection{}); !slices.Equal(got, []string{"a@far.test queued"}) {
		t.Errorf("%q", got)
	}
}

func TestTheListIsPaged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 5 {
		o.queued(nil, "a@far.test")
	}
	seen, after := 0, ""
	for range 10 {
		p, err := do[QueuePage](o, "queue-list", QueueListInput{Paging: Paging{After: after, Limit: 2}})
		if err != nil {
			t.Fatal(err)
		}
		seen += len(p.Items)
		if after = p.Next; after == "" {
			break
		}
	}
	if seen != 5 || after != "" {
		t.Errorf("%d messages in pages", seen)
	}
}

package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// openTest opens a SQLite store in a fresh folder.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	return reopen(t, t.TempDir(), o)
}

func reopen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := openSQLite(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return s
}

// addAccount makes an account of its own domain.
func addAccount(t testing.TB, s *Store, name string) store.AccountID {
	t.Helper()
	ctx := context.Background()
	if err := s.Directory().PutDomain(ctx, store.AnyVersion, store.DomainRow{Name: "example.test"}); err != nil {
		t.Fatal(err)
	}
	addr := mail.Address{Local: name, Domain: "example.test"}
	id, err := s.Directory().AddAccount(ctx, store.AccountRow{Addresses: []mail.Address{addr}, FullName: name})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

var ids = ident.NewSource()

// acceptance is a message for the account's inbox.
func acceptance(t testing.TB, s *Store, id store.AccountID, body []byte) *store.Acceptance {
	t.Helper()
	d, err := s.NewDraft(context.Background(), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(body); err != nil {
		t.Fatal(err)
	}
	return &store.Acceptance{Key: ids.New(), Time: time.Now(), Body: d, Account: id,
		Filings: []store.Filing{{Role: store.RoleInbox, Head: []byte("Return-Path: <>\r\n"), Meta: []byte("meta"), Internal: time.Now()}}}
}

func deliver(t testing.TB, s *Store, id store.AccountID, body []byte) store.Filed {
	t.Helper()
	a := acceptance(t, s, id, body)
	defer a.Body.Discard()
	got, err := s.Accept(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	return got.Filed[0]
}

func content_(t testing.TB, s *Store, id store.AccountID, m store.MessageID) string {
	t.Helper()
	b, err := s.Account(id).OpenBody(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDeliveredMessagesAreReadBackAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, dir, Options{SegmentSize: 1 << 20})
	id := addAccount(t, s, "alice")
	want := map[store.MessageID]string{}
	for i, n := range []int{0, 1, 2000, 3990, 5000, 20_000, 70_000, 300_000, 1_500_000} {
		body := bytes.Repeat([]byte{byte('a' + i)}, n)
		want[deliver(t, s, id, body).Message] = "Return-Path: <>\r\n" + string(body)
	}
	check := func(s *Store) {
		for m, text := range want {
			if got := content_(t, s, id, m); got != text {
				t.Errorf("message %d: %d octets, want %d", m, len(got), len(text))
			}
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(reopen(t, dir, Options{SegmentSize: 1 << 20}))
}

func TestManyDeliverersShareCommits(t *testing.T) {
	s := openTest(t, Options{})
	id := addAccount(t, s, "alice")
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				deliver(t, s, id, []byte("hello"))
			}
		})
	}
	wg.Wait()
	box, err := s.Account(id).FindMailbox(context.Background(), "inbox")
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Account(id).Index(context.Background(), box.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range x.Entries {
		if e.UID != store.UID(i+1) {
			t.Fatalf("entry %d has UID %d", i, e.UID)
		}
	}
	if len(x.Entries) != 640 || x.Mailbox.Messages != 640 {
		t.Errorf("%d entries, %d counted", len(x.Entries), x.Mailbox.Messages)
	}
	if st := s.Stats(); st.Commits >= st.Writes {
		t.Errorf("no commit was shared: %+v", st)
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	reopen(t, dir, Options{})
	_, err := OpenSQLite(context.Background(), dir, Options{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another posthorn (process %d) has the data in %s open; stop it first", os.Getpid(), dir)) {
		t.Fatal(err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, dir, Options{})
	e := s.engine.(*sqliteEngine)
	if err := e.writer.x.script("PRAGMA user_version=9999"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := OpenSQLite(context.Background(), dir, Options{})
	if err == nil || !strings.Contains(err.Error(), "newer posthorn") {
		t.Fatal(err)
	}
}

func TestNothingIsAcknowledgedAfterAFailedSync(t *testing.T) {
	broken := false
	o := Options{beforeCommit: func() error {
		if broken {
			return fmt.Errorf("sync: %w", store.ErrReadOnly)
		}
		return nil
	}}
	s := openTest(t, o)
	id := addAccount(t, s, "alice")
	first := deliver(t, s, id, []byte("kept"))
	broken = true
	for range 3 {
		a := acceptance(t, s, id, []byte("lost"))
		if _, err := s.Accept(context.Background(), a); !errors.Is(err, store.ErrReadOnly) {
			t.Fatal(err)
		}
		broken = false
	}
	if got := content_(t, s, id, first.Message); !strings.HasSuffix(got, "kept") {
		t.Error(got)
	}
	if room, err := s.Room(context.Background()); err != nil || room.ReadOnly == nil {
		t.Error(room, err)
	}
}

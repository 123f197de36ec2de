package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// versionFolder has a store as schema version 1 left it (see its README).
const versionFolder = "testdata/version1"

// The program of a later version reads what version 1 wrote: what this test
// asks for was put there by writeVersion.
func TestAStoreOfVersion1IsReadByThisProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if os.Getenv("POSTHORN_WRITE_VERSION1") != "" {
		makeVersion(t)
	}
	loadVersion(t, dir)
	s := reopen(t, dir, Options{SegmentSize: 1 << 20})
	readVersion(t, s)
	if got, want := schemaOf(t, s), schemaOf(t, openTest(t, Options{})); got != want {
		t.Errorf("a new store has another schema than one of version 1 that was brought up to date:\n%s\nwant\n%s", got, want)
	}
	// And goes on with it.
	id, err := s.Directory().Owner(t.Context(), address(t, "alice@one.test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{10, 50_000} {
		filed := deliver(t, s, id.Account, make([]byte, n))
		if got := len(content_(t, s, id.Account, filed.Message)); got != n+len("Return-Path: <>\r\n") {
			t.Errorf("a new message of %d octets reads %d", n, got)
		}
	}
	readVersion(t, s)
}

func schemaOf(t *testing.T, s *Store) string {
	t.Helper()
	var all []string
	err := s.read(t.Context(), func(t tx) error {
		return t.query(`SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name`, nil, func(r row) error {
			all = append(all, r.text(0))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// loadVersion puts the store checked in into a folder.
func loadVersion(t *testing.T, dir string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(versionFolder, "posthorn.sql"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := sqlite.OpenConn(filepath.Join(dir, "posthorn.db"), sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		t.Fatal(err)
	}
	x := sqliteTx{c: c}
	err = x.script(strings.Split(strings.TrimSpace(string(script)), ";\n\n")...)
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "bodies"), os.DirFS(filepath.Join(versionFolder, "bodies"))); err != nil {
		t.Fatal(err)
	}
}

const versionMark = 1_700_000_000_000_001 // a time in microseconds

var versionTime = time.UnixMicro(versionMark).UTC()

// versionText is a message of n lines.
func versionText(n int) string {
	return "Subject: version 1\r\n\r\n" + strings.Repeat("A line of text that is not short.\r\n", n)
}

// makeVersion writes the folder anew. Only a program whose newest schema is
// version 1 may.
func makeVersion(t *testing.T) {
	t.Helper()
	if all, err := migrations(); err != nil || len(all) != 1 {
		t.Fatal("version 1 is history and is not written any more: ", err)
	}
	dir := t.TempDir()
	s := reopen(t, dir, Options{SegmentSize: 1 << 20})
	writeVersion(t, s)
	readVersion(t, s)
	var end int64
	err := s.read(t.Context(), func(t tx) error {
		_, err := one(t, `SELECT MAX(start + length) FROM blob`, nil, func(r row) error { end = r.int(0); return nil })
		return err
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	octets, err := os.ReadFile(filepath.Join(dir, "bodies", "000001.seg"))
	if err == nil {
		err = os.MkdirAll(filepath.Join(versionFolder, "bodies"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(versionFolder, "bodies", "000001.seg"), octets[:end], 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(versionFolder, "posthorn.sql"), dump(t, filepath.Join(dir, "posthorn.db")), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// dump writes a database as statements, divided by empty lines.
func dump(t *testing.T, path string) []byte {
	t.Helper()
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	x := &sqliteTx{c: c}
	var b strings.Builder
	var tables []string
	err = x.query(`SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid`, nil, func(r row) error {
		if r.text(1) == "table" {
			tables = append(tables, r.text(0))
		}
		fmt.Fprintf(&b, "%s;\n\n", r.text(2))
		return nil
	})
	for _, table := range tables {
		var columns []string
		if err == nil {
			err = x.query(`SELECT name FROM pragma_table_info(?)`, []any{table}, func(r row) error {
				columns = append(columns, "quote("+r.text(0)+")")
				return nil
			})
		}
		if err == nil {
			err = x.query("SELECT "+strings.Join(columns, " || ', ' || ")+" FROM "+table, nil, func(r row) error {
				fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n\n", table, r.text(0))
				return nil
			})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString("PRAGMA user_version=1;\n")
	return []byte(b.String())
}

// writeVersion fills a store with some of everything.
func writeVersion(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d := s.Directory()
	must(d.PutDomain(ctx, store.AnyVersion, versionDomain(t)))
	id, err := d.AddAccount(ctx, versionAccount(t))
	must(err)
	must(d.PutAlias(ctx, store.AnyVersion, versionAlias(t)))
	_, err = s.Settings().Save(ctx, 0, versionChange)
	must(err)

	a := s.Account(id)
	inbox, err := a.FindMailbox(ctx, "INBOX")
	must(err)
	work, err := a.CreateMailbox(ctx, "Work/Übersicht", store.RoleNone)
	must(err)
	must(a.SetSubscribed(ctx, work.Name, true))
	for i, lines := range []int{1, 1000, 2, 3} {
		draft, err := s.NewDraft(ctx, 0)
		must(err)
		_, err = draft.Write([]byte(versionText(lines)))
		must(err)
		_, err = s.Accept(ctx, &store.Acceptance{Key: ids.New(), Time: versionTime, Body: draft, Account: id, Filings: []store.Filing{{
			Role: store.RoleInbox, Flags: store.FlagSeen, Keywords: []string{"$Label"}, Head: []byte("Return-Path: <>\r\n"),
			Meta: fmt.Appendf(nil, "meta %d", i+1), Internal: versionTime.Add(time.Duration(i) * time.Hour)}}})
		must(err)
	}
	span := func(first, last store.UID) []store.UIDRange { return []store.UIDRange{{First: first, Last: last}} }
	_, err = a.Copy(ctx, inbox.ID, span(2, 2), work.ID)
	must(err)
	_, err = a.SetFlags(ctx, inbox.ID, store.FlagUpdate{UIDs: span(1, 1), Op: store.FlagsAdd, Flags: store.FlagFlagged})
	must(err)
	_, err = a.Retire(ctx, inbox.ID, span(3, 3), time.Now().Add(100*365*24*time.Hour))
	must(err)
	_, _, err = a.Expunge(ctx, inbox.ID, span(4, 4), false)
	must(err)

	enqueue(t, s, 0, "bob@far.test", "Eve@far.test")
	claim := claimOne(t, s, false)
	must(s.Queue().Finish(ctx, claim, outcomes(claim, store.Outcome{NextTry: time.Now().Add(time.Hour), LastError: "450 4.2.0 busy"}), nil))
	_, err = s.Queue().Hold(ctx, store.QueueFilter{ID: claim.Message.ID})
	must(err)
	enqueue(t, s, id, "alice@one.test")
}

func versionDomain(t *testing.T) store.DomainRow {
	return store.DomainRow{Name: "one.test", CatchAll: address(t, "alice@one.test"), Separator: "+", Created: versionTime}
}

func versionAccount(t *testing.T) store.AccountRow {
	return store.AccountRow{Addresses: []mail.Address{address(t, "Alice@one.test"), address(t, "a@one.test")}, FullName: "Älice",
		Password: "$argon2id$x", Scram256: "scram", Admin: true, QuotaBytes: 1 << 30, QuotaMessages: 1000, Created: versionTime}
}

func versionAlias(t *testing.T) store.AliasRow {
	return store.AliasRow{Address: address(t, "all@one.test"), Targets: []mail.Address{address(t, "alice@one.test"), address(t, "far@far.test")},
		Group: true, Title: "All", SendAs: true, Created: versionTime}
}

var versionChange = store.SettingChange{Time: versionTime, Author: "eva", Comment: "why", Items: []store.SettingItem{
	{Name: "server.hostname", New: "mx.one.test", WasUnset: true}, {Name: "x.secret", New: "sealed:v1:x", WasUnset: true}}}

// readVersion checks that everything is there.
func readVersion(t *testing.T, s *Store) {
	t.Helper()
	readVersionDirectory(t, s)
	readVersionMail(t, s)
	readVersionQueue(t, s)
}

func readVersionDirectory(t *testing.T, s *Store) {
	t.Helper()
	ctx, d := t.Context(), s.Directory()
	if got, err := d.Domain(ctx, "one.test"); err != nil || got != versionDomain(t) {
		t.Errorf("domain %+v, %v", got, err)
	}
	want := versionAccount(t)
	want.ID, want.Version = 1, 1
	if got, err := d.GetAccount(ctx, 1); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("account %+v, %v", got, err)
	}
	if o, err := d.Owner(ctx, address(t, "all@one.test")); err != nil || o.Alias == nil || !reflect.DeepEqual(*o.Alias, versionAlias(t)) {
		t.Errorf("alias %+v, %v", o, err)
	}
	version, rows, err := s.Settings().Load(ctx)
	if want := []store.SettingRow{{Name: "server.hostname", Value: "mx.one.test", Version: 1}, {Name: "x.secret", Value: "sealed:v1:x", Version: 1}}; err != nil || version != 1 || !reflect.DeepEqual(rows, want) {
		t.Errorf("settings %d %+v, %v", version, rows, err)
	}
	change := versionChange
	change.Version = 1
	if got, err := s.Settings().History(ctx, 0, 10); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], change) {
		t.Errorf("history %+v, %v", got, err)
	}
}

func readVersionMail(t *testing.T, s *Store) {
	t.Helper()
	ctx, a := t.Context(), s.Account(1)
	for _, box := range []struct {
		name, keywords string
		messages       []string // UID, flags, octets, hours since, meta
		least          bool     // there may be more
	}{
		{"INBOX", "[$Label]", []string{"1 105 74 0 meta 1", "2 101 35039 1 meta 2"}, true},
		{"Work/Übersicht", "[$Label]", []string{"1 101 35039 1 meta 2"}, false},
		{"Trash", "[$POP3Deleted $Label]", []string{"1 301 109 2 meta 3"}, false},
	} {
		b, err := a.FindMailbox(ctx, box.name)
		if err != nil {
			t.Fatal(err)
		}
		x, err := a.Index(ctx, b.ID)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range x.Entries {
			if e.Internal > versionMark+int64(24*time.Hour/time.Microsecond) {
				continue // delivered by this test
			}
			text := content_(t, s, a.ID(), e.Message)
			lines := strings.Count(text, "\r\n") - 3
			if text != "Return-Path: <>\r\n"+versionText(lines) {
				t.Errorf("%s UID %d: %d octets that differ", box.name, e.UID, len(text))
			}
			err := a.Metas(ctx, []store.MessageID{e.Message}, func(_ store.MessageID, meta []byte) error {
				got = append(got, fmt.Sprintf("%d %x %d %d %s", e.UID, uint64(e.Flags), len(text), (e.Internal-versionMark)/int64(time.Hour/time.Microsecond), meta))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, box.messages) || fmt.Sprint(b.Keywords) != box.keywords || !b.Subscribed || !box.least && b.Messages != len(got) {
			t.Errorf("%s: %q, keywords %v, %+v", box.name, got, b.Keywords, b)
		}
	}
	if _, complete, err := a.ExpungedSince(ctx, 1, 20); err != nil || !complete {
		t.Errorf("the log of changes: %v %v", complete, err)
	}
}

func readVersionQueue(t *testing.T, s *Store) {
	t.Helper()
	list, err := s.Queue().List(t.Context(), store.QueueFilter{})
	if err != nil || len(list) != 2 {
		t.Fatalf("%d queued, %v", len(list), err)
	}
	var got []string
	for _, m := range list {
		body, err := s.Queue().OpenBody(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if m.Sender.String() != "Eva@sender.test" || m.Return != "HDRS" || m.EnvelopeID != "env" || !m.SMTPUTF8 || !m.RequireTLS || m.EightBit ||
			m.Expires.Sub(m.Accepted).Round(time.Second) != 5*24*time.Hour || string(m.Meta) != "meta" || body.Size() != 38 {
			t.Errorf("queued %+v, %d octets", m.QueueMessage, body.Size())
		}
		if err := body.Close(); err != nil {
			t.Fatal(err)
		}
		for _, r := range m.Recipients {
			if r.Notified || r.Asked || !r.LastTry.IsZero() || r.LastHost != "" || r.Route != "" {
				t.Errorf("recipient of version 1 has %+v", r)
			}
			got = append(got, fmt.Sprint(r.Address, " ", r.Original, " ", r.Notify, " ", r.State, " ", r.Attempts, " ", r.LastError, " ", r.Local))
		}
	}
	want := []string{"bob@far.test rfc822;bob@far.test 4 held 1 450 4.2.0 busy 0", "Eve@far.test rfc822;Eve@far.test 4 held 1 450 4.2.0 busy 0", "alice@one.test rfc822;alice@one.test 4 queued 0  1"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("queued for %q", got)
	}
}

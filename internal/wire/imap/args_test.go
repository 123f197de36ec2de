package imap

import (
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// refuse checks that each text is a fault of parse, and that the session goes on.
func refuse(t *testing.T, parse func(*Decoder) error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		c := dial(t, "t X"+text+"\r\nz NOOP\r\n")
		if _, err := c.Next(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		fault(t, parse(c.Decoder))
		next(t, c, "z NOOP")
	}
}

// equal compares what was parsed.
func equal[T any](t *testing.T, text string, got T, err error, want T) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %+v, %v\nwant %+v", text, got, err, want)
	}
}

func set(t testing.TB, text string) SeqSet {
	t.Helper()
	s, err := ParseSeqSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStoreArguments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Store{
		` 1:2 FLAGS (\seen $Forwarded)`:              {Set: set(t, "1:2"), Flags: []string{FlagSeen, "$Forwarded"}},
		` 5 +flags.silent \Deleted \ANSWERED`:        {Set: set(t, "5"), Mode: StoreAdd, Silent: true, Flags: []string{FlagDeleted, FlagAnswered}},
		` * (UNCHANGEDSINCE 12) -FLAGS (\Odd)`:       {Set: set(t, "*"), Mode: StoreRemove, Conditional: true, UnchangedSince: 12, Flags: []string{`\Odd`}},
		` $ (unchangedsince 0) FLAGS.SILENT (a b c)`: {Set: set(t, "$"), Silent: true, Conditional: true, Flags: []string{"a", "b", "c"}},
		` 1 FLAGS ()`: {Set: set(t, "1")},
	} {
		got, err := args(t, text).Store()
		equal(t, text, got, err, want)
		again, err := args(t, " "+string(got.Append(nil))).Store()
		equal(t, string(got.Append(nil)), again, err, want)
	}
	refuse(t, func(d *Decoder) error { _, err := d.Store(); return err },
		``, ` `, ` 1`, ` 1 FLAGS`, ` 1 FLAGS `, ` 1 FLAG (a)`, ` 1 *FLAGS (a)`, ` 1 FLAGS (\Recent)`, ` 1 FLAGS (a`, ` 1 FLAGS (a))`,
		` 1 FLAGS (a  b)`, ` 1 FLAGS (\*)`, ` 1 FLAGS ("a")`, ` 1 (UNCHANGEDSINCE) FLAGS (a)`, ` 1 (CHANGEDSINCE 1) FLAGS (a)`,
		` 0 FLAGS (a)`, ` 1 FLAGS (`+strings.Repeat("a ", 1000)+`a)`, ` 1 FLAGS `+strings.Repeat("a ", 1000)+`a`,
		` 1 FLAGS (`+strings.Repeat("a", 256)+`)`)
}

func TestStatusArguments(t *testing.T) {
	t.Parallel()
	got, err := args(t, ` "a b" (messages UIDNEXT unseen HIGHESTMODSEQ SIZE)`).MailboxStatus()
	equal(t, "STATUS", got, err, MailboxStatus{"a b", StatusMessages | StatusUIDNext | StatusUnseen | StatusHighestModSeq | StatusSize})
	if s := string(got.Attrs.Append(nil)); s != "(MESSAGES UIDNEXT UNSEEN SIZE HIGHESTMODSEQ)" {
		t.Error(s)
	}
	for _, a := range statusAttrs {
		got, err := args(t, " x ("+a.name+")").MailboxStatus()
		equal(t, a.name, got, err, MailboxStatus{"x", a.attr})
	}
	refuse(t, func(d *Decoder) error { _, err := d.MailboxStatus(); return err },
		``, ` x`, ` x ()`, ` x MESSAGES`, ` x (MESSAGES`, ` x (FOO)`, ` x (MESSAGES) y`)
}

func TestListArguments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]List{
		` "" *`:                {Patterns: []string{"*"}},
		` "" ""`:               {Patterns: []string{""}},
		` a/ %`:                {Reference: "a/", Patterns: []string{"%"}},
		" \"\" {2}\r\n&-":      {Patterns: []string{"&"}},
		` "" "Entw&APw-rfe/%"`: {Patterns: []string{"Entwürfe/%"}},
		` () "" (a b*)`:        {Patterns: []string{"a", "b*"}, Extended: true},
		` (SUBSCRIBED recursivematch) "" % RETURN (children special-use subscribed MYRIGHTS)`: {
			Patterns: []string{"%"}, Select: SelectSubscribed | SelectRecursiveMatch, Extended: true,
			Return: ReturnChildren | ReturnSpecialUse | ReturnSubscribed | ReturnMyRights},
		` "" % RETURN (STATUS (MESSAGES UNSEEN))`: {
			Patterns: []string{"%"}, Extended: true, Return: ReturnStatus, Status: StatusMessages | StatusUnseen},
		` (SPECIAL-USE REMOTE) "" * RETURN ()`: {Patterns: []string{"*"}, Select: SelectSpecialUse | SelectRemote, Extended: true},
	} {
		got, err := args(t, text).List()
		equal(t, text, got, err, want)
	}
	refuse(t, func(d *Decoder) error { _, err := d.List(); return err },
		``, ` ""`, ` "" `, ` "" (`, ` "" ()`, ` (RECURSIVEMATCH) "" *`, ` (REMOTE RECURSIVEMATCH) "" *`, ` (FOO) "" *`, ` "" * RETURN`,
		` "" * RETURN (FOO)`, ` "" * RETURN (STATUS)`, ` "" * FOO ()`, ` "" "&"`, ` "" `+strings.Repeat("*", 1001), ` "" a b`,
		` "" (`+strings.Repeat("a ", 1000)+`a)`, ` `+strings.Repeat("a", 1001)+` *`)
	if l, err := args(t, ` `+strings.Repeat("a", 1000)+` *`).List(); err != nil || len(l.Reference) != 1000 {
		t.Error(len(l.Reference), err)
	}
	if l, err := args(t, ` "" %`).Lsub(); err != nil || l.Patterns[0] != "%" {
		t.Error(l, err)
	}
	refuse(t, func(d *Decoder) error { _, err := d.Lsub(); return err }, ` "" (a b)`, ` "" % RETURN ()`)
}

func TestSelectArguments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Select{
		` inbox`:               {Mailbox: "INBOX"},
		` iNbOx/x (CondStore)`: {Mailbox: "INBOX/x", CondStore: true},
		` a (QRESYNC (67890007 20050715194045000))`: {Mailbox: "a", Resync: &Resync{UIDValidity: 67890007, ModSeq: 20050715194045000}},
		` a (QRESYNC (1 2 41,43:211,214:541) CONDSTORE)`: {Mailbox: "a", CondStore: true,
			Resync: &Resync{UIDValidity: 1, ModSeq: 2, Known: set(t, "41,43:211,214:541")}},
		` a (QRESYNC (1 2 41:211 (1,3 41,43)))`: {Mailbox: "a",
			Resync: &Resync{UIDValidity: 1, ModSeq: 2, Known: set(t, "41:211"), MatchSeqs: set(t, "1,3"), MatchUIDs: set(t, "41,43")}},
		` a (QRESYNC (1 2 (1:2 41:42)))`: {Mailbox: "a",
			Resync: &Resync{UIDValidity: 1, ModSeq: 2, MatchSeqs: set(t, "1:2"), MatchUIDs: set(t, "41:42")}},
	} {
		got, err := args(t, text).Select()
		equal(t, text, got, err, want)
	}
	refuse(t, func(d *Decoder) error { _, err := d.Select(); return err },
		``, ` `, ` a b`, ` a ()`, ` a (FOO)`, ` a (QRESYNC)`, ` a (QRESYNC (0 1))`, ` a (QRESYNC (1 0))`, ` a (QRESYNC (1))`,
		` a (QRESYNC (1 2 1:*))`, ` a (QRESYNC (1 2 $))`, ` a (QRESYNC (1 2 (1:3 1:2)))`, ` a (QRESYNC (1 2 3 4))`, ` a (QRESYNC (1 2 ))`, ` &x`)
}

func TestMailboxCommandArguments(t *testing.T) {
	t.Parallel()
	name, err := args(t, ` "Gel&APY-scht"`).MailboxArg()
	equal(t, "DELETE", name, err, "Gelöscht")
	for text, want := range map[string]Create{
		` a/b/`:                        {Mailbox: "a/b"},
		` /`:                           {Mailbox: "/"},
		` Sent (USE (\Sent \Archive))`: {Mailbox: "Sent", Use: []string{`\Sent`, `\Archive`}},
	} {
		got, err := args(t, text).Create()
		equal(t, text, got, err, want)
	}
	refuse(t, func(d *Decoder) error { _, err := d.Create(); return err },
		``, ` a (USE)`, ` a (USE (Sent))`, ` a (FOO (\Sent))`, ` a (USE (\Sent)`, " {3}\r\na\x00b", ` "&AAA"`)
	from, to, err := args(t, ` inbox "x y"`).Rename()
	if err != nil || from != "INBOX" || to != "x y" {
		t.Error(from, to, err)
	}
	refuse(t, func(d *Decoder) error { _, _, err := d.Rename(); return err }, ``, ` a`, ` a b c`)
	refuse(t, func(d *Decoder) error { _, err := d.MailboxArg(); return err }, ``, ` a b`)
}

func TestCopyArguments(t *testing.T) {
	t.Parallel()
	got, err := args(t, ` 2:4 "x"`).Copy()
	equal(t, "COPY", got, err, Copy{set(t, "2:4"), "x"})
	s, err := args(t, ` 4,2`).SetArg()
	equal(t, "UID EXPUNGE", s, err, set(t, "2,4"))
	refuse(t, func(d *Decoder) error { _, err := d.Copy(); return err }, ``, ` 1`, ` x y`, ` 1 a b`, ` 1:2:3 a`)
	refuse(t, func(d *Decoder) error { _, err := d.SetArg(); return err }, ``, ` a`, ` 1 2`)
}

func TestLoginArguments(t *testing.T) {
	t.Parallel()
	user, password, err := args(t, ` alice@example.test "pass \"word\" \\"`).Login()
	if err != nil || user != "alice@example.test" || password != `pass "word" \` {
		t.Error(user, password, err)
	}
	refuse(t, func(d *Decoder) error { _, _, err := d.Login(); return err }, ``, ` a`, ` a `, ` a b c`, ` (a) b`)
}

func TestAuthenticateExchange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Authenticate{
		" plain":              {Mechanism: "PLAIN"},
		" SCRAM-SHA-256 biws": {Mechanism: "SCRAM-SHA-256", Initial: []byte("n,,")},
		" EXTERNAL =":         {Mechanism: "EXTERNAL", Initial: []byte{}},
	} {
		got, err := args(t, text).Authenticate()
		equal(t, text, got, err, want)
	}
	refuse(t, func(d *Decoder) error { _, err := d.Authenticate(); return err }, ``, ` PLAIN `, ` PLAIN a`, ` PLAIN YWI`, ` PLAIN YWI= x`, ` PLAIN YWJ=`, ` (`)

	c := dial(t, "a AUTHENTICATE PLAIN\r\nAGEAYg==\r\nb AUTHENTICATE PLAIN\r\n*\r\nc AUTHENTICATE PLAIN\r\n?\r\n\r\nd NOOP\r\n")
	next(t, c, "a AUTHENTICATE")
	if b, err := c.AuthResponse(); err != nil || string(b) != "\x00a\x00b" {
		t.Errorf("%q %v", b, err)
	}
	next(t, c, "b AUTHENTICATE")
	if _, err := c.AuthResponse(); err != ErrCancelled {
		t.Error(err)
	}
	next(t, c, "c AUTHENTICATE")
	_, err := c.AuthResponse()
	fault(t, err)
	if b, err := c.AuthResponse(); err != nil || len(b) != 0 {
		t.Errorf("%q %v", b, err)
	}
	next(t, c, "d NOOP")
}

func TestIdleEndsWithDone(t *testing.T) {
	t.Parallel()
	c := dial(t, "a IDLE\r\ndone\r\nb IDLE\r\nc NOOP\r\nd IDLE\r\n"+strings.Repeat("x", 100000)+"\r\ne NOOP\r\nf IDLE\r\n")
	next(t, c, "a IDLE")
	if err := c.Done(); err != nil {
		t.Error(err)
	}
	next(t, c, "b IDLE")
	fault(t, c.Done())
	next(t, c, "d IDLE")
	fault(t, c.Done())
	next(t, c, "e NOOP")
	next(t, c, "f IDLE")
	if err := c.Done(); err != io.EOF {
		t.Error(err)
	}
}

func TestEnableIDAndCompressArguments(t *testing.T) {
	t.Parallel()
	names, err := args(t, ` CondStore UTF8=accept`).Enable()
	equal(t, "ENABLE", names, err, []string{"CONDSTORE", "UTF8=ACCEPT"})
	refuse(t, func(d *Decoder) error { _, err := d.Enable(); return err }, ``, ` `, ` a  b`, ` (`, strings.Repeat(" a", 1001))

	fields, err := args(t, ` ("name" "Mail" "version" NIL)`).ID()
	equal(t, "ID", fields, err, []IDField{{"name", "Mail"}, {"version", ""}})
	fields, err = args(t, ` nil`).ID()
	equal(t, "ID NIL", fields, err, nil)
	fields, err = args(t, ` ()`).ID()
	equal(t, "ID ()", fields, err, []IDField{})
	refuse(t, func(d *Decoder) error { _, err := d.ID(); return err },
		``, ` ("a")`, ` ("a" "b" "c")`, ` (NIL "b")`, ` (a b)`, ` ("a" "`+strings.Repeat("x", 1025)+`")`,
		` ("`+strings.Repeat("x", 31)+`" "")`, ` (`+strings.Repeat(`"a" "b" `, 30)+`"a" "b")`)

	name, err := args(t, ` deflate`).Compress()
	equal(t, "COMPRESS", name, err, "DEFLATE")
	refuse(t, func(d *Decoder) error { _, err := d.Compress(); return err }, ``, ` DEFLATE x`)
}

func TestSortAndThreadArguments(t *testing.T) {
	t.Parallel()
	s, err := args(t, ` RETURN (COUNT) (REVERSE date Subject) utf-8 UNSEEN`).Sort()
	equal(t, "SORT", s, err, Sort{
		Return:   SearchReturn{Given: true, Count: true},
		Criteria: []SortCriterion{{SortDate, true}, {SortSubject, false}},
		Key:      SearchKey{Op: KeyUnflag, Text: FlagSeen},
	})
	refuse(t, func(d *Decoder) error { _, err := d.Sort(); return err },
		``, ` ()`, ` (DATE) ALL`, ` (DATE) UTF-8`, ` (REVERSE) UTF-8 ALL`, ` (FOO) UTF-8 ALL`, ` (`+strings.Repeat("DATE ", 16)+`DATE) UTF-8 ALL`)
	th, err := args(t, ` references US-ASCII ALL`).Thread()
	equal(t, "THREAD", th, err, Thread{"REFERENCES", SearchKey{Op: KeyAll}})
	refuse(t, func(d *Decoder) error { _, err := d.Thread(); return err }, ``, ` REFS`, ` REFS UTF-8`, ` REFS X-NONE ALL`)
}

func TestDates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		`"17-Jul-1996 02:44:25 -0730"`: time.Date(1996, 7, 17, 2, 44, 25, 0, time.FixedZone("", -(7*3600+30*60))),
		`" 7-Feb-2026 23:59:59 +0000"`: time.Date(2026, 2, 7, 23, 59, 59, 0, time.UTC),
		`"29-Feb-2024 00:00:00 +1400"`: time.Date(2024, 2, 29, 0, 0, 0, 0, time.FixedZone("", 14*3600)),
		`" 1-Jan-0001 01:00:00 +0100"`: time.Date(1, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600)),
		`"31-Dec-9999 23:59:59 +0000"`: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		c := args(t, " "+text)
		c.SP("a date-time")
		got := c.DateTime()
		if err := c.End(); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", text, got, err)
		}
		if s := string(appendDateTime(nil, got)); s != text {
			t.Errorf("%s written as %s", text, s)
		}
	}
	parse := func(d *Decoder) error { d.SP("a date-time"); d.DateTime(); return d.End() }
	refuse(t, parse, ` 17-Jul-1996`, ` "17-Jul-1996"`, ` "31-Feb-2026 00:00:00 +0000"`, ` "00-Jan-2026 00:00:00 +0000"`, ` "1-Foo-2026 00:00:00 +0000"`,
		` "1-Jan-2026 24:00:00 +0000"`, ` "1-Jan-2026 00:60:00 +0000"`, ` "1-Jan-2026 00:00:00 0000"`, ` "1-Jan-2026 00:00:00 +1500"`,
		` "1-Jan-2026 00:00:00 +0000`, ` " -Jan-2026 00:00:00 +0000"`, ` "1-Jan-26 00:00:00 +0000"`,
		` " 1-Jan-0000 00:00:00 +0000"`, ` " 1-Jan-0001 00:00:00 +0100"`, ` "31-Dec-9999 23:59:59 -0100"`)
	parse = func(d *Decoder) error { d.SP("a date"); d.Date(); return d.End() }
	refuse(t, parse, ``, ` 1`, ` 1-Jan`, ` 001-Jan-2026`, ` -Jan-2026`, ` "1-Jan-2026`, ` 32-Jan-2026`, ` 1 Jan 2026`)
}

package record

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"posthorn/internal/base/unit"
)

// recorder opens a recorder on a new file; complaints are collected.
func recorder(t testing.TB, path string, s Settings) (*Recorder, *complaints) {
	t.Helper()
	c := &complaints{}
	r, err := Open(Options{Path: path, Settings: func() Settings { return s }, Failed: c.add})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, c
}

type complaints struct {
	mu   sync.Mutex
	list []error
}

func (c *complaints) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, err)
}

func (c *complaints) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

var plenty = Settings{MaxAge: 720 * time.Hour, MaxSize: 512 * unit.MB}

// attempt hands in one attempt and returns it.
func attempt(r *Recorder, client, from, to string, o Outcome) Attempt {
	t := r.Trace(Session{ID: ids.New(), Begin: time.Now(), Listener: "smtp", Client: netip.MustParseAddr(client), Kind: "mx"})
	t.Step(&Step{Verb: "connect", Reply: "220 mx ESMTP"})
	t.Open(ids.New())
	t.Sender, t.HasSender = from, true
	t.Recipients = append(t.Recipients, to)
	s := t.Spare()
	s.Verb, s.Argument, s.Reply = "RCPT", to, "250 2.1.5 ok"
	s.Checks = append(s.Checks, Check{Name: "relaying", Setting: "policy.trust", Action: "pass", Reason: "the domain is ours", Inputs: []Input{{"session", "mx"}}})
	t.Step(s)
	a := t.Attempt
	a.Recipients = []string{to}
	t.Close(o)
	t.Done()
	return a
}

func find(t *testing.T, r *Recorder, q Query) []Biography {
	t.Helper()
	list, err := r.Search(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAttemptsAreFoundByWhatIsKnownOfThem(t *testing.T) {
	t.Parallel()
	r, c := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	for i := range 300 { // several segments
		attempt(r, fmt.Sprintf("198.51.100.%d", i%200), fmt.Sprintf("u%d@noise.test", i), "bob@example.test", Accepted)
	}
	a := attempt(r, "192.0.2.7", "Eve@Away.test", "Carol@example.test", Refused)
	for name, q := range map[string]Query{
		"id":      {ID: a.ID},
		"session": {ID: a.Session.ID},
		"from":    {From: "eve@away.TEST"},
		"domain":  {From: "@away.test"},
		"to":      {To: "carol@example.test"},
		"client":  {Client: netip.MustParsePrefix("192.0.2.7/32")},
		"network": {Client: netip.MustParsePrefix("192.0.2.0/24")},
		"outcome": {Outcomes: []Outcome{Refused, Deferred}},
		"all":     {From: "eve@away.test", To: "@example.test", Since: a.Begin, Until: a.Begin.Add(time.Minute), Outcomes: []Outcome{Refused}},
	} {
		list := find(t, r, q)
		if len(list) != 1 || list[0].Attempt.ID != a.ID || len(list[0].Attempt.Steps) != 2 || list[0].Attempt.Steps[1].Checks[0].Inputs[0].Value != "mx" {
			t.Errorf("%s: %+v", name, list)
		}
	}
	for name, q := range map[string]Query{
		"from":   {From: "eve@away.example"},
		"both":   {From: "eve@away.test", To: "bob@example.test"},
		"client": {Client: netip.MustParsePrefix("192.0.3.0/24")},
		"since":  {From: "eve@away.test", Since: time.Now().Add(time.Hour)},
		"until":  {From: "eve@away.test", Until: a.Begin},
		"id":     {ID: ids.New()},
	} {
		if list := find(t, r, q); len(list) != 0 {
			t.Errorf("%s: %+v", name, list)
		}
	}
	if list := find(t, r, Query{Limit: 3}); len(list) != 3 || list[0].Attempt.ID != a.ID || list[1].Attempt.Sender != "u299@noise.test" {
		t.Errorf("newest first: %+v", list)
	}
	if c.count() > 0 {
		t.Error(c.list)
	}
}

func TestLaterEventsJoinTheirAttempt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records.db")
	r, _ := recorder(t, path, plenty)
	a := attempt(r, "192.0.2.7", "eve@away.test", "carol@example.test", Accepted)
	other := attempt(r, "192.0.2.7", "eve@away.test", "dan@example.test", Accepted)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, _ = recorder(t, path, plenty) // events come after a restart as well
	r.Event(Event{ID: a.ID, Kind: Filed, Recipient: "carol@example.test", Place: "INBOX"})
	r.Event(Event{ID: other.ID, Kind: Queued})
	r.Event(Event{ID: a.ID, Kind: Read, Place: "INBOX"})
	list := find(t, r, Query{ID: a.ID})
	if len(list) != 1 || list[0].Attempt == nil || len(list[0].Events) != 2 || list[0].Events[0].Kind != Filed || list[0].Events[1].Kind != Read {
		t.Errorf("%+v", list)
	}
	if list = find(t, r, Query{From: "eve@away.test"}); len(list) != 2 || len(list[0].Events) != 1 || len(list[1].Events) != 2 {
		t.Errorf("%+v", list)
	}
	made := ids.New()
	r.Event(Event{ID: made, Kind: Bounced})
	if list = find(t, r, Query{ID: made}); len(list) != 1 || list[0].Attempt != nil || len(list[0].Events) != 1 {
		t.Errorf("a message of our own: %+v", list)
	}
}

func TestSessionStepsBelongToEveryAttempt(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	tr := r.Trace(Session{ID: ids.New(), Begin: time.Now()})
	tr.Step(&Step{Verb: "connect"})
	tr.Step(&Step{Verb: "EHLO", Argument: "away.test"})
	tr.Open(ids.New())
	tr.Step(&Step{Verb: "MAIL"})
	tr.Close(Accepted)
	tr.Step(&Step{Verb: "NOOP"})
	tr.Open(ids.New())
	tr.Sender, tr.HasSender = "second@away.test", true
	tr.Step(&Step{Verb: "MAIL"})
	tr.Done()
	var got []string
	for _, b := range find(t, r, Query{}) {
		line := b.Attempt.Outcome.String() + ":"
		for _, s := range b.Attempt.Steps {
			line += " " + s.Verb
		}
		got = append(got, line)
	}
	want := "aborted: connect EHLO NOOP MAIL, accepted: connect EHLO MAIL"
	if strings.Join(got, ", ") != want {
		t.Errorf("%q", got)
	}
}

func TestRefusedSessionWithoutTransactionIsRecorded(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	for _, reply := range []string{"554 5.7.1 go away", "220 mx"} {
		tr := r.Trace(Session{ID: ids.New(), Begin: time.Now()})
		tr.Step(&Step{Verb: "connect", Reply: reply, Check: "ban"})
		tr.Done()
	}
	list := find(t, r, Query{})
	if len(list) != 1 || list[0].Attempt.Outcome != Refused || list[0].Attempt.ID != list[0].Attempt.Session.ID {
		t.Errorf("%+v", list)
	}
}

func TestTalkativeSessionKeepsFirstAndLastWords(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	tr := r.Trace(Session{ID: ids.New(), Begin: time.Now()})
	tr.Open(ids.New())
	for i := range 10_000 {
		tr.Step(&Step{Verb: "RCPT", Argument: fmt.Sprint(i)})
	}
	tr.Close(Refused)
	tr.Done()
	steps := find(t, r, Query{})[0].Attempt.Steps
	if n := len(steps); n > 5000 || steps[0].Argument != "0" || steps[n-1].Argument != "9999" {
		t.Error(len(steps), steps[0], steps[len(steps)-1])
	}
}

func TestNilRecorderAndTraceKeepNothing(t *testing.T) {
	var r *Recorder
	tr := r.Trace(Session{})
	tr.Step(tr.Spare())
	tr.Open(ids.New())
	tr.Close(Accepted)
	tr.Done()
	r.Event(Event{})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestSessionsNeverWaitAndTheOldestIsLost(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	r.file.mu.Lock() // the disk stands still
	big := strings.Repeat("x", maxText)
	n := int64(0)
	for r.Stats().Dropped < 10 {
		attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", n), big, Accepted)
		if n++; n > 100_000 {
			t.Fatal("nothing is ever lost")
		}
	}
	r.mu.Lock()
	if r.octets > maxQueue {
		t.Errorf("%d octets wait", r.octets)
	}
	r.mu.Unlock()
	r.file.mu.Unlock()
	if list := find(t, r, Query{Limit: 1}); list[0].Attempt.Sender != fmt.Sprintf("u%d@away.test", n-1) {
		t.Errorf("the newest is lost: %+v", list[0].Attempt)
	}
	if s := r.Stats(); s.Kept+s.Dropped != n {
		t.Errorf("%+v of %d", s, n)
	}
}

func TestRecordsAreWrittenWithoutBeingAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "records.db")
		r, _ := recorder(t, path, plenty)
		attempt(r, "192.0.2.7", "eve@away.test", "bob@example.test", Accepted)
		time.Sleep(2 * linger)
		synctest.Wait()
		seen := 0
		err := r.file.scan(ctx, time.Time{}, newest, func(filter) bool { return true }, func(int64, []byte) bool { seen++; return true })
		if seen != 1 || err != nil {
			t.Errorf("%d segments, %v", seen, err)
		}
	})
}

func TestOldRecordsArePruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), Settings{MaxAge: 24 * time.Hour, MaxSize: 512 * unit.MB})
		for i := range 200 { // more than a segment
			attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", i), "bob@example.test", Accepted)
		}
		if n := len(find(t, r, Query{Limit: 1000})); n != 200 {
			t.Fatalf("%d", n)
		}
		time.Sleep(23 * time.Hour)
		attempt(r, "192.0.2.7", "new@away.test", "bob@example.test", Accepted)
		if n := len(find(t, r, Query{Limit: 1000})); n != 201 {
			t.Errorf("after 23 h: %d", n)
		}
		time.Sleep(2 * time.Hour)
		list := find(t, r, Query{Limit: 1000})
		if len(list) != 1 || list[0].Attempt.Sender != "new@away.test" {
			t.Errorf("after 25 h: %d", len(list))
		}
		time.Sleep(24 * time.Hour)
		if n := len(find(t, r, Query{Limit: 1000})); n != 0 {
			t.Errorf("after 49 h: %d", n)
		}
	})
}

func TestFileKeepsItsSize(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records.db")
	r, _ := recorder(t, path, plenty)
	noise := make([]byte, 600)
	for i := range 5000 {
		for j := range noise {
			noise[j] = byte('!' + (i*7919+j*(i+j)*31)%90)
		}
		attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", i), string(noise), Accepted)
		if i%500 == 0 {
			if err := r.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	before := r.file.octets
	const bound = 200 << 10
	if err := r.file.prune(time.Time{}, bound); err != nil {
		t.Fatal(err)
	}
	list := find(t, r, Query{Limit: 1000})
	if r.file.octets > bound || before < 2*bound || len(list) == 0 || list[0].Attempt.Sender != "u4999@away.test" {
		t.Errorf("%d octets before, %d after, %d found", before, r.file.octets, len(list))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2*bound {
		t.Errorf("the file has %d octets, %v", info.Size(), err)
	}
	r, _ = recorder(t, path, plenty)
	if r.file.octets > bound || r.file.octets == 0 {
		t.Errorf("counted %d octets at opening", r.file.octets)
	}
}

func TestDamagedFileIsSetAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	r, c := recorder(t, path, plenty)
	attempt(r, "192.0.2.7", "eve@away.test", "bob@example.test", Accepted)
	if n := len(find(t, r, Query{})); n != 1 || c.count() != 1 {
		t.Errorf("%d found, complaints %v", n, c.list)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

func TestFileDamagedWhileRunningIsSetAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records.db")
	r, _ := recorder(t, path, plenty)
	for i := range 2000 {
		attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", i), "bob@example.test", Accepted)
	}
	if err := r.Close(); err != nil { // everything is in the file, not beside it
		t.Fatal(err)
	}
	r, c := recorder(t, path, plenty)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, info.Size()-4096), 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(find(t, r, Query{From: "u0@away.test"})); n != 0 || c.count() == 0 {
		t.Errorf("%d found in a damaged file, complaints %v", n, c.list)
	}
	attempt(r, "192.0.2.8", "late@away.test", "bob@example.test", Accepted)
	if n := len(find(t, r, Query{From: "late@away.test"})); n != 1 {
		t.Errorf("%d found in the new file, complaints %v", n, c.list)
	}
}

// BenchmarkTrace is the cost of one record of a message that passed thirteen
// checks, from the session to the file.
func BenchmarkTrace(b *testing.B) {
	r, _ := recorder(b, filepath.Join(b.TempDir(), "records.db"), plenty)
	b.ReportAllocs()
	id := ids.New()
	for i := 0; b.Loop(); i++ {
		t := r.Trace(Session{ID: id, Begin: time.Now(), Listener: "smtp", Client: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), Kind: "mx", Hostname: "mx.away.test", Helo: "mx.away.test", TLS: "TLS 1.3"})
		t.Open(ids.New())
		t.Sender, t.HasSender = fmt.Sprintf("user%d@away.test", i), true
		t.Recipients = append(t.Recipients, fmt.Sprintf("bob%d@example.test", i%1000))
		for _, verb := range []string{"MAIL", "RCPT", "DATA", "content"} {
			s := t.Spare()
			s.Verb, s.Reply = verb, "250 2.0.0 ok"
			for _, name := range []string{"login-required", "size-declared", "disk-room", "sender-owned"} {
				s.Checks = append(s.Checks, Check{Name: name, Setting: "policy.sender", Action: "pass", Reason: "nothing speaks against it", Cost: time.Duration(100 + i%50)})
			}
			t.Step(s)
		}
		t.Close(Accepted)
		t.Done()
		if i%256 == 0 {
			if err := r.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := r.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	if s := r.Stats(); s.Dropped > 0 {
		b.Errorf("%+v", s)
	}
	b.ReportMetric(float64(r.file.octets)/float64(b.N), "octets/record")
}

func TestManySessionsRecordAtOnce(t *testing.T) {
	t.Parallel()
	r, c := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				a := attempt(r, "192.0.2.7", fmt.Sprintf("u%d@s%d.test", i, g), "bob@example.test", Accepted)
				r.Event(Event{ID: a.ID, Kind: Filed, Place: "INBOX"})
				if i%50 == 49 {
					if _, err := r.Search(ctx, Query{ID: a.ID}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	list := find(t, r, Query{Limit: 1000})
	filed := 0
	for _, b := range list {
		filed += len(b.Events)
	}
	if len(list) != 800 || filed != 800 || c.count() > 0 {
		t.Errorf("%d attempts, %d filed, %v", len(list), filed, c.list)
	}
}

func TestRecordsWaitWhileTheFileCannotBeWritten(t *testing.T) {
	t.Parallel()
	r, c := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	readOnly := func(on int) {
		r.file.mu.Lock()
		defer r.file.mu.Unlock()
		if err := sqlitex.ExecuteTransient(r.file.conn, fmt.Sprintf("PRAGMA query_only = %d", on), nil); err != nil {
			t.Fatal(err)
		}
	}
	readOnly(1)
	for i := range 1000 { // several segments
		attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", i), "bob@example.test", Accepted)
	}
	if err := r.Flush(ctx); err != nil || c.count() == 0 {
		t.Error(err, c.list)
	}
	readOnly(0)
	if n := len(find(t, r, Query{Limit: 1000})); n != 1000 {
		t.Errorf("%d of 1000 are kept", n)
	}
	readOnly(1)
	noise := strings.Repeat("x", maxText)
	for i := range 12_000 {
		attempt(r, "192.0.2.7", fmt.Sprintf("v%d@away.test", i), noise, Accepted)
		if i%100 == 0 {
			if err := r.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Flush(ctx); err != nil || r.Stats().Dropped == 0 || len(r.full) > maxPending {
		t.Errorf("%d segments wait, %+v, %v", len(r.full), r.Stats(), err)
	}
	readOnly(0)
}

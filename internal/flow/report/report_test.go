package report

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/dmarc"
)

// shelf keeps reports and material in memory, and fails as told.
type shelf struct {
	store.Reports
	mu    sync.Mutex
	added []store.DMARCReport
	noted []store.DMARCSeen
	fails int
	swept [2]time.Time
	steps int // of the sweep that are still to do
	rows  int // what it was told to keep
	notes []int
}

// now is a copy of what is there.
func (s *shelf) now() (added []store.DMARCReport, noted []store.DMARCSeen, swept [2]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.added), slices.Clone(s.noted), s.swept
}

func (s *shelf) fail() error {
	if s.fails > 0 {
		s.fails--
		return store.ErrUnavailable
	}
	return nil
}

func (s *shelf) AddDMARC(_ context.Context, r store.DMARCReport) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail(); err != nil {
		return 0, err
	}
	for _, has := range s.added {
		if has.Organization == r.Organization && has.ReportID == r.ReportID && has.Domain == r.Domain {
			return 0, store.ErrExists
		}
	}
	s.added = append(s.added, r)
	return int64(len(s.added)), nil
}

func (s *shelf) Note(_ context.Context, seen []store.DMARCSeen, _ int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail(); err != nil {
		return err
	}
	s.noted, s.notes = append(s.noted, seen...), append(s.notes, len(seen))
	return nil
}

func (s *shelf) SweepReports(_ context.Context, received, days time.Time, mostRows int) (int, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swept, s.rows = [2]time.Time{received, days}, mostRows
	s.steps = max(0, s.steps-1)
	return 0, s.steps > 0, nil // a step may remove rows alone
}

func (s *shelf) Hosts(_ context.Context, domain string) (bool, error) {
	return domain == "ours.test", nil
}

func settings() *Settings {
	s := setting.Defaults[Settings](setting.Recommended)
	s.DMARCAddresses = []mail.Address{{Local: "dmarc", Domain: "ours.test"}}
	return &s
}

// feedback is an aggregate report with so many rows.
func feedback(domain, id string, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0"?><feedback><report_metadata><org_name>far.test</org_name><email>r@far.test</email><report_id>%s</report_id>
<date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata>
<policy_published><domain>%s</domain><adkim>r</adkim><aspf>r</aspf><p>reject</p><pct>100</pct></policy_published>`, id, domain)
	for i := range rows {
		fmt.Fprintf(&b, `<record><row><source_ip>%s</source_ip><count>%d</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>%s</header_from></identifiers><auth_results><dkim><domain>%s</domain><selector>s</selector><result>pass</result></dkim></auth_results></record>`,
			netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), i+1, domain, domain)
	}
	return b.String() + "</feedback>"
}

// letter is mail with a gzipped file.
func letter(t *testing.T, content string) Letter {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.WriteString(z, content)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	text := "Subject: Report Domain: ours.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nSee the file.\r\n" +
		"--x\r\nContent-Type: application/gzip; name=r.xml.gz\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(packed.Bytes()) + "\r\n--x--\r\n"
	return Letter{Time: time.Now(), Open: func(context.Context) (store.Body, error) { return &stored{strings.NewReader(text), text}, nil }}
}

type stored struct {
	io.ReaderAt
	text string
}

func (b *stored) Size() int64  { return int64(len(b.text)) }
func (b *stored) Close() error { return nil }

func TestReportsInMailAreKeptOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{fails: 2} // it does not answer at first
		in := NewIntake(IntakeOptions{Settings: settings, Domains: s, Reports: s})
		defer in.Close()
		if !in.Wants(mail.Address{Local: "DMARC", Domain: "ours.test"}) || in.Wants(mail.Address{Local: "bob", Domain: "ours.test"}) {
			t.Error("the wrong addresses get reports")
		}
		in.Offer(letter(t, feedback("OURS.test", "1", 3)))
		in.Offer(letter(t, feedback("ours.test", "1", 3)))
		in.Offer(letter(t, feedback("foreign.test", "2", 3)))
		in.Offer(letter(t, "no report"))
		in.Offer(letter(t, feedback("ours.test", "3", 1)))
		time.Sleep(time.Minute)
		synctest.Wait()
		added, _, _ := s.now()
		if len(added) != 2 || added[0].ReportID != "1" || added[1].ReportID != "3" {
			t.Fatalf("%+v", added)
		}
		r := added[0]
		if r.Domain != "ours.test" || r.Organization != "far.test" || r.Policy != "p=reject sp=reject adkim=r aspf=r pct=100" && r.Policy != "p=reject adkim=r aspf=r pct=100" ||
			len(r.Rows) != 3 || r.Begin.Unix() != 1700000000 {
			t.Errorf("%+v", r)
		}
		want := store.DMARCRow{Source: netip.MustParseAddr("10.0.0.2"), Count: 3, Disposition: "none", DKIM: "pass", SPF: "fail", HeaderFrom: "OURS.test", Detail: "dkim=pass OURS.test (s)"}
		want.HeaderFrom, want.Detail = r.Rows[0].HeaderFrom, r.Rows[0].Detail
		if r.Rows[0] != want || !strings.Contains(strings.ToLower(want.Detail), "dkim=pass ours.test (s)") {
			t.Errorf("%+v", r.Rows[0])
		}
	})
}

// The mail is in a mailbox by then, and nobody would look at it again.
func TestWhatWaitsAtAStopIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{fails: 1}
		in := NewIntake(IntakeOptions{Settings: settings, Domains: s, Reports: s})
		for i := range 20 {
			in.Offer(letter(t, feedback("ours.test", fmt.Sprint(i), 3)))
		}
		synctest.Wait() // the first waits for the store to come back
		began := time.Now()
		in.Close()
		if added, _, _ := s.now(); len(added) != 20 {
			t.Errorf("%d of 20 reports are kept", len(added))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// A stop takes its time whatever waits, and says what was not read.
func TestAStopWaitsForNoReportLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		in := NewIntake(IntakeOptions{Settings: settings, Log: event.New(event.Handler(&log, event.Options{}))})
		closed := 0
		for range 3 {
			in.Offer(Letter{Open: func(ctx context.Context) (store.Body, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		}
		in.Offer(Letter{Body: &counted{stored{strings.NewReader(""), ""}, &closed}})
		began := time.Now()
		in.Close()
		if took := time.Since(began); took != lastRead || closed != 1 {
			t.Errorf("it took %v, %d of 1 are closed", took, closed)
		}
		if n := strings.Count(log.String(), errStopped.Error()); n != 4 {
			t.Errorf("%d of 4 are told:\n%s", n, log.String())
		}
	})
}

func TestLargeReportsAreShortened(t *testing.T) {
	t.Parallel()
	r, err := dmarc.ParseReport([]byte(feedback("ours.test", "1", mostRows+50)))
	if err != nil {
		t.Fatal(err)
	}
	row := rowOf(r, time.Now())
	var sum int64
	for _, x := range row.Rows {
		sum += x.Count
	}
	n := int64(mostRows + 50)
	if len(row.Rows) != mostRows+1 || sum != n*(n+1)/2 || row.Rows[0].Count != n || row.Rows[mostRows].Source.IsValid() {
		t.Errorf("%d rows, %d messages, the first of %d, the last %+v", len(row.Rows), sum, row.Rows[0].Count, row.Rows[mostRows])
	}
}

// Whoever sends large reports all day pushes out few of the old ones, and takes
// the room of nobody else.
func TestOnlySoMuchIsKeptADay(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	in := &Intake{o: IntakeOptions{Settings: settings, Domains: s, Reports: s}}
	today := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	sent := 0
	large, err := dmarc.ParseReport([]byte(feedback("ours.test", "", mostRows)))
	if err != nil {
		t.Fatal(err)
	}
	send := func(origin string, rows int, day time.Time) error {
		r := *large
		r.ID, r.Rows = fmt.Sprint(sent), r.Rows[:rows]
		sent++
		return in.keep(t.Context(), Letter{Time: day, Origin: origin}, &r)
	}
	fill := func(origin string, rows, times int) {
		t.Helper()
		for range times {
			if err := send(origin, rows, today); err != nil {
				t.Fatal(origin, err)
			}
		}
		if err := send(origin, rows, today); !errors.Is(err, errShare) || !strings.Contains(err.Error(), origin) {
			t.Errorf("one more of %s: %v", origin, err)
		}
	}
	fill("many.test", 1, perDay/shares)
	each := rowsPerDay / shares / mostRows
	for i := range shares - 1 {
		fill(fmt.Sprint(i), mostRows, each)
	}
	for i := shares; in.all.rows+mostRows <= rowsPerDay; i++ {
		if err := send(fmt.Sprint(i), mostRows, today); err != nil {
			t.Fatal(err)
		}
	}
	if err := send("another", mostRows, today); !errors.Is(err, errTooMany) {
		t.Errorf("when all rows are used: %v", err)
	}
	if err := send("0", mostRows, today.Add(24*time.Hour)); err != nil || len(in.origins) != 1 {
		t.Errorf("the next day: %v, %v", err, in.origins)
	}
}

func TestReportsAreOfTheDomainThatIsProvenOrOfTheHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, client, want string }{
		{"", "192.0.2.1", "192.0.2.1/32"},
		{"", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		{"mx.test; spf=pass smtp.mailfrom=r@mail.far.co.uk; dkim=pass header.d=other.com; dmarc=none header.from=x.com", "192.0.2.1", "far.co.uk"},
		{"mx.test;\r\n\tspf=pass smtp.mailfrom=r@far.com;\r\n\tdmarc=pass (p=none) header.from=Big.Example.COM", "192.0.2.1", "example.com"},
		{"mx.test; spf=pass smtp.helo=out.far.com; dmarc=none", "192.0.2.1", "far.com"},
		{"mx.test; spf=none smtp.mailfrom=r@far.com; dkim=fail header.d=bad.com; dkim=pass header.d=good.com header.s=s", "192.0.2.1", "good.com"},
		{"mx.test; spf=softfail smtp.mailfrom=r@far.com; dkim=fail header.d=far.com; dmarc=fail header.from=far.com", "192.0.2.1", "192.0.2.1/32"},
		{`mx.test; spf=pass smtp.mailfrom="a; dmarc=pass header.from=big.com"@far.com`, "192.0.2.1", "far.com"},
		{"mx.test; (", "192.0.2.1", "192.0.2.1/32"},
	} {
		fields := []string{"X-Other: mx.test; dmarc=pass header.from=no.com\r\n"}
		if c.field != "" {
			fields = append(fields, "Authentication-Results: "+c.field+"\r\n")
		}
		if got := Origin(fields, c.client); got != c.want {
			t.Errorf("%s: %s, want %s", c.field, got, c.want)
		}
	}
}

func TestMaterialIsWrittenInSteps(t *testing.T) {
	t.Parallel()
	s := &shelf{fails: 1}
	m := &Material{o: MaterialOptions{Settings: settings, Reports: s}, counts: map[store.DMARCSeen]int64{}}
	for i := range 2*noteStep + 7 {
		m.counts[store.DMARCSeen{Domain: fmt.Sprint(i)}] = 2
	}
	for range 2 { // the first time the store fails
		m.write(t.Context())
	}
	if fmt.Sprint(s.notes) != fmt.Sprint([]int{noteStep, noteStep, 7}) || len(s.noted) != 2*noteStep+7 || s.noted[0].Count != 2 {
		t.Errorf("%d in steps of %v", len(s.noted), s.notes)
	}
}

func TestASweepGoesOnToItsEnd(t *testing.T) {
	t.Parallel()
	s := &shelf{steps: 5}
	m := &Material{o: MaterialOptions{Settings: settings, Reports: s}}
	m.sweep(t.Context())
	if s.steps != 0 || s.rows != settings().MostRows || s.rows == 0 {
		t.Errorf("%d steps are left, at most %d rows", s.steps, s.rows)
	}
}

func TestOnlySoManyLettersWait(t *testing.T) {
	t.Parallel()
	in := &Intake{o: IntakeOptions{Settings: settings}, letters: make(chan Letter, 1), closing: make(chan struct{}), cancel: func() {}}
	closed := 0
	body := func() store.Body { return &counted{stored{strings.NewReader(""), ""}, &closed} }
	for range 3 {
		in.Offer(Letter{Body: body()})
	}
	if closed != 2 {
		t.Errorf("%d of 2 are closed", closed)
	}
	if in.Close(); closed != 3 {
		t.Error("what waits is left open")
	}
}

type counted struct {
	stored
	n *int
}

func (c *counted) Close() error { *c.n++; return nil }

// origin says the same of every message.
type origin struct{ a policy.Authentication }

func (o origin) SPF(context.Context, *policy.Facts) policy.SPF {
	return policy.SPF{Result: "fail", Domain: "sender.test"}
}
func (o origin) Message(context.Context, *policy.Facts) policy.Authentication {
	return o.a
}

// judged are facts of a message that the rules asked about.
func judged(t *testing.T, client string) *policy.Facts {
	t.Helper()
	record, err := dmarc.ParseRecord("v=DMARC1; p=reject; rua=mailto:r@sender.test")
	if err != nil {
		t.Fatal(err)
	}
	f := &policy.Facts{Time: time.Now(), Client: netip.MustParseAddr(client), Sender: mail.Address{Local: "a", Domain: "sender.test"}, Content: &policy.Message{}}
	f.Authenticity = origin{policy.Authentication{Outcome: &dmarc.Outcome{Result: dmarc.Fail, Record: record, Publisher: "sender.test", Author: "sender.test", Action: dmarc.PolicyReject}}}
	f.SPF(t.Context())
	f.Authentication(t.Context())
	return f
}

func TestMaterialIsCountedAndWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{fails: 1}
		m := NewMaterial(MaterialOptions{Settings: settings, Reports: s})
		for range 3 {
			m.Judged(judged(t, "192.0.2.7"), &policy.Decision{Action: policy.Reject, Check: "dmarc"})
		}
		m.Judged(judged(t, "192.0.2.7"), &policy.Decision{Effects: policy.Effects{Junk: "x"}})
		m.Judged(judged(t, "192.0.2.7"), &policy.Decision{})
		m.Judged(judged(t, "192.0.2.7"), &policy.Decision{Action: policy.Reject, Check: "size"})
		m.Judged(&policy.Facts{Time: time.Now()}, &policy.Decision{}) // nobody asked
		time.Sleep(gathering + time.Second)
		synctest.Wait()
		if _, noted, _ := s.now(); len(noted) != 0 {
			t.Errorf("a failing store took %+v", noted)
		}
		time.Sleep(gathering)
		synctest.Wait()
		got := map[string]int64{}
		_, noted, _ := s.now()
		for _, r := range noted {
			if r.Domain != "sender.test" || r.Source.String() != "192.0.2.7" || r.SPFDomain != "sender.test" {
				t.Errorf("%+v", r)
			}
			got[r.Disposition+" "+r.Override] += r.Count
		}
		if fmt.Sprint(got) != "map[none local_policy:1 quarantine local_policy:1 reject :4]" {
			t.Error(got)
		}
		m.Judged(judged(t, "192.0.2.8"), &policy.Decision{})
		time.Sleep(sweeping)
		synctest.Wait()
		_, noted, swept := s.now()
		if age := time.Since(swept[0]); age < 9600*time.Hour || age > 9602*time.Hour || time.Since(swept[1]) > 722*time.Hour {
			t.Errorf("swept before %v", swept)
		}
		n := len(noted)
		m.Judged(judged(t, "192.0.2.9"), &policy.Decision{})
		m.Close()
		if _, noted, _ := s.now(); len(noted) != n+1 {
			t.Error("what was counted is lost at the end")
		}
	})
}

package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	gomail "github.com/emersion/go-message/mail"

	"posthorn/internal/base/reply"
)

func write(t testing.TB, n *Notice) (text string, eightBit bool) {
	t.Helper()
	var b bytes.Buffer
	eightBit, err := Write(&b, n)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), eightBit
}

// part is what an independent reader sees of a part.
type part struct {
	kind   string
	params map[string]string
	body   string
}

// foreign reads a message with another program's parser.
func foreign(t testing.TB, text string) (gomail.Header, []part) {
	t.Helper()
	e, err := message.Read(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	r := e.MultipartReader()
	if r == nil {
		t.Fatalf("no multipart:\n%s", text)
	}
	var parts []part
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return gomail.Header{Header: e.Header}, parts
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		kind, params, err := p.Header.ContentType()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		parts = append(parts, part{kind, params, string(body)})
	}
}

func TestAnotherReaderUnderstandsTheNotices(t *testing.T) {
	t.Parallel()
	for name, n := range goldens(t) {
		text, _ := write(t, n)
		h, parts := foreign(t, text)
		want := 3
		if n.Original.Content == nil {
			want = 2
		}
		if len(parts) != want || parts[0].kind != "text/plain" {
			t.Errorf("%s: %d parts", name, len(parts))
		}
		if subject, err := h.Subject(); err != nil || subject != n.subject() {
			t.Errorf("%s: subject %q, %v", name, subject, err)
		}
		if d, err := h.Date(); err != nil || !d.Equal(n.Date) {
			t.Errorf("%s: date %v, %v", name, d, err)
		}
		to, err := h.AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != n.To.String() {
			t.Errorf("%s: to %v, %v", name, to, err)
		}
		if from, err := h.AddressList("From"); err != nil || from[0].String() != `"Mail Delivery System" <mailer-daemon@mx.example.test>` {
			t.Errorf("%s: from %v, %v", name, from, err)
		}
		if got := strings.ReplaceAll(parts[0].body, "\r\n", "\n"); got != n.text(mustForm(t, n)) {
			t.Errorf("%s: text\n%s", name, got)
		}
	}
}

func mustForm(t testing.TB, n *Notice) form {
	t.Helper()
	f, err := n.Original.form(n.UTF8)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadFindsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for name, n := range goldens(t) {
		text, _ := write(t, n)
		for _, text := range []string{text, strings.ReplaceAll(text, "\r\n", "\n")} {
			r, err := Read(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if r.EnvelopeID != n.EnvelopeID || r.ReportingMTA != n.Host || !r.Arrived.Equal(n.Arrived) || len(r.Recipients) != len(n.Recipients) {
				t.Errorf("%s: %+v", name, r)
			}
			for i, got := range r.Recipients {
				want := &n.Recipients[i]
				if got.Final != want.Address.String() || got.Action != want.Action.String() || got.Status != want.status().String() || !got.LastAttempt.Equal(want.Last) {
					t.Errorf("%s: %+v", name, got)
				}
				if want.Action == Delayed && !got.Expiry.Equal(want.Until) {
					t.Errorf("%s: until %v", name, got.Expiry)
				}
				if _, original, _ := strings.Cut(want.Original, ";"); got.Original != original {
					t.Errorf("%s: original %q", name, got.Original)
				}
			}
			if n.Original.Full && !strings.HasSuffix(string(lf(r.Original)), "here are the minutes.\n\nAlice\n") {
				t.Errorf("%s: returned %q", name, r.Original)
			}
		}
	}
}

func TestReadTakesOtherPeoplesNotices(t *testing.T) {
	t.Parallel()
	const text = "From: MAILER-DAEMON\nContent-type: Multipart/Report;\n\tREPORT-TYPE=delivery-status; boundary=xyz\n\n" +
		"--xyz  \n\nHello\n--xyz\nContent-Type: message/delivery-status\n\n\nreporting-mta: dns ;mx.far.test (a comment)\n\n\n" +
		"Final-Recipient: RFC822;  bob@far.test\nAction:Failed\nStatus: 5.0.0 (permanent failure)\nDiagnostic-Code: smtp; 550\n\tno\nnonsense\n" +
		"Last-Attempt-Date: 2 Jan 2026 03:04:05 +0000 (UTC)\n\nFinal-Recipient: utf-8; \\x{E9}ve@far.test\nAction: delayed\nStatus: 4.0.0\n--xyz\nSubject: rest"
	r, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Recipients) != 2 || r.Text != "Hello" || r.ReportingMTA != "mx.far.test (a comment)" {
		t.Fatalf("%+v", r)
	}
	b, e := r.Recipients[0], r.Recipients[1]
	if b.Final != "bob@far.test" || b.FinalType != "rfc822" || b.Action != "failed" || b.Status != "5.0.0" || b.Diagnostic != "smtp; 550 no" || b.LastAttempt.IsZero() || e.Final != "éve@far.test" {
		t.Errorf("%+v %+v", b, e)
	}
	for _, text := range []string{"", "Subject: x\n\nhello", "Content-Type: multipart/report; boundary=a\n\n--a\n\nx\n--a--\n", "Content-Type: multipart/report\n\n"} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrNoReport) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTheOriginalIsReturnedInTheFormThatIsLegal(t *testing.T) {
	t.Parallel()
	long := "X: " + strings.Repeat("x", 1100) + "\r\n"
	for _, c := range []struct {
		name, header, body  string
		utf8, full          bool
		kind, encoding, end string // how the part ends, decoded
		eightBit            bool
	}{
		{"headers", "A: b\r\n\r\n", "text\r\n", false, false, "text/rfc822-headers", "7bit", "A: b\r\n\r\n", false},
		{"full", "A: b\r\n\r\n", "text\r\n", false, true, "message/rfc822", "7bit", "text\r\n", false},
		{"full without last line end", "A: b\r\n\r\n", "text", false, true, "message/rfc822", "7bit", "text", false},
		{"8-bit body", "A: b\r\n\r\n", "tést\r\n", false, true, "message/rfc822", "8bit", "tést\r\n", true},
		{"8-bit body, headers only", "A: b\r\n\r\n", "tést\r\n", false, false, "text/rfc822-headers", "7bit", "A: b\r\n\r\n", false},
		{"8-bit header", "A: é\r\n\r\n", "text\r\n", false, false, "text/rfc822-headers", "quoted-printable", "A: é\r\n\r\n", false},
		{"8-bit header, full", "A: é\r\n\r\n", "text\r\n", false, true, "message/rfc822", "8bit", "text\r\n", true},
		{"global", "A: é\r\n\r\n", "text\r\n", true, true, "message/global", "8bit", "text\r\n", true},
		{"global headers", "A: é\r\n\r\n", "text\r\n", true, false, "message/global-headers", "8bit", "A: é\r\n\r\n", true},
		{"global not needed", "A: b\r\n\r\n", "text\r\n", true, false, "text/rfc822-headers", "7bit", "A: b\r\n\r\n", true},
		{"NUL in the body", "A: b\r\n\r\n", "te\x00xt\r\n", false, true, "text/rfc822-headers", "7bit", "A: b\r\n\r\n", false},
		{"NUL in the header", "A: \x00b\r\n\r\n", "text\r\n", false, true, "text/rfc822-headers", "quoted-printable", "A: \x00b\r\n\r\n", false},
		{"bare LF", "A: b\r\n\r\n", "te\nxt\r\n", false, true, "text/rfc822-headers", "7bit", "A: b\r\n\r\n", false},
		{"bare CR at the end", "A: b\r\n\r\n", "text\r", false, true, "text/rfc822-headers", "7bit", "A: b\r\n\r\n", false},
		{"bare LF in the header", "A: b\nC: d\r\n\r\n", "text\r\n", false, false, "text/rfc822-headers", "quoted-printable", "A: b\r\nC: d\r\n\r\n", false},
		{"long line", "A: b\r\n\r\n", long, false, true, "text/rfc822-headers", "7bit", "A: b\r\n\r\n", false},
		{"long header line", long + "\r\n", "text\r\n", false, true, "text/rfc822-headers", "quoted-printable", long + "\r\n", false},
		{"too large a header", strings.Repeat("A: 345678\r\n", 7000) + "\r\n", "text\r\n", false, true, "text/rfc822-headers", "7bit", "A: 345678\r\nA: 345678\r\nA:", false},
	} {
		n := notice(t, remote(t, "bob@far.test", Failed, 550, reply.E(5, 1, 1), "no"))
		n.UTF8 = c.utf8
		n.Original = original1(c.header+c.body, len(c.header))
		n.Original.Full = c.full
		text, eightBit := write(t, n)
		form := mustForm(t, n)
		if form.kind != c.kind || form.encoding != c.encoding || eightBit != c.eightBit {
			t.Errorf("%s: %+v, 8-bit %v", c.name, form, eightBit)
		}
		_, parts := foreign(t, text)
		if len(parts) != 3 || parts[2].kind != c.kind || !strings.HasSuffix(strings.ReplaceAll(parts[2].body, "\r\n", "\n"), strings.ReplaceAll(c.end, "\r\n", "\n")) && c.name != "too large a header" {
			t.Errorf("%s: %d parts, %+v", c.name, len(parts), parts[len(parts)-1])
		}
		if len(parts[2].body) > maxHeader+2 {
			t.Errorf("%s: %d octets", c.name, len(parts[2].body))
		}
		wellFormed(t, text, eightBit)
	}
}

// wellFormed checks what every notice must be on the wire.
func wellFormed(t testing.TB, text string, eightBit bool) {
	t.Helper()
	for i, l := range strings.Split(text, "\r\n") {
		if len(l) > 998 || strings.ContainsAny(l, "\r\n\x00") {
			t.Errorf("line %d: %d octets %.80q", i+1, len(l), l)
		}
	}
	for i := 0; !eightBit && i < len(text); i++ {
		if text[i] >= 0x80 {
			t.Fatalf("octet %d is over 127: %q", i, text[max(0, i-40):i+1])
		}
	}
	if !strings.HasSuffix(text, "--\r\n") {
		t.Error("not ended")
	}
}

func TestFaultsOfTheCallerAreErrors(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Notice){
		"nobody":      func(n *Notice) { n.To.Local, n.To.Domain = "", "" },
		"no domain":   func(n *Notice) { n.To.Domain = "" },
		"8-bit":       func(n *Notice) { n.To.Local = "álice" },
		"boundary":    func(n *Notice) { n.Boundary = "a\r\nb: cdefghijklmnop" },
		"short":       func(n *Notice) { n.Boundary = "a" },
		"host":        func(n *Notice) { n.Host = "" },
		"no fates":    func(n *Notice) { n.Recipients = nil },
		"no identity": func(n *Notice) { n.ID = "" },
	} {
		n := notice(t, remote(t, "bob@far.test", Failed, 550, reply.E(5, 1, 1), "no"))
		change(n)
		if _, err := Write(io.Discard, n); !errors.Is(err, ErrNotice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n := notice(t, remote(t, "bob@far.test", Failed, 550, reply.E(5, 1, 1), "no"))
	n.Original.Size += 10
	n.Original.Full = true
	if _, err := Write(io.Discard, n); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("content shorter than told: %v", err)
	}
	if _, err := Write(broken{}, notice(t, n.Recipients...)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestManyRecipientsAreSummedUpForPeople(t *testing.T) {
	t.Parallel()
	var rcpts []Recipient
	for i := range 3000 {
		rcpts = append(rcpts, remote(t, fmt.Sprintf("user%d@far%d.test", i, i%25), Failed, 550, reply.E(5, 1, 1), "no such user"))
	}
	n := notice(t, rcpts...)
	text, _ := write(t, n)
	r, err := Read(strings.NewReader(text))
	if err != nil || len(r.Recipients) != 3000 {
		t.Fatal(err)
	}
	if len(r.Text) > 64<<10 || !strings.Contains(r.Text, "and 100 more, named") || !strings.Contains(r.Text, "There are 600 more recipients") {
		t.Errorf("%d octets\n%.3000s", len(r.Text), r.Text)
	}
}

func TestEveryLanguageSaysEverything(t *testing.T) {
	t.Parallel()
	braces := regexp.MustCompile(`\{[^}]*\}`)
	names := func(s string) map[string]bool {
		found := map[string]bool{}
		for _, m := range braces.FindAllString(s, -1) {
			found[m] = true
		}
		return found
	}
	var walk func(path string, v, en reflect.Value)
	walk = func(path string, v, en reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if v.String() == "" {
				t.Errorf("%s is missing", path)
			}
			if !reflect.DeepEqual(names(v.String()), names(en.String())) {
				t.Errorf("%s fills in other things than the English: %s", path, v)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i), en.Field(i))
			}
		case reflect.Array:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i), en.Index(i))
			}
		case reflect.Func:
			if v.IsNil() {
				t.Errorf("%s is missing", path)
			}
		}
	}
	for _, c := range catalogues {
		walk(c.tag, reflect.ValueOf(*c), reflect.ValueOf(english))
	}
	if got := strings.Join(Languages(), ","); got != "en,de,ja" {
		t.Error(got)
	}
}

func TestTimesReadNaturally(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		20 * time.Minute: "an hour|eine Stunde|1時間", 4 * time.Hour: "4 hours|4 Stunden|4時間",
		47 * time.Hour: "47 hours|47 Stunden|47時間", 5*24*time.Hour - time.Minute: "5 days|5 Tage|5日間",
	} {
		if got := english.span(d) + "|" + german.span(d) + "|" + japanese.span(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
	if got := english.date(now) + "|" + german.date(now) + "|" + japanese.date(now); got != "Friday, 9 January 2026, 14:30 CET|9. Januar 2026, 14:30 CET,|2026年1月9日 14:30 CET" {
		t.Error(got)
	}
}

func TestRepliesAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code      int
		e         reply.Enhanced
		text      string
		permanent bool
		want      cause
	}{
		{550, reply.E(5, 1, 1), "x", true, causeNoAddress},
		{450, reply.E(4, 1, 1), "unverified address", false, causeTrouble},
		{550, reply.E(5, 1, 2), "Host or domain name not found", true, causeNoDomain},
		{556, reply.E(5, 1, 10), "null MX", true, causeNoMail},
		{552, reply.E(5, 2, 2), "x", true, causeFull},
		{452, reply.E(4, 2, 2), "x", false, causeFull},
		{552, reply.E(5, 3, 4), "x", true, causeTooLarge},
		{451, reply.E(4, 7, 1), "Greylisted", false, causeGreylist},
		{451, reply.E(4, 7, 1), "try later", false, causeTrouble},
		{550, reply.E(5, 7, 1), "no thanks", true, causePolicy},
		{550, reply.E(5, 7, 1), "This looks like SPAM", true, causeSpam},
		{554, reply.E(5, 7, 1), "Relay access denied", true, causeRelay},
		{550, reply.E(5, 7, 1), "listed at Spamhaus", true, causeReputation},
		{550, reply.E(5, 7, 26), "x", true, causeUnverified},
		{550, reply.E(5, 7, 1), "failed DMARC", true, causeUnverified},
		{550, reply.E(5, 4, 1), "Recipient address rejected: Access denied", true, causeNoAddress},
		{550, reply.E(5, 5, 0), "Requested action not taken: mailbox unavailable", true, causeNoAddress},
		{530, reply.Enhanced{}, "x", true, causeLogin},
		{535, reply.E(5, 7, 8), "x", true, causeLogin},
		{454, reply.E(4, 7, 10), "x", false, causeTLS},
		{451, reply.E(4, 4, 3), "x", false, causeDNS},
		{421, reply.E(4, 4, 1), "connection timed out", false, causeNoAnswer},
		{554, reply.E(5, 4, 6), "loops back to myself", true, causeLoop},
		{554, reply.Enhanced{}, "transaction failed", true, causeRefused},
		{451, reply.Enhanced{}, "local error", false, causeTrouble},
		{550, reply.E(5, 99, 99), "x", true, causeRefused},
		{452, reply.E(4, 2, 2), "full", true, causeFull},
		{450, reply.E(4, 1, 1), "unverified", true, causeTrouble},
		{550, reply.E(5, 6, 7), "x", true, causeInternational},
		{451, reply.E(4, 3, 0), "try later", false, causeTrouble},
		{554, reply.E(5, 3, 0), "unknown mailer error", true, causeRefused},
		{550, reply.E(5, 1, 0), "we do not like this", true, causeRefused},
		{550, reply.E(5, 1, 0), "Unknown user", true, causeNoAddress},
		{451, reply.E(4, 4, 0), "no host could be tried", false, causeNoAnswer},
		{451, reply.E(4, 7, 0), "the login at smart.test:587 failed", false, causeLogin},
		{451, reply.E(4, 7, 4), "smart.test offers no TLS, which is demanded", false, causeTLS},
	} {
		if got := causeOf(reply.New(c.code, c.e, c.text), c.permanent); got != c.want {
			t.Errorf("%d %s %s: %d %q", c.code, c.e, c.text, got, english.causes[got].what)
		}
	}
	ours := Recipient{Action: Delayed, Reply: reply.New(451, reply.E(4, 3, 5), "the relay has no host")}
	theirs := ours
	theirs.Host = "mx.far.test"
	if ours.cause() != causeHere || theirs.cause() != causeSystem {
		t.Errorf("a trouble of ours is %d, one of theirs %d", ours.cause(), theirs.cause())
	}
}

// What was given up is told of by its last reply, and that is theirs alone.
func TestTheReportOfWhatExpiredHasTheLastReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		last    reply.Reply
		host    string
		ours    bool
		said    string
		because cause
	}{
		{reply.New(452, reply.E(4, 2, 2), "Mailbox full"), "mx.far.test [192.0.2.7]", false, "smtp; 452 4.2.2 Mailbox full", causeFull},
		{reply.New(450, reply.Enhanced{}, "busy"), "mx.far.test", false, "smtp; 450 busy", causeTrouble},
		{reply.New(451, reply.E(4, 4, 2), "mx.far.test hung up"), "mx.far.test", true, "X-Posthorn; 451 4.4.2 mx.far.test hung up", causeNoAnswer},
		{reply.New(451, reply.E(4, 4, 3), "no answer of DNS"), "", false, "X-Posthorn; 451 4.4.3 no answer of DNS", causeDNS},
		{reply.Reply{}, "", false, "", causeHere},
	} {
		r := &Recipient{Action: Failed, Expired: true, Host: c.host, Ours: c.ours, Reply: c.last}
		if r.status().String() != "4.4.7" || r.diagnostic() != c.said || r.cause() != c.because {
			t.Errorf("%s: status %s, %q, cause %d", c.last, r.status(), r.diagnostic(), r.cause())
		}
	}
}

func TestTheStatusFitsTheAction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a    Action
		r    reply.Reply
		want string
	}{
		{Failed, reply.New(550, reply.E(5, 1, 1), "x"), "5.1.1"},
		{Failed, reply.New(450, reply.E(4, 4, 7), "x"), "4.4.7"},
		{Failed, reply.New(250, reply.E(2, 0, 0), "x"), "5.0.0"},
		{Failed, reply.New(450, reply.Enhanced{}, "x"), "4.0.0"},
		{Failed, reply.Reply{}, "5.0.0"},
		{Delayed, reply.New(550, reply.E(5, 1, 1), "x"), "4.0.0"},
		{Delayed, reply.New(451, reply.E(4, 3, 0), "x"), "4.3.0"},
		{Delivered, reply.New(250, reply.Enhanced{}, "x"), "2.0.0"},
		{Relayed, reply.New(250, reply.E(2, 1, 5), "x"), "2.1.5"},
	} {
		if got := (&Recipient{Action: c.a, Reply: c.r}).status().String(); got != c.want {
			t.Errorf("%s %s: %s", c.a, c.r, got)
		}
	}
}

func TestFoldedFieldsComeBack(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "a  b", `"two  spaces"@x.test`, strings.Repeat("word ", 60) + "end", strings.Repeat("x ", 38) + " y  z" + strings.Repeat(" w", 80)} {
		f := string(fold(nil, "Name", s, false))
		for l := range strings.SplitSeq(strings.TrimSuffix(f, "\r\n"), "\r\n") {
			if strings.TrimSpace(l) == "" || len(l) > maxColumns+20 {
				t.Errorf("%q: line %q", s, l)
			}
		}
		if got := strings.ReplaceAll(strings.TrimPrefix(f, "Name: "), "\r\n", ""); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if got := string(fold(nil, "N", "a\r\nB: c\x00\u2028d\u0085é", false)); got != "N: a  B: c  d ?\r\n" {
		t.Errorf("%q", got)
	}
	two := strings.Repeat("x", 2030) + "  " + strings.Repeat("é", 500) + strings.Repeat(" ", 3000) + "end"
	for l := range strings.SplitSeq(string(fold(nil, "N", two, true)), "\r\n") {
		if len(l) > 998 || !utf8.ValidString(l) || l != "" && strings.TrimSpace(l) == "" {
			t.Errorf("%d octets: %q", len(l), l)
		}
	}
	if got := string(fold(nil, "N", " \r\n ", true)); got != "" {
		t.Errorf("%q", got)
	}
}

func TestAddressesOutsideASCIIHaveAnASCIIForm(t *testing.T) {
	t.Parallel()
	n := notice(t, remote(t, "用+户@far.test", Failed, 553, reply.E(5, 6, 7), "é"))
	n.Recipients[0].Original = `utf-8;é\x@far.test`
	text, eightBit := write(t, n)
	wellFormed(t, text, eightBit)
	for _, want := range []string{`Final-Recipient: utf-8; \x{7528}\x{2B}\x{6237}@far.test`, `Original-Recipient: utf-8; \x{E9}\x{5C}x@far.test`, "Diagnostic-Code: smtp; 553 5.6.7 ?\r\n"} {
		if eightBit || !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	r, err := Read(strings.NewReader(text))
	if err != nil || r.Recipients[0].Final != "用+户@far.test" || r.Recipients[0].Original != `é\x@far.test` {
		t.Errorf("%+v, %v", r, err)
	}
}

// What the host did not say does not stand where its words do (RFC 3464 §2.3.6).
func TestADiagnosticIsWhatTheHostSaid(t *testing.T) {
	t.Parallel()
	r := remote(t, "bob@far.test", Failed, 550, reply.E(5, 1, 0), "no")
	r.Reply.Inferred = true
	text, _ := write(t, notice(t, r))
	for _, want := range []string{"\r\nStatus: 5.1.0\r\n", "\r\nDiagnostic-Code: smtp; 550 no\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

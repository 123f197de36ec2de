package accept

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// draft is a message that lies nowhere.
type draft struct{ text string }

func (d *draft) Write(p []byte) (int, error) { d.text += string(p); return len(p), nil }
func (d *draft) Size() int64                 { return int64(len(d.text)) }
func (d *draft) Open() (store.Body, error)   { return nil, io.ErrUnexpectedEOF }
func (d *draft) Discard()                    {}

// commits fails as told and keeps what it was given.
type commits struct {
	errs []error
	got  []*store.Acceptance
}

func (c *commits) Accept(_ context.Context, a *store.Acceptance) (store.Accepted, error) {
	c.got = append(c.got, a)
	if len(c.errs) == 0 {
		return store.Accepted{}, nil
	}
	err := c.errs[0]
	c.errs = c.errs[1:]
	return store.Accepted{}, err
}

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const text = "From: a@example.test\r\nSubject: x\r\n\r\nhello\r\n"

func message(t testing.TB, to ...Recipient) (*Envelope, *Content) {
	e := &Envelope{Key: ident.NewSource().New(), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Sender: addr(t, "a@remote.example"), Recipients: to}
	return e, &Content{Body: &draft{text}, Structure: mime.Parse([]byte(text)), Trace: []byte("Received: from x; y\r\n")}
}

func run(t *testing.T, e *Envelope, c *Content) *store.Acceptance {
	t.Helper()
	s := &commits{}
	if err := New(s, Options{}).Accept(t.Context(), e, c); err != nil {
		t.Fatal(err)
	}
	return s.got[0]
}

func TestOneAccountIsFiledAtOnce(t *testing.T) {
	e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}},
		Recipient{Address: addr(t, "b+x@example.test"), Accounts: []store.AccountID{7}})
	a := run(t, e, c)
	if a.Queue != nil || a.Account != 7 || len(a.Filings) != 1 || a.Filings[0].Role != store.RoleInbox || !a.Filings[0].Internal.Equal(e.Time) {
		t.Fatalf("%+v", a)
	}
	head := "Return-Path: <a@remote.example>\r\nDelivered-To: b@example.test\r\nReceived: from x; y\r\n"
	if got := string(a.Filings[0].Head); got != head {
		t.Errorf("head %q", got)
	}
	// The structure stored is that of head and body together.
	var m mime.Structure
	if err := m.UnmarshalBinary(a.Filings[0].Meta); err != nil {
		t.Fatal(err)
	}
	whole := mime.Parse([]byte(head + text))
	if m.Size != whole.Size || m.Parts[0].Header != whole.Parts[0].Header || m.Parts[0].Body != whole.Parts[0].Body {
		t.Errorf("stored %+v, parsed %+v", m.Parts[0], whole.Parts[0])
	}
	if c.Structure.Size != int64(len(text)) {
		t.Error("the structure of the content was left shifted")
	}
}

func TestOthersBecomeQueueRowsInTheSameCommit(t *testing.T) {
	e, c := message(t,
		Recipient{Address: addr(t, "team@example.test"), Accounts: []store.AccountID{7, 8, 9}, Remote: []mail.Address{addr(t, "c@far.example")}},
		Recipient{Address: addr(t, "c@far.example"), Remote: []mail.Address{addr(t, "c@far.example")}, Original: "rfc822;C@far.example", Notify: store.NotifyNever},
		Recipient{Address: addr(t, "d@far.example"), Remote: []mail.Address{addr(t, "d@far.example")}, Notify: store.NotifyFailure})
	a := run(t, e, c)
	if a.Account != 7 || len(a.Filings) != 1 || a.Queue == nil || a.Queue.ID != e.Key {
		t.Fatalf("%+v", a)
	}
	var got []string
	for _, r := range a.Queue.Recipients {
		got = append(got, r.Address.String()+" "+r.Original+" "+string(rune('0'+r.Local))+string(rune('0'+r.Notify)))
	}
	want := "team@example.test  80\nteam@example.test  90\nteam@example.test  00\nc@far.example rfc822;C@far.example 01\nd@far.example  04"
	if strings.Join(got, "\n") != want {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if q := a.Queue; string(q.Head) != "Received: from x; y\r\n" || q.Size != int64(len(q.Head)+len(text)) || !q.Expires.Equal(e.Time.Add(5*24*time.Hour)) {
		t.Errorf("%+v", q)
	}
}

func TestReportsAndReleaseTimesGoThroughTheQueue(t *testing.T) {
	e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}, Notify: store.NotifySuccess})
	if a := run(t, e, c); len(a.Filings) != 0 || a.Account != 0 || a.Queue.Recipients[0].Local != 7 {
		t.Errorf("%+v", a)
	}
	e, c = message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
	e.Release = e.Time.Add(time.Hour)
	if a := run(t, e, c); len(a.Filings) != 0 || !a.Queue.Recipients[0].NextTry.Equal(e.Release) || !a.Queue.Expires.Equal(e.Release.Add(5*24*time.Hour)) {
		t.Errorf("%+v", a)
	}
}

// rows shows queue rows: address, ORCPT, account and NOTIFY.
func rows(a *store.Acceptance) string {
	var got []string
	if a.Queue != nil {
		for _, r := range a.Queue.Recipients {
			got = append(got, fmt.Sprintf("%s %q %d %d", r.Address, r.Original, r.Local, r.Notify))
		}
	}
	return strings.Join(got, "\n")
}

func TestWhoWantsToBeToldIsToldWhereTwoLeadToOnePlace(t *testing.T) {
	far := addr(t, "c@far.example")
	to := func(s string, n store.Notify) Recipient {
		return Recipient{Address: addr(t, s), Remote: []mail.Address{far}, Notify: n, Onward: true}
	}
	here := func(s string, n store.Notify) Recipient {
		return Recipient{Address: addr(t, s), Accounts: []store.AccountID{7}, Notify: n}
	}
	for name, c := range map[string]struct {
		to   []Recipient
		want string
	}{
		"NEVER, then nothing": {[]Recipient{to("team@example.test", store.NotifyNever), to("c@far.example", 0)}, `c@far.example "" 0 0`},
		"nothing, then NEVER": {[]Recipient{to("team@example.test", 0), to("c@far.example", store.NotifyNever)}, `c@far.example "rfc822;team@example.test" 0 0`},
		"FAILURE, then SUCCESS": {[]Recipient{to("c@far.example", store.NotifyFailure), to("team@example.test", store.NotifySuccess)},
			`c@far.example "rfc822;team@example.test" 0 6`},
		"nothing, then FAILURE": {[]Recipient{to("c@far.example", 0), to("team@example.test", store.NotifyFailure)}, `c@far.example "" 0 0`},
		"a silent copy, then the recipient": {[]Recipient{{Address: addr(t, "postmaster@example.test"), Accounts: []store.AccountID{7}, Copies: []mail.Address{far}, Onward: true},
			to("c@far.example", 0)}, `c@far.example "" 0 0`},
		"the recipient, then a silent copy": {[]Recipient{to("c@far.example", 0),
			{Address: addr(t, "postmaster@example.test"), Accounts: []store.AccountID{7}, Copies: []mail.Address{far}, Onward: true}}, `c@far.example "" 0 0`},
		"SUCCESS for what could be filed": {[]Recipient{here("b@example.test", 0), here("b+x@example.test", store.NotifySuccess)}, `b+x@example.test "" 7 14`},
		"two mailboxes by their case":     {[]Recipient{to("c@far.example", 0), {Address: addr(t, "C@far.example"), Remote: []mail.Address{addr(t, "C@far.example")}}}, "c@far.example \"\" 0 0\nC@far.example \"\" 0 0"},
	} {
		e, m := message(t, c.to...)
		if got := rows(run(t, e, m)); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}

func TestSuccessOfAGroupIsReportedOnce(t *testing.T) {
	group := Recipient{Address: addr(t, "team@example.test"), Accounts: []store.AccountID{7, 8}, Remote: []mail.Address{addr(t, "c@far.example")}}
	group.Onward = true
	for notify, want := range map[store.Notify]string{
		store.NotifySuccess:                       "team@example.test \"\" 7 2\nc@far.example \"rfc822;team@example.test\" 0 1",
		store.NotifySuccess | store.NotifyFailure: "team@example.test \"\" 7 6\nc@far.example \"rfc822;team@example.test\" 0 4",
		store.NotifyNever:                         "team@example.test \"\" 8 1\nc@far.example \"rfc822;team@example.test\" 0 1",
	} {
		group.Notify = notify
		e, m := message(t, group)
		a := run(t, e, m)
		if got := rows(a); got != want || len(a.Filings) != 1 {
			t.Errorf("NOTIFY %d:\n%s, want\n%s", notify, got, want)
		}
	}
}

func TestAPlannedNoticeGoesThroughTheQueueAlone(t *testing.T) {
	e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}, Notify: store.NotifyNever})
	e.Sender, e.Queued, c.Trace = mail.Address{}, true, nil
	s := &commits{}
	a, err := New(s, Options{}).Plan(e, c)
	if err != nil || len(s.got) != 0 {
		t.Fatal(err, s.got)
	}
	if len(a.Filings) != 0 || a.Account != 0 || len(a.Queue.Recipients) != 1 || a.Queue.Recipients[0].Local != 7 || a.Queue.Recipients[0].Notify != store.NotifyNever {
		t.Errorf("%+v", a)
	}
	if !a.Queue.Expires.Equal(e.Time.Add(48 * time.Hour)) {
		t.Errorf("expires %v", a.Queue.Expires)
	}
}

func TestSubmittedMessagesAreCompleted(t *testing.T) {
	e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
	c.Complete, c.Host = true, "mx.example.test"
	a := run(t, e, c)
	head := string(a.Filings[0].Head)
	if !strings.HasSuffix(head, "Received: from x; y\r\nMessage-ID: <"+e.Key.String()+"@mx.example.test>\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n") {
		t.Errorf("%q", head)
	}
	var m mime.Structure
	if err := m.UnmarshalBinary(a.Filings[0].Meta); err != nil || m.Envelope().MessageID == "" || m.Envelope().Date == "" {
		t.Errorf("%+v %v", m.Envelope(), err)
	}
	e, c = message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
	c.Structure, c.Complete = mime.Parse([]byte("Date: x\r\nMessage-ID: <y@z>\r\n\r\n")), true
	if head := string(run(t, e, c).Filings[0].Head); strings.Contains(head, "Message-ID") || strings.Contains(head, "Date:") {
		t.Errorf("%q", head)
	}
}

func TestUnknownOutcomeIsAskedAgainUnderTheSameKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &commits{errs: []error{store.ErrUnknownOutcome, store.ErrUnknownOutcome}}
		e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
		if err := New(s, Options{}).Accept(t.Context(), e, c); err != nil || len(s.got) != 3 || s.got[2].Key != e.Key {
			t.Fatal(err, len(s.got))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := New(&commits{errs: []error{store.ErrUnknownOutcome}}, Options{}).Accept(ctx, e, c); !errors.Is(err, store.ErrUnknownOutcome) {
			t.Fatal(err)
		}
	})
}

// outage is a store whose commit was made and not confirmed, and which is
// away afterwards for a time.
type outage struct {
	lasts time.Duration
	then  error
	began time.Time
}

func (o *outage) Accept(context.Context, *store.Acceptance) (store.Accepted, error) {
	switch {
	case o.began.IsZero():
		o.began = time.Now()
		return store.Accepted{}, store.ErrUnknownOutcome
	case time.Since(o.began) < o.lasts:
		return store.Accepted{}, fmt.Errorf("starting up: %w", store.ErrUnavailable)
	}
	return store.Accepted{Repeated: true}, o.then
}

func TestDoubtIsNotForgottenWhileTheStoreIsAway(t *testing.T) {
	for lasts, settled := range map[time.Duration]bool{time.Second: true, time.Minute: true, 150 * time.Second: true, 24 * time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
			begin := time.Now()
			var filed []store.Accepted
			told := func(_ *Envelope, _ *Content, _ *store.Acceptance, done store.Accepted) { filed = append(filed, done) }
			err := New(&outage{lasts: lasts}, Options{Filed: told}).Accept(t.Context(), e, c)
			took := time.Since(begin)
			switch {
			case settled && (len(filed) != 1 || filed[0].Repeated), !settled && len(filed) > 0:
				t.Errorf("away for %v: told of %+v", lasts, filed)
			case settled && (err != nil || took > lasts+mostWait):
				t.Errorf("away for %v: %v after %v", lasts, err, took)
			case !settled && (!errors.Is(err, store.ErrUnknownOutcome) || ReplyTo(err).Code != 451):
				t.Errorf("away for %v: %v", lasts, err)
			case took > 4*time.Minute: // with the checks of the content that is all a client waits
				t.Errorf("away for %v: the client waited %v", lasts, took)
			}
		})
	}
}

func TestAnAnswerOfTheStoreEndsTheDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
		s := &outage{lasts: time.Second, then: store.ErrOverQuota}
		err := New(s, Options{}).Accept(t.Context(), e, c)
		if took := time.Since(s.began); ReplyTo(err).Code != 452 || errors.Is(err, store.ErrUnknownOutcome) || took > 10*time.Second {
			t.Error(err, took)
		}
	})
}

// SMTP has one reply for all at the end of the content.
func TestAFullMailboxKeepsNobodyElseFromTheirMail(t *testing.T) {
	small := Recipient{Address: addr(t, "small@example.test"), Accounts: []store.AccountID{7}}
	you := Recipient{Address: addr(t, "you@example.test"), Accounts: []store.AccountID{8}}
	full := &store.OverQuota{Account: 7, Usage: store.Usage{Bytes: 501, LimitBytes: 10 << 10}, Bytes: 20 << 10}
	e, c := message(t, small, you)
	c.Complete, c.Host, c.Effects.Copy.Field = true, "example.test", "X-Junk: yes\r\n"
	s := &commits{errs: []error{fmt.Errorf("accept x: %w", full)}}
	if err := New(s, Options{}).Accept(t.Context(), e, c); err != nil || len(s.got) != 2 {
		t.Fatal(err, len(s.got))
	}
	if a := s.got[1]; len(a.Filings) != 0 || a.Account != 0 || len(a.Queue.Recipients) != 2 || a.Queue.Recipients[0].Local != 7 || !a.Queue.Sift || !strings.Contains(string(a.Queue.Head), "Message-ID: ") {
		t.Errorf("%+v", a)
	}
	e, c = message(t, small)
	s = &commits{errs: []error{fmt.Errorf("accept x: %w", full)}}
	err := New(s, Options{}).Accept(t.Context(), e, c)
	if ReplyTo(err).Code != 452 || len(s.got) != 1 || err.Error() != "the mailbox of small@example.test holds 501 B of 10 KB, and the message has 20 KB" {
		t.Error(err, len(s.got))
	}
}

func TestAStoreThatIsAwayWithoutDoubtIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
		s := &commits{errs: []error{store.ErrUnavailable}}
		begin := time.Now()
		err := New(s, Options{}).Accept(t.Context(), e, c)
		if ReplyTo(err).Code != 451 || len(s.got) != 1 || time.Since(begin) != 0 {
			t.Error(err, len(s.got), time.Since(begin))
		}
	})
}

func TestStoreErrorsAreTemporary(t *testing.T) {
	for err, want := range map[error]string{
		store.ErrOverQuota: "452 4.2.2 Mailbox full", store.ErrFull: "452 4.3.1 Insufficient system storage",
		store.ErrReadOnly: "451 4.3.0 Temporary problem, try again later", errors.New("x"): "451 4.3.0 Temporary problem, try again later",
	} {
		e, c := message(t, Recipient{Address: addr(t, "b@example.test"), Accounts: []store.AccountID{7}})
		got := New(&commits{errs: []error{err}}, Options{}).Accept(t.Context(), e, c)
		if r := ReplyTo(got); r.String() != want || !errors.Is(r.Cause, err) {
			t.Errorf("%v: %s", err, r)
		}
	}
}

// What leaves again under another address waits as the forward-path it came
// for: one row, however many addresses stand behind it.
func TestForwardedMailWaitsUnderItsOwnAddress(t *testing.T) {
	far := []mail.Address{addr(t, "c@far.example"), addr(t, "d@far.example")}
	bob := addr(t, "bob@example.test")
	for name, c := range map[string]struct {
		to    []Recipient
		filed int
		want  string
	}{
		"no copy here":         {[]Recipient{{Address: bob, Remote: far, Original: "rfc822;B@x", Notify: store.NotifyFailure}}, 0, `bob@example.test "rfc822;B@x" 0 4`},
		"a copy here":          {[]Recipient{{Address: bob, Accounts: []store.AccountID{7}, Remote: far}}, 1, `bob@example.test "" 0 0`},
		"silent copies":        {[]Recipient{{Address: addr(t, "postmaster@example.test"), Accounts: []store.AccountID{7}, Copies: far}}, 1, `postmaster@example.test "" 0 1`},
		"both":                 {[]Recipient{{Address: bob, Remote: far[:1], Copies: far[1:]}}, 0, `bob@example.test "" 0 0`},
		"named twice":          {[]Recipient{{Address: bob, Remote: far, Notify: store.NotifyNever}, {Address: bob, Remote: far}}, 0, `bob@example.test "" 0 0`},
		"success, told once":   {[]Recipient{{Address: bob, Accounts: []store.AccountID{7}, Remote: far, Notify: store.NotifySuccess}}, 0, "bob@example.test \"\" 7 2\nbob@example.test \"\" 0 1"},
		"one that stays as is": {[]Recipient{{Address: far[0], Remote: far[:1]}}, 0, `c@far.example "" 0 0`},
	} {
		e, m := message(t, c.to...)
		a := run(t, e, m)
		if got := rows(a); got != c.want || len(a.Filings) != c.filed {
			t.Errorf("%s: %d filed,\n%s, want\n%s", name, len(a.Filings), got, c.want)
		}
	}
}

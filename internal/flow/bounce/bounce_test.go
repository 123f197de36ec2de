package bounce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/wire/dsn"
	"posthorn/internal/wire/mime"
)

// world is a real store and directory with the users alice and, disabled,
// carol, and an alias that leads elsewhere.
type world struct {
	t        *testing.T
	store    store.Store
	alice    store.AccountID
	settings Settings
	log      bytes.Buffer
	*Bouncer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := sqlstore.OpenSQLite(context.Background(), t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, store: s, settings: setting.Defaults[Settings](setting.Recommended)}
	d, ctx := s.Directory(), t.Context()
	must(t, d.PutDomain(ctx, store.AnyVersion, store.DomainRow{Name: "ours.test"}))
	must(t, d.PutDomain(ctx, store.AnyVersion, store.DomainRow{Name: "closed.test", Disabled: true}))
	w.alice, err = d.AddAccount(ctx, store.AccountRow{Addresses: []mail.Address{addr(t, "alice@ours.test")}, QuotaBytes: 1, Created: time.Now()})
	must(t, err)
	_, err = d.AddAccount(ctx, store.AccountRow{Addresses: []mail.Address{addr(t, "carol@ours.test")}, Disabled: true, Created: time.Now()})
	must(t, err)
	must(t, d.PutAlias(ctx, store.AnyVersion, store.AliasRow{Address: addr(t, "team@ours.test"), Targets: []mail.Address{addr(t, "alice@ours.test"), addr(t, "dan@other.test")}}))
	dirSettings := setting.Defaults[directory.Settings](setting.Recommended)
	dir := directory.New(d, directory.Options{Settings: func() *directory.Settings { return &dirSettings }, HostName: func() string { return "mx.ours.test" }})
	w.Bouncer = New(Options{Settings: func() *Settings { return &w.settings }, Recipients: dir, Drafts: s, Planner: accept.New(s, accept.Options{}),
		Idents: ident.NewSource(), Host: func() string { return "mx.ours.test" }, Log: event.New(event.Handler(&w.log, event.Options{}))})
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	var a mail.Address
	must(t, a.UnmarshalText([]byte(s)))
	return a
}

// text is a body in memory that counts what is read of it.
type text struct {
	*strings.Reader
	read   int
	broken error
	closed bool
}

func (b *text) ReadAt(p []byte, at int64) (int, error) {
	if b.broken != nil {
		return 0, b.broken
	}
	n, err := b.Reader.ReadAt(p, at)
	b.read += n
	return n, err
}

func (b *text) Close() error { b.closed = true; return nil }

const header = "Received: from x by y; z\r\nFrom: alice@ours.test\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n" +
	"References: <0@ours.test>\r\nMessage-ID: <1@ours.test>\r\n\r\n"

// message is a queued message of alice and its body.
func message(t testing.TB, content string) (queue.Notice, *text) {
	t.Helper()
	body := &text{Reader: strings.NewReader(content)}
	meta, err := mime.Parse([]byte(content)).AppendBinary(nil)
	must(t, err)
	m := store.QueueMessage{ID: ident.NewSource().New(), Sender: addr(t, "alice@ours.test"), Account: 1, Meta: meta, Size: int64(len(content)),
		Accepted: time.Now().Add(-time.Hour), Expires: time.Now().Add(119 * time.Hour), EnvelopeID: "E1"}
	return queue.Notice{Message: m, Body: func(context.Context) (store.Body, error) { return body, nil }}, body
}

func report(t testing.TB, to string, a queue.Action, n store.Notify) queue.Report {
	t.Helper()
	r := queue.Report{Recipient: store.QueueRecipient{Address: addr(t, to), Notify: n}, Action: a, Host: "mx.far.test [192.0.2.7]", At: time.Now()}
	r.Reply = map[queue.Action]reply.Reply{queue.ActionFailed: reply.New(550, reply.E(5, 1, 1), "no such user"), queue.ActionDelayed: reply.New(451, reply.E(4, 3, 0), "later"),
		queue.ActionDelivered: reply.New(250, reply.E(2, 0, 0), "filed"), queue.ActionRelayed: reply.New(250, reply.E(2, 0, 0), "ok")}[a]
	return r
}

// tell makes a notice that must not fail.
func (w *world) tell(n queue.Notice) *store.Acceptance {
	w.t.Helper()
	w.log.Reset()
	a, err := w.Notice(w.t.Context(), n)
	must(w.t, err)
	return a
}

// content reads a notice back.
func (w *world) content(a *store.Acceptance) (string, *dsn.Report) {
	w.t.Helper()
	body, err := a.Body.Open()
	must(w.t, err)
	raw, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	must(w.t, err)
	r, err := dsn.Read(bytes.NewReader(raw))
	must(w.t, err)
	return string(raw), r
}

func TestNotifyDecidesWhatIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.PerHour = 0
	// Which of failed, delayed, delivered and relayed are told.
	for notify, want := range map[store.Notify]string{
		0: "yes yes no no", store.NotifyNever: "no no no no", store.NotifySuccess: "no no yes yes", store.NotifyFailure: "yes no no no",
		store.NotifyDelay: "no yes no no", store.NotifySuccess | store.NotifyFailure: "yes no yes yes",
		store.NotifyFailure | store.NotifyDelay: "yes yes no no", store.NotifySuccess | store.NotifyFailure | store.NotifyDelay: "yes yes yes yes",
	} {
		var got []string
		for a := queue.ActionFailed; a <= queue.ActionRelayed; a++ {
			n, body := message(t, header+"Hello.\r\n")
			n.Reports = []queue.Report{report(t, "bob@far.test", a, notify)}
			told := w.tell(n)
			if told == nil {
				got = append(got, "no")
				if body.read > 0 || w.log.String() != "" {
					t.Errorf("NOTIFY %d, action %d: work for nothing: %s", notify, a, w.log.String())
				}
				continue
			}
			got = append(got, "yes")
			_, r := w.content(told)
			if len(r.Recipients) != 1 || r.Recipients[0].Action != dsn.Action(a).String() || !body.closed {
				t.Errorf("NOTIFY %d, action %d: %+v, closed %v", notify, a, r, body.closed)
			}
			told.Body.Discard()
		}
		if strings.Join(got, " ") != want {
			t.Errorf("NOTIFY %d: %s, want %s", notify, strings.Join(got, " "), want)
		}
	}
}

func TestReturnDecidesWhatIsReturned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.PerHour = 0
	for _, c := range []struct {
		ret     string
		account store.AccountID
		action  queue.Action
		size    int
		tls     bool
		full    bool
		sender  string
	}{
		{"FULL", 0, queue.ActionFailed, 10, false, true, ""},
		{"FULL", 1, queue.ActionFailed, 10, false, true, ""},
		{"HDRS", 1, queue.ActionFailed, 10, false, false, ""},
		{"", 1, queue.ActionFailed, 10, false, true, ""},
		{"", 0, queue.ActionFailed, 10, false, false, ""}, // a forged sender gets nothing of a stranger's text
		{"FULL", 1, queue.ActionDelayed, 10, false, false, ""},
		{"FULL", 1, queue.ActionDelivered, 10, false, false, ""},
		{"FULL", 1, queue.ActionRelayed, 10, false, false, ""},
		{"FULL", 1, queue.ActionFailed, 10, true, false, ""},
		{"FULL", 1, queue.ActionFailed, 99 << 10, false, true, ""},
		{"FULL", 1, queue.ActionFailed, 100 << 10, false, false, ""},
		{"FULL", 1, queue.ActionFailed, 10, false, true, "alice@far.test"},
		{"FULL", 0, queue.ActionFailed, 10, false, false, "victim@far.test"}, // who forges a sender writes RET too
	} {
		n, _ := message(t, header+strings.Repeat("0123456\r\n", (c.size+8)/9))
		n.Message.Return, n.Message.Account, n.Message.RequireTLS = c.ret, c.account, c.tls
		if c.sender != "" {
			n.Message.Sender = addr(t, c.sender)
		}
		n.Reports = []queue.Report{report(t, "bob@far.test", c.action, store.NotifySuccess|store.NotifyFailure|store.NotifyDelay)}
		a := w.tell(n)
		raw, r := w.content(a)
		kind := "text/rfc822-headers"
		if c.full {
			kind = "message/rfc822"
		}
		if r.OriginalType != kind || strings.Contains(raw, "0123456") != c.full || a.Queue.RequireTLS != c.tls {
			t.Errorf("%+v: %s, %+v", c, r.OriginalType, a.Queue)
		}
		a.Body.Discard()
	}
}

func TestTheNoticeSaysWhatItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.Languages = []string{"de", "en"}
	n, _ := message(t, header+"Hello.\r\n")
	n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0), report(t, "no@far.test", queue.ActionFailed, store.NotifyNever),
		report(t, "eve@far.test", queue.ActionDelayed, 0)}
	n.Reports[0].Recipient.Original = "rfc822;Bob@far.test"
	a := w.tell(n)
	raw, r := w.content(a)
	for _, want := range []string{"From: Mail Delivery System <mailer-daemon@mx.ours.test>\r\nTo: <alice@ours.test>\r\n", "Auto-Submitted: auto-replied\r\n",
		"Message-ID: <" + a.Key.String() + "@mx.ours.test>\r\nIn-Reply-To: <1@ours.test>\r\nReferences: <0@ours.test> <1@ours.test>\r\n"} {
		if !strings.Contains(raw, want) {
			t.Errorf("no %q in\n%s", want, raw)
		}
	}
	if r.EnvelopeID != "E1" || r.ReportingMTA != "mx.ours.test" || len(r.Recipients) != 2 || r.Recipients[0].Original != "Bob@far.test" || r.Recipients[1].Expiry.IsZero() {
		t.Errorf("%+v", r)
	}
	if !strings.HasPrefix(r.Text, "Ihre Nachricht „Grüße“ konnte nicht zugestellt werden an:") || !strings.Contains(r.Text, "could not be delivered to:") {
		t.Error(r.Text)
	}
	q := a.Queue
	if !q.Sender.IsNull() || q.ID != a.Key || len(a.Filings) != 0 || q.Account != 0 || q.SMTPUTF8 || q.EightBit || q.RequireTLS ||
		len(q.Recipients) != 1 || q.Recipients[0].Local != w.alice || q.Recipients[0].Notify != store.NotifyNever {
		t.Errorf("%+v", q)
	}
	// It is queued once the queue has stored it; the queue says so.
	if strings.Contains(w.log.String(), "bounce.queued") {
		t.Error(w.log.String())
	}
	var s mime.Structure
	must(t, s.UnmarshalBinary(q.Meta))
	if len(s.Parts) < 4 || s.Parts[0].Subtype != "report" || s.Size != int64(len(raw)) {
		t.Errorf("%+v", s.Parts)
	}
	// The mailbox of alice is full by a quota of one octet; the queue takes it.
	_, err := w.store.Accept(t.Context(), a)
	must(t, err)
	claims, err := w.store.Queue().Claim(t.Context(), "me", true, 10, time.Minute)
	if err != nil || len(claims) != 1 || claims[0].Message.ID != a.Key {
		t.Fatalf("%+v, %v", claims, err)
	}
	// Whatever becomes of it, nobody is told.
	again := queue.Notice{Message: claims[0].Message, Body: claims[0].BodyOpener, Reports: []queue.Report{report(t, "alice@ours.test", queue.ActionFailed, 0)}}
	if a := w.tell(again); a != nil || !strings.Contains(w.log.String(), "null reverse-path") {
		t.Errorf("%+v, %s", a, w.log.String())
	}
}

func TestSendersAreFoundWhereTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for sender, want := range map[string]string{
		"stranger@far.test": "stranger@far.test/0", "Alice@Ours.test": "Alice@ours.test/1", "team@ours.test": "team@ours.test/1 team@ours.test/0",
		"postmaster@ours.test": "reason: no postmaster address", "nobody@ours.test": "reason: the sender's address here is unknown",
		"carol@ours.test": "reason: the sender's address here is disabled", "x@closed.test": "reason: the sender's address here is domain disabled",
		"": "reason: null reverse-path",
	} {
		n, _ := message(t, header)
		n.Message.Sender = addr(t, sender)
		n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
		a := w.tell(n)
		if reason, ok := strings.CutPrefix(want, "reason: "); ok {
			if a != nil || !strings.Contains(w.log.String(), "bounce.suppressed") || !strings.Contains(w.log.String(), reason) {
				t.Errorf("%s: %+v, %s", sender, a, w.log.String())
			}
			continue
		}
		if a == nil {
			t.Errorf("%s: nobody is told: %s", sender, w.log.String())
			continue
		}
		var got []string
		for _, r := range a.Queue.Recipients {
			got = append(got, fmt.Sprintf("%s/%d", r.Address, min(r.Local, 1)))
			if r.Notify != store.NotifyNever {
				t.Errorf("%s: notify %d", sender, r.Notify)
			}
		}
		if strings.Join(got, " ") != want || len(a.Filings) != 0 {
			t.Errorf("%s: %s", sender, strings.Join(got, " "))
		}
		a.Body.Discard()
	}
	n, _ := message(t, header)
	n.Message.Sender = mail.Address{Local: "root"}
	n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
	if a := w.tell(n); a != nil {
		t.Errorf("%+v", a)
	}
}

func TestNobodyIsToldAboutReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for content, told := range map[string]bool{
		"Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x--\r\n": false,
		"Auto-Submitted: auto-generated\r\nSubject: backup done\r\n\r\n":                                                           true,
		"Auto-Submitted: auto-generated\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n--x\r\n\r\nspam\r\n" +
			"--x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n--x--\r\n": true,
		"Content-Type: multipart/report; report-type=disposition-notification; boundary=x\r\n\r\n--x--\r\n": true,
	} {
		n, _ := message(t, content)
		n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
		if a := w.tell(n); (a != nil) != told {
			t.Errorf("%q: %+v", content, a)
		}
	}
}

func TestALostContentDoesNotLoseTheNotice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, body := message(t, header+"Hello.\r\n")
	n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
	body.broken = errors.New("input/output error")
	broken := w.tell(n)
	n.Body = func(context.Context) (store.Body, error) { return nil, store.ErrNotFound }
	missing := w.tell(n)
	n.Message.Meta = []byte("?")
	unknown := w.tell(n)
	for i, a := range []*store.Acceptance{broken, missing, unknown} {
		if a == nil {
			t.Fatalf("case %d: nobody is told", i)
		}
		if _, r := w.content(a); len(r.Recipients) != 1 || r.OriginalType != "" {
			t.Errorf("case %d: %+v", i, r)
		}
		a.Body.Discard()
	}
}

func TestALargeMessageIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, body := message(t, header+strings.Repeat("0123456789abcdef\r\n", 1<<20))
	n.Message.Return = "FULL"
	n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
	a := w.tell(n)
	if a.Body.Size() > 16<<10 || body.read > 64<<10 {
		t.Errorf("notice of %d octets, %d read", a.Body.Size(), body.read)
	}
}

func TestInternationalSendersGetInternationalNotices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		sender             string
		smtputf8           bool
		body               string
		wantUTF8, eightBit bool
		kind               string
	}{
		{"álice@far.test", true, "x\r\n", true, true, "message/global-delivery-status"},
		{"alice@far.test", true, "x\r\n", true, true, "message/global-delivery-status"},
		{"alice@far.test", false, "x\r\n", false, false, "message/delivery-status"},
		{"alice@far.test", false, "é\r\n", false, true, "message/delivery-status"},
	} {
		n, _ := message(t, header+c.body)
		n.Message.Sender, n.Message.SMTPUTF8, n.Message.Return = addr(t, c.sender), c.smtputf8, "FULL"
		n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
		a := w.tell(n)
		raw, _ := w.content(a)
		if a.Queue.SMTPUTF8 != c.wantUTF8 || a.Queue.EightBit != c.eightBit || !strings.Contains(raw, "Content-Type: "+c.kind+"\r\n") {
			t.Errorf("%+v: %+v", c, a.Queue)
		}
		a.Body.Discard()
	}
}

func TestTheSettingsCanBeDeclared(t *testing.T) {
	t.Parallel()
	h := setting.Register[Settings](setting.NewRegistry(), "bounce")
	if s := h.Get(); len(s.Languages) != 1 || s.ReturnSize != 100<<10 || s.PerHour != 100 {
		t.Errorf("%+v", s)
	}
	if err := (&Settings{Languages: []string{"de", "de"}}).Validate(); err == nil {
		t.Error("a language twice")
	}
	if err := (&Settings{Languages: []string{"xx"}}).Validate(); err == nil {
		t.Error("an unknown language")
	}
}

// The store puts the trace field before the body it opens.
func TestWhatIsReturnedIsTheHeaderAndNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const content, received = header + "Not for strangers.\r\n", "Received: from a by mx.ours.test; now\r\n"
	d, err := w.store.NewDraft(t.Context(), 0)
	must(t, err)
	_, err = io.WriteString(d, content)
	must(t, err)
	to := addr(t, "bob@far.test")
	must(t, accept.New(w.store, accept.Options{}).Accept(t.Context(), &accept.Envelope{Key: ident.NewSource().New(), Time: time.Now(), Sender: addr(t, "x@far.test"),
		Recipients: []accept.Recipient{{Address: to, Remote: []mail.Address{to}}}},
		&accept.Content{Body: d, Structure: mime.Parse([]byte(content)), Trace: []byte(received)}))
	claims, err := w.store.Queue().Claim(t.Context(), "me", false, 10, time.Minute)
	if err != nil || len(claims) != 1 {
		t.Fatalf("%+v, %v", claims, err)
	}
	a := w.tell(queue.Notice{Message: claims[0].Message, Body: claims[0].BodyOpener, Reports: []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}})
	defer a.Body.Discard()
	if _, r := w.content(a); r.OriginalType != "text/rfc822-headers" || string(r.Original) != received+header {
		t.Errorf("%s: %q", r.OriginalType, r.Original)
	}
}

package bounce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

func TestNoticesToOneSenderAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		settings := setting.Defaults[Settings](setting.Recommended)
		settings.PerHour = 2
		b := New(Options{Settings: func() *Settings { return &settings }, Recipients: elsewhere{}, Drafts: drafts{}, Planner: accept.New(nil, accept.Options{}),
			Idents: ident.NewSource(), Host: func() string { return "mx.ours.test" }})
		told := func(sender string, account store.AccountID) bool {
			n, _ := message(t, header)
			n.Message.Sender, n.Message.Account = addr(t, sender), account
			n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
			a, err := b.Notice(t.Context(), n)
			must(t, err)
			return a != nil
		}
		for i, want := range []bool{true, true, false, false} {
			if got := told(fmt.Sprintf("forged%d@victim.test", i), 0); got != want {
				t.Errorf("notice %d to a domain elsewhere: %v", i, got)
			}
		}
		for i := range 5 { // our own users do not share a bound
			if !told(fmt.Sprintf("user%d@ours.test", i), 7) {
				t.Errorf("user %d is not told", i)
			}
		}
		for i := range 5 { // and are told of each failure
			if !told("alice@ours.test", 7) {
				t.Errorf("failure %d is lost unseen", i)
			}
		}
		time.Sleep(time.Hour)
		if !told("forged@victim.test", 0) {
			t.Error("the bound does not end")
		}
	})
}

// elsewhere knows no address.
type elsewhere struct{ err error }

func (e elsewhere) Resolve(context.Context, mail.Address) (directory.Resolution, error) {
	return directory.Resolution{Kind: directory.Elsewhere}, e.err
}

// drafts are in memory.
type drafts struct {
	made *[]*draft
	err  error // of writing
}

func (d drafts) NewDraft(context.Context, int64) (store.Draft, error) {
	made := &draft{err: d.err}
	if d.made != nil {
		*d.made = append(*d.made, made)
	}
	return made, nil
}

type draft struct {
	bytes.Buffer
	err       error
	discarded bool
}

func (d *draft) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return d.Buffer.Write(p)
}

func (d *draft) Size() int64 { return int64(d.Len()) }
func (d *draft) Open() (store.Body, error) {
	return &text{Reader: strings.NewReader(d.String())}, nil
}
func (d *draft) Discard() { d.discarded = true }

func TestFailuresOfTheStoreAreTold(t *testing.T) {
	t.Parallel()
	settings := setting.Defaults[Settings](setting.Recommended)
	bouncer := func(r Recipients, d Drafts) *Bouncer {
		return New(Options{Settings: func() *Settings { return &settings }, Recipients: r, Drafts: d, Planner: accept.New(nil, accept.Options{}),
			Idents: ident.NewSource(), Host: func() string { return "mx.ours.test" }})
	}
	n, _ := message(t, header)
	n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
	if _, err := bouncer(elsewhere{store.ErrUnavailable}, drafts{}).Notice(t.Context(), n); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	var made []*draft
	if _, err := bouncer(elsewhere{}, drafts{&made, store.ErrFull}).Notice(t.Context(), n); !errors.Is(err, store.ErrFull) || len(made) != 1 || !made[0].discarded {
		t.Error(err, made)
	}
	n.Body = func(context.Context) (store.Body, error) { return nil, store.ErrUnavailable }
	if _, err := bouncer(elsewhere{}, drafts{}).Notice(t.Context(), n); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

func TestAFullDiskUsesUpNoNotices(t *testing.T) {
	t.Parallel()
	settings := setting.Defaults[Settings](setting.Recommended)
	settings.PerHour = 1
	room := &drafts{err: store.ErrFull}
	b := New(Options{Settings: func() *Settings { return &settings }, Recipients: elsewhere{}, Drafts: room, Planner: accept.New(nil, accept.Options{}),
		Idents: ident.NewSource(), Host: func() string { return "mx.ours.test" }})
	n, _ := message(t, header)
	n.Message.Account = 0
	n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
	for range 10 {
		if _, err := b.Notice(t.Context(), n); !errors.Is(err, store.ErrFull) {
			t.Fatal(err)
		}
	}
	room.err, room.made = nil, new([]*draft)
	for i, want := range []bool{true, false} {
		a, err := b.Notice(t.Context(), n)
		if err != nil || (a != nil) != want || (*room.made)[i].discarded == want {
			t.Errorf("notice %d: %+v, %v", i, a, err)
		}
	}
}

func TestAPanicEndsNoMoreThanTheNotice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, _ := message(t, header)
	n.Reports = []queue.Report{report(t, "bob@far.test", queue.ActionFailed, 0)}
	n.Body = func(context.Context) (store.Body, error) { panic("broken invariant") }
	if a, err := w.Notice(t.Context(), n); a != nil || err == nil || !strings.Contains(w.log.String(), "broken invariant") {
		t.Errorf("%+v, %v, %s", a, err, w.log.String())
	}
}

// What was given up is reported with the host's last reply alone; that its
// time was up is for Status and people (RFC 3464 §2.3.6).
func TestWhatExpiredIsReportedInTheHostsWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, _ := message(t, header+"Hello.\r\n")
	r := report(t, "bob@far.test", queue.ActionFailed, 0)
	r.Expired, r.Reply = true, reply.New(452, reply.E(4, 2, 2), "Mailbox full")
	mute := report(t, "eve@far.test", queue.ActionFailed, 0)
	mute.Expired, mute.Ours, mute.Reply = true, true, reply.New(451, reply.E(4, 4, 2), "mx.far.test hung up")
	n.Reports = []queue.Report{r, mute}
	a := w.tell(n)
	defer a.Body.Discard()
	raw, _ := w.content(a)
	for _, want := range []string{"\r\nDiagnostic-Code: X-Posthorn; 451 4.4.2 mx.far.test hung up\r\n", "\r\nStatus: 4.4.7\r\n", "\r\nDiagnostic-Code: smtp; 452 4.2.2 Mailbox full\r\n", "has now given up"} {
		if !strings.Contains(raw, want) {
			t.Errorf("no %q in\n%s", want, raw)
		}
	}
}

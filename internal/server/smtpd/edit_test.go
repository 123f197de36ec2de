package smtpd

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/wire/smtp"
)

// milter is what a test lets milters say and change; it notes what they see.
type milter struct {
	mu     sync.Mutex
	answer policy.Filtered // to content
	stages []string
	open   int
}

func (*milter) Virus(context.Context, *policy.Facts) policy.Virus { return policy.Virus{} }
func (*milter) Spam(context.Context, *policy.Facts) policy.Spam   { return policy.Spam{} }
func (*milter) Attachment(context.Context, *policy.Facts) policy.Attachment {
	return policy.Attachment{}
}

func (*milter) State(context.Context) []policy.ScannerState { return nil }
func (*milter) Down(context.Context) []policy.ScannerState  { return nil }

func (m *milter) Filter(*policy.Facts) policy.Filter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open++
	return m
}

func (m *milter) Ask(_ context.Context, stage policy.Stage, _ *policy.Facts) policy.Filtered {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stages = append(m.stages, stage.String())
	if stage == policy.Content {
		return m.answer
	}
	return policy.Filtered{}
}

func (m *milter) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open--
}

// filteredWorld is a world with a milter.
func filteredWorld(t *testing.T, f func(*testing.T, *world, *milter)) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		m := &milter{}
		w.server.Sources.Scanners = m
		if err := errors.Join(w.set("policy.milters.servers 127.0.0.1:8891"), w.set("policy.spam.url http://127.0.0.1:11333")); err != nil {
			t.Fatal(err)
		}
		f(t, w, m)
	})
}

func (w *world) send(t *testing.T, text string, to ...string) *smtp.Sent {
	t.Helper()
	c := w.dial("smtp")
	if err := c.Greet("client.example"); err != nil {
		t.Fatal(err)
	}
	s, err := c.Send(smtp.Simple(mail.Address{Local: "eve", Domain: "away.test"}, strings.NewReader(text), addresses(to...)...))
	if s == nil || c.Quit() != nil {
		t.Fatal(err)
	}
	return s
}

func TestMiltersChangeWhatIsAccepted(t *testing.T) {
	t.Parallel()
	filteredWorld(t, func(t *testing.T, w *world, m *milter) {
		m.answer.Edits = &policy.Edits{Header: func(h []byte) []byte {
			return append([]byte("X-First: 1\r\n"), bytes.ReplaceAll(h, []byte("Subject: old"), []byte("Subject: new"))...)
		}}
		// Large enough to lie in a file.
		long := strings.Repeat("0123456789\r\n", 200_000)
		for _, body := range []string{"body\r\n", long + "body\r\n"} {
			if s := w.send(t, "From: eve@away.test\r\nSubject: old\r\n\r\n"+body, "bob"); !s.Taken(0) {
				t.Fatal(s)
			}
			text, err := w.newest("bob")
			_, message, _ := strings.Cut(text, "X-First: ")
			if err != nil || message != "1\r\nFrom: eve@away.test\r\nSubject: new\r\n\r\n"+body {
				t.Errorf("%.300q, %v", text, err)
			}
		}
		if got := strings.Join(m.stages, " "); got != "mail rcpt data content mail rcpt data content" || m.open != 0 {
			t.Errorf("milters saw %s; %d sessions are open", got, m.open)
		}
		// The structure is that of the new message.
		m.answer.Edits = &policy.Edits{NewBody: true, Body: []byte("replaced\r\n")}
		w.send(t, "From: eve@away.test\r\nSubject: three\r\n\r\n"+long, "bob")
		if err := errors.Join(w.line("bob replaced"), w.line("!bob 0123456789"), w.line("bob Subject: three")); err != nil {
			t.Error(err)
		}
		index, err := w.inbox("bob")
		if err != nil || index.Entries[2].Size > 2000 {
			t.Errorf("%+v, %v", index.Entries, err)
		}
		w.send(t, "From: eve@away.test\r\n", "bob")
		text, err := w.newest("bob")
		if err != nil || !strings.HasSuffix(text, "From: eve@away.test\r\n\r\nreplaced\r\n") {
			t.Errorf("%q, %v", text, err)
		}
	})
}

func TestMiltersChangeTheEnvelope(t *testing.T) {
	t.Parallel()
	filteredWorld(t, func(t *testing.T, w *world, m *milter) {
		m.answer.Edits = &policy.Edits{Sender: &mail.Address{Local: "x", Domain: "else.test"}, Add: addresses("alice"), Delete: addresses("bob")}
		if s := w.send(t, "From: eve@away.test\r\n\r\n1\r\n", "bob"); !s.Taken(0) {
			t.Fatal(s)
		}
		if err := errors.Join(w.filed("bob 0"), w.filed("alice 1"), w.line("alice Return-Path: <x@else.test>")); err != nil {
			t.Error(err)
		}
		m.answer.Edits = &policy.Edits{Delete: addresses("bob")}
		if s := w.send(t, "From: eve@away.test\r\n\r\n2\r\n", "bob"); !s.Taken(0) {
			t.Fatal(s)
		}
		if err := errors.Join(w.filed("bob 0"), w.filed("alice 1")); err != nil {
			t.Error(err)
		}
		// What leads nowhere is not accepted silently.
		m.answer.Edits = &policy.Edits{Add: addresses("nobody")}
		if s := w.send(t, "From: eve@away.test\r\n\r\n3\r\n", "bob"); s.Taken(0) || s.Data.Code != 451 {
			t.Errorf("%+v", s)
		}
		if err := w.filed("bob 0"); err != nil {
			t.Error(err)
		}
		// Nor is what cannot be written.
		m.answer.Edits = &policy.Edits{NewBody: true, Body: []byte("x")}
		if err := w.fault("write full"); err != nil {
			t.Fatal(err)
		}
		if s := w.send(t, "From: eve@away.test\r\n\r\n4\r\n", "bob"); s.Taken(0) || s.Data.Code != 452 {
			t.Errorf("%+v", s)
		}
	})
}

func TestForgedMarksAreTakenOut(t *testing.T) {
	t.Parallel()
	filteredWorld(t, func(t *testing.T, w *world, _ *milter) {
		w.send(t, "From: eve@away.test\r\nX-Spam-Flag: NO\r\nX-Spam-Status: No,\r\n\tscore=-5\r\nX-Virus-Status: Clean\r\n\r\nX-Spam-Flag: body\r\n", "bob")
		if err := errors.Join(w.line("!bob X-Spam-Flag: NO"), w.line("!bob X-Spam-Status: …"), w.line("!bob …score=-5"), w.line("bob X-Spam-Flag: body"), w.line("bob X-Virus-Status: Clean")); err != nil {
			t.Error(err)
		}
	})
}

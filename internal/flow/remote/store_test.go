package remote

import (
	"context"
	"io"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/accept"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/wire/mime"
)

// The store's body of a queued message begins with its head already.
func TestTheHeadGoesOutOnce(t *testing.T) {
	s, err := sqlstore.OpenSQLite(context.Background(), t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	const text = "Subject: x\r\n\r\nhello\r\n"
	d, err := s.NewDraft(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if _, err := io.WriteString(d, text); err != nil {
		t.Fatal(err)
	}
	from, to := mail.Address{Local: "a", Domain: "here.test"}, mail.Address{Local: "b", Domain: "far.test"}
	e := &accept.Envelope{Key: ident.NewSource().New(), Time: time.Now(), Sender: from, Recipients: []accept.Recipient{{Address: to, Remote: []mail.Address{to}}}}
	if err := accept.New(s, accept.Options{}).Accept(t.Context(), e, &accept.Content{Body: d, Structure: mime.Parse([]byte(text)), Trace: []byte("Received: by me.test\r\n")}); err != nil {
		t.Fatal(err)
	}
	claims, err := s.Queue().Claim(t.Context(), "n", false, 10, time.Minute)
	if err != nil || len(claims) != 1 {
		t.Fatal(claims, err)
	}
	c, err := openContent(t.Context(), &claims[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	got, err := io.ReadAll(c.whole())
	if want := "Received: by me.test\r\n" + text; err != nil || string(got) != want {
		t.Errorf("%q goes out, want %q", got, want)
	}
}

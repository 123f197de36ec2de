package smtpd

import (
	"net/netip"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/smtp"
)

func TestRecipientSaysWhetherItIsSystemMail(t *testing.T) {
	t.Parallel()
	r := &smtp.Rcpt{Recipient: mail.Address{Local: "postmaster"}, Notify: smtp.NotifyDelay}
	for _, system := range []bool{true, false} {
		to := directory.Resolution{Kind: directory.Local, System: system, Deliveries: []directory.Delivery{{Account: 3}}}
		if d := destination(r, &to); d.System != system || d.Notify != store.NotifyDelay || len(d.Accounts) != 1 || len(d.Remote) != 0 {
			t.Errorf("%+v", d)
		}
	}
}

// Recipients above the limit are no errors, but they are counted over all
// transactions of a connection: RSET gives nobody time without end.
func TestRecipientsRefusedForTheirNumberEndAConnectionAtLast(t *testing.T) {
	t.Parallel()
	s := benchServer(nil)
	settings := *s.Settings()
	settings.JunkLimit = 0
	s.Settings = func() *Settings { return &settings }
	const each = mostAttempts / 4
	one := "MAIL FROM:<a@remote.example>\r\n" + strings.Repeat("RCPT TO:<bob@example.test>\r\n", each) + "RSET\r\n"
	var said strings.Builder
	c := &script{pieces: []string{"EHLO client.example\r\n", one}, rounds: 100, said: &said}
	s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1")}))
	refused, ended := strings.Count(said.String(), "452 4.5.3 "), strings.HasSuffix(said.String(), string(replyTooManyErrors.Append(nil)))
	if refused != mostAttempts || !ended {
		t.Errorf("%d recipients were refused; ended: %v", refused, ended)
	}
}

package smtpd

import (
	"testing"

	"posthorn/internal/base/mail"
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

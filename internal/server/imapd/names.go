package imapd

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/text/unicode/norm"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// canonical is the form in which names of new mailboxes are kept (RFC 9051
// §5.1, RFC 5198): however an accent was typed, it is the same mailbox.
func canonical(name string) string { return norm.NFC.String(name) }

// find returns the mailbox of a name as it was written, or else of its
// canonical form.
func (c *conn) find(ctx context.Context, name string) (store.Mailbox, error) {
	mb, err := c.session.account.FindMailbox(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		if other := canonical(name); other != name {
			return c.session.account.FindMailbox(ctx, other)
		}
	}
	return mb, err
}

// listCanonical tells under which name a mailbox goes, and under which the
// client knew it if that is another (RFC 9051 §6.3.9.7, OLDNAME).
func (c *conn) listCanonical(name, asked string) {
	var old func()
	if name != asked && !strings.EqualFold(asked, imap.Inbox) {
		old = func() {
			c.enc.Open()
			c.enc.Text("OLDNAME")
			c.enc.Open()
			c.enc.Mailbox(asked)
			c.enc.Close()
			c.enc.Close()
		}
	}
	c.listLine("LIST", nil, name, old)
}

// hasChildren reports whether there are mailboxes below a name.
func (c *conn) hasChildren(ctx context.Context, name string) (bool, error) {
	all, err := c.session.account.Mailboxes(ctx)
	if err != nil {
		return false, err
	}
	for i := range all {
		if strings.HasPrefix(all[i].Name, name+string(imap.Delimiter)) {
			return true, nil
		}
	}
	return false, nil
}

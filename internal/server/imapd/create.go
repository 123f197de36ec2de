package imapd

import (
	"context"
	"strings"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runCreate is CREATE (RFC 3501 §6.3.3, RFC 9051 §6.3.4, RFC 6154 §3).
func runCreate(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	arg, err := c.dec.Create()
	name := canonical(arg.Mailbox)
	if err == nil {
		err = imap.CheckName(name)
	}
	if err != nil {
		return failed(err)
	}
	role, ok := roleOf(arg.Use)
	if !ok {
		return no("USEATTR", "A mailbox cannot have this special use")
	}
	mb, err := c.session.account.CreateMailbox(ctx, name, role)
	if err != nil {
		return failed(err)
	}
	if c.session.rev2 && name != arg.Mailbox {
		c.listCanonical(name, arg.Mailbox)
	}
	r := completed("CREATE")
	r.Code = imap.CodeMailboxID(mailboxID(mb.ID))
	return r
}

// roleOf finds the role that special uses ask for. A mailbox has one; it takes
// the role over from the mailbox that has it.
func roleOf(uses []string) (store.Role, bool) {
	switch len(uses) {
	case 0:
		return store.RoleNone, true
	case 1:
		for role := store.RoleDrafts; role <= store.RoleArchive; role++ {
			if strings.EqualFold(role.Attribute(), uses[0]) {
				return role, true
			}
		}
	}
	return store.RoleNone, false
}

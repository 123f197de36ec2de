package imapd

import (
	"context"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runStatus is STATUS (RFC 3501 §6.3.10, RFC 7162 §3.1.7, RFC 8438).
func runStatus(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	arg, err := c.dec.MailboxStatus()
	if err != nil {
		return failed(err)
	}
	mb, err := c.session.account.FindMailbox(ctx, arg.Mailbox)
	if err != nil {
		return failed(err)
	}
	c.session.condStore = c.session.condStore || arg.Attrs&imap.StatusHighestModSeq != 0
	c.statusLine(&mb, arg.Attrs)
	return completed("STATUS")
}

// statusLine writes one STATUS response.
func (c *conn) statusLine(mb *store.Mailbox, attrs imap.StatusAttr) {
	c.enc.Untagged()
	c.enc.Atom("STATUS")
	c.enc.Mailbox(mb.Name)
	c.enc.Open()
	for _, item := range []struct {
		attr  imap.StatusAttr
		name  string
		value uint64
	}{
		{imap.StatusMessages, "MESSAGES", uint64(mb.Messages)},
		{imap.StatusRecent, "RECENT", uint64(c.recentIn(mb.ID))},
		{imap.StatusUIDNext, "UIDNEXT", uint64(mb.UIDNext)},
		{imap.StatusUIDValidity, "UIDVALIDITY", uint64(mb.UIDValidity)},
		{imap.StatusUnseen, "UNSEEN", uint64(mb.Unseen)},
		{imap.StatusDeleted, "DELETED", uint64(mb.Deleted)},
		{imap.StatusSize, "SIZE", uint64(mb.Size)},
		{imap.StatusHighestModSeq, "HIGHESTMODSEQ", uint64(mb.HighestModSeq)},
		{imap.StatusAppendLimit, "APPENDLIMIT", uint64(c.set.MessageSize)},
	} {
		if attrs&item.attr != 0 {
			c.enc.Atom(item.name)
			c.enc.Number(item.value)
		}
	}
	if attrs&imap.StatusMailboxID != 0 {
		c.enc.Atom("MAILBOXID")
		c.enc.Atom("(" + mailboxID(mb.ID) + ")")
	}
	c.enc.Close()
	c.enc.End()
}

// recentIn counts \Recent messages. Those of a mailbox that is not selected
// nobody knows without taking them; the count is then 0.
func (c *conn) recentIn(id store.MailboxID) int {
	if v := c.session.view; v != nil && v.id == id {
		return v.countRecent()
	}
	return 0
}

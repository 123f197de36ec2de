package imapd

import (
	"context"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runStatus is STATUS (RFC 3501 §6.3.10, RFC 7162 §3.1.7, RFC 8438,
// RFC 9208 §4.1.4).
func runStatus(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	arg, err := c.dec.MailboxStatus()
	if err != nil {
		return failed(err)
	}
	mb, err := c.find(ctx, arg.Mailbox)
	if err != nil {
		return failed(err)
	}
	c.session.condStore = c.session.condStore || arg.Attrs&imap.StatusHighestModSeq != 0
	if err := c.statusLine(ctx, &mb, arg.Attrs); err != nil {
		return failed(err)
	}
	return completed("STATUS")
}

// statusLine writes one STATUS response.
func (c *conn) statusLine(ctx context.Context, mb *store.Mailbox, attrs imap.StatusAttr) error {
	deleted := int64(0)
	if attrs&imap.StatusDeletedStorage != 0 {
		var err error
		if deleted, err = c.deletedSize(ctx, mb); err != nil {
			return err
		}
	}
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
		{imap.StatusDeletedStorage, "DELETED-STORAGE", uint64(deleted)},
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
	return nil
}

// deletedSize is what an EXPUNGE would free. The store does not count it, so
// the entries are looked at, if there are any.
func (c *conn) deletedSize(ctx context.Context, mb *store.Mailbox) (int64, error) {
	if mb.Deleted == 0 {
		return 0, nil
	}
	box, release, err := c.s.d.Mailboxes.Open(ctx, c.session.account.ID(), mb.ID)
	if err != nil {
		return 0, err
	}
	defer release()
	size := int64(0)
	s := box.Snapshot()
	s.Range(0, s.Len(), func(_ int, e *store.Entry) bool {
		if e.Flags&store.FlagDeleted != 0 {
			size += e.Size
		}
		return true
	})
	return size, nil
}

// recentIn counts \Recent messages. Those of a mailbox that is not selected
// nobody knows without taking them; the count is then 0.
func (c *conn) recentIn(id store.MailboxID) int {
	if v := c.session.view; v != nil && v.id == id {
		return v.countRecent()
	}
	return 0
}

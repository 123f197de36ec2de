package imapd

import (
	"context"
	"strconv"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runSelect is SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2, RFC 7162 §3.1.8, §3.2.5,
// RFC 9051 §6.3.2).
// A failed one leaves no mailbox selected.
func runSelect(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	arg, err := c.dec.Select()
	if err != nil {
		return failed(err)
	}
	if arg.Resync != nil && !c.session.qresync {
		return imap.Response{Status: imap.BAD, Text: "QRESYNC is not enabled"}
	}
	if c.session.view != nil {
		c.session.deselect()
		c.enc.Response("", imap.Response{Status: imap.OK, Code: imap.CodeClosed, Text: "Previous mailbox closed"})
	}
	v, err := c.open(ctx, arg.Mailbox, cmd.Verb == "EXAMINE")
	if err != nil {
		return failed(err)
	}
	c.session.view = v
	c.session.condStore = c.session.condStore || arg.CondStore
	v.describe()
	if c.session.rev2 {
		c.listCanonical(v.name, arg.Mailbox)
	}
	if arg.Resync != nil {
		if err := v.resync(ctx, arg.Resync); err != nil {
			c.session.deselect()
			return failed(err)
		}
	}
	r := completed(cmd.Verb)
	r.Code = imap.CodeReadWrite
	if v.readOnly {
		r.Code = imap.CodeReadOnly
	}
	return r
}

// open makes the view of a mailbox.
func (c *conn) open(ctx context.Context, name string, readOnly bool) (*view, error) {
	mb, err := c.find(ctx, name)
	if err != nil {
		return nil, err
	}
	box, release, err := c.s.d.Mailboxes.Open(ctx, c.session.account.ID(), mb.ID)
	if err != nil {
		return nil, err
	}
	v := &view{c: c, box: box, release: release, id: mb.ID, name: mb.Name, readOnly: readOnly, told: box.Snapshot()}
	if v.claims() {
		if v.told, err = v.claim(ctx, v.told); err != nil {
			release()
			return nil, err
		}
	}
	return v, nil
}

// describe tells what a client must know of a mailbox it selects.
func (v *view) describe() {
	s := v.told
	v.keywords = len(s.Keywords)
	v.tellFlagNames(s.Keywords)
	v.tellExists()
	if !v.c.session.rev2 {
		if first := v.firstUnseen(); first > 0 {
			v.tellCode(imap.CodeNumber("UNSEEN", uint64(first)), "First unseen message")
		}
	}
	v.tellCode(imap.CodeNumber("UIDVALIDITY", uint64(s.UIDValidity)), "UIDs are valid")
	v.tellCode(imap.CodeNumber("UIDNEXT", uint64(s.Cursor.UIDNext)), "Next UID")
	v.tellCode(imap.CodeNumber("HIGHESTMODSEQ", uint64(s.Cursor.ModSeq)), "Greatest modification sequence")
	v.tellCode(imap.CodeMailboxID(mailboxID(v.id)), "Mailbox identifier")
}

func (v *view) tellCode(code imap.Code, text string) {
	v.c.enc.Response("", imap.Response{Status: imap.OK, Code: code, Text: text})
}

// firstUnseen returns the sequence number of the first unseen message, 0 for none.
func (v *view) firstUnseen() int {
	first := 0
	v.told.Range(0, v.exists(), func(i int, e *store.Entry) bool {
		if e.Flags&store.FlagSeen == 0 {
			first = i + 1
		}
		return first == 0
	})
	return first
}

// mailboxID and emailID write identifiers as RFC 8474 wants them.
func mailboxID(id store.MailboxID) string { return "F" + strconv.FormatInt(int64(id), 10) }
func emailID(id store.MessageID) string   { return "M" + strconv.FormatInt(int64(id), 10) }

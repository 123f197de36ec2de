package imapd

import (
	"context"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runCopy is COPY and UID COPY (RFC 3501 §6.4.7).
func runCopy(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	t, err := c.transfer(ctx, cmd)
	if err != nil {
		return failed(err)
	}
	if t.refused.Status != "" {
		return t.refused
	}
	r := completed("COPY")
	if len(t.uids) == 0 {
		return r
	}
	result, err := c.session.account.Copy(ctx, c.session.view.id, t.uids, t.to)
	if err != nil {
		return tryCreate(err)
	}
	c.session.view.refreshed(ctx)
	r.Code = copyUID(result)
	return r
}

// transfer is what COPY and MOVE have in common.
type transfer struct {
	uids    []store.UIDRange
	to      store.MailboxID
	refused imap.Response
}

func (c *conn) transfer(ctx context.Context, cmd imap.Command) (t transfer, err error) {
	arg, err := c.dec.Copy()
	if err != nil {
		return t, err
	}
	v := c.session.view
	indexes, err := v.resolve(arg.Set, cmd.UID)
	if err != nil {
		return t, err
	}
	if !cmd.UID && v.gone(indexes) { // RFC 2180 §4.4.1: all or nothing
		t.refused = no(codeExpungeIssued, "Some of the messages are expunged")
		return t, nil
	}
	to, err := c.find(ctx, arg.Mailbox)
	if err != nil {
		t.refused = tryCreate(err)
		return t, nil
	}
	t.uids, t.to = v.told.UIDs(indexes), to.ID
	return t, nil
}

// copyUID makes the response code, empty if nothing was copied.
func copyUID(r store.CopyResult) imap.Code {
	if len(r.From) == 0 {
		return ""
	}
	var from, to imap.SeqSet
	for i := range r.From {
		from.Add(uint32(r.From[i]))
		to.Add(uint32(r.To[i]))
	}
	return imap.CodeCopyUID(r.UIDValidity, from, to)
}

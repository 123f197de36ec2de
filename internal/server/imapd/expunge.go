package imapd

import (
	"context"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// everything is all UIDs there can be.
var everything = []store.UIDRange{{First: 1, Last: 1<<32 - 1}}

// runExpunge is EXPUNGE and UID EXPUNGE (RFC 3501 §6.4.3, RFC 4315 §2.1). The
// EXPUNGE responses come when the loop tells the client what happened.
func runExpunge(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	v := c.session.view
	uids := everything
	var err error
	if cmd.UID {
		var set imap.SeqSet
		if set, err = c.dec.SetArg(); err == nil {
			uids, err = v.ranges(set, true)
		}
	} else {
		err = c.dec.End()
	}
	if err != nil {
		return failed(err)
	}
	if v.readOnly {
		return readOnly()
	}
	if len(uids) > 0 {
		if _, _, err = c.session.account.Expunge(ctx, v.id, uids, true); err != nil {
			return failed(err)
		}
		v.refreshed(ctx)
	}
	return v.withHighest(completed("EXPUNGE"))
}

// readOnly refuses changes after EXAMINE.
func readOnly() imap.Response {
	return no(imap.CodeNoPerm, "Mailbox is selected read-only")
}

// ranges resolves a set to UIDs.
func (v *view) ranges(set imap.SeqSet, uid bool) ([]store.UIDRange, error) {
	indexes, err := v.resolve(set, uid)
	if err != nil {
		return nil, err
	}
	return v.told.UIDs(indexes), nil
}

package imapd

import (
	"context"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// quotaRoot is the name of the one quota root: all mail of the account.
const quotaRoot = ""

// runGetQuota is GETQUOTA (RFC 9208 §4.1.2). Without limits there is no root.
func runGetQuota(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	root, err := c.dec.QuotaRoot()
	if err != nil {
		return failed(err)
	}
	usage, err := c.session.account.Usage(ctx)
	if err != nil {
		return failed(err)
	}
	if root != quotaRoot || !limited(&usage) {
		return no(imap.CodeNonExistent, "No such quota root")
	}
	c.quotaLine(&usage)
	return completed("GETQUOTA")
}

// runGetQuotaRoot is GETQUOTAROOT (RFC 9208 §4.1.3).
func runGetQuotaRoot(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	name, err := c.dec.MailboxArg()
	if err != nil {
		return failed(err)
	}
	mb, err := c.find(ctx, name)
	if err != nil {
		return failed(err)
	}
	usage, err := c.session.account.Usage(ctx)
	if err != nil {
		return failed(err)
	}
	c.enc.Untagged()
	c.enc.Atom("QUOTAROOT")
	c.enc.Mailbox(mb.Name)
	if limited(&usage) {
		c.enc.Text(quotaRoot)
	}
	c.enc.End()
	if limited(&usage) {
		c.quotaLine(&usage)
	}
	return completed("GETQUOTAROOT")
}

// runSetQuota refuses: limits are the operator's (QUOTASET is not offered).
func runSetQuota(_ context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.SetQuota(); err != nil {
		return failed(err)
	}
	return no(imap.CodeNoPerm, "Limits are set by the administrator")
}

func limited(u *store.Usage) bool { return u.LimitBytes > 0 || u.LimitMessages > 0 }

// quotaLine writes the QUOTA response; storage counts in units of 1024 octets
// (RFC 9208 §5.1).
func (c *conn) quotaLine(u *store.Usage) {
	const unit = 1024
	c.enc.Untagged()
	c.enc.Atom("QUOTA")
	c.enc.Text(quotaRoot)
	c.enc.Open()
	if u.LimitBytes > 0 {
		c.enc.Atom("STORAGE")
		c.enc.Number(uint64((u.Bytes + unit - 1) / unit))
		c.enc.Number(uint64(u.LimitBytes / unit))
	}
	if u.LimitMessages > 0 {
		c.enc.Atom("MESSAGE")
		c.enc.Number(uint64(u.Messages))
		c.enc.Number(uint64(u.LimitMessages))
	}
	c.enc.Close()
	c.enc.End()
}

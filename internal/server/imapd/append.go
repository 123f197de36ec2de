package imapd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/mime"
)

// maxAppend bounds the messages of one APPEND.
const maxAppend = 500

// runAppend is APPEND of one or several messages, all or nothing (RFC 3501
// §6.3.11, RFC 3502). Messages stream into drafts; what cannot be stored is
// refused before the client sends it, if it waits.
//
// Deviates from RFC 6855 §4: 8-bit header fields are taken also without UTF8,
// because people move mail here that has such fields already.
func runAppend(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	name, err := c.dec.AppendMailbox()
	if err != nil {
		return failed(err)
	}
	mb, err := c.find(ctx, name)
	if err != nil {
		return tryCreate(err)
	}
	c.net.Shield(true)
	defer c.net.Shield(false)
	a := appender{c: c}
	defer a.discard()
	if err := a.read(ctx); err != nil {
		return failed(err)
	}
	filed, err := a.commit(ctx, mb.ID)
	if err != nil {
		return tryCreate(err)
	}
	if v := c.session.view; v != nil && v.id == mb.ID {
		v.refreshed(ctx)
	}
	var uids imap.SeqSet
	for _, f := range filed {
		uids.Add(uint32(f.UID))
	}
	r := completed("APPEND")
	r.Code = imap.CodeAppendUID(filed[0].UIDValidity, uids)
	return r
}

// tryCreate is failed for a target that may not exist.
func tryCreate(err error) imap.Response {
	if errors.Is(err, store.ErrNotFound) {
		return no(imap.CodeTryCreate, "No such mailbox")
	}
	return failed(err)
}

// appender takes the messages of one APPEND.
type appender struct {
	c     *conn
	items []store.AppendItem
	size  int64
}

func (a *appender) discard() {
	for i := range a.items {
		a.items[i].Body.Discard()
	}
}

// commitTime is how long the commit of an APPEND may take to begin. A client
// that hears nothing gives up, how soon no standard says, and sends again.
const commitTime = time.Minute

// commit files what was read, unless the store stands still.
func (a *appender) commit(ctx context.Context, to store.MailboxID) ([]store.Filed, error) {
	waits, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	filed, err := a.c.session.account.Append(waits, to, a.items)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return filed, err
}

// read takes all messages.
func (a *appender) read(ctx context.Context) error {
	usage, err := a.c.session.account.Usage(ctx)
	if err != nil {
		return err
	}
	for {
		m, more, err := a.c.dec.Append()
		if err != nil {
			return err
		}
		if !more {
			return a.c.dec.End()
		}
		if err := a.check(m, usage); err != nil {
			return err
		}
		if err := a.add(ctx, m); err != nil {
			return err
		}
	}
}

// check refuses a message by its size alone.
func (a *appender) check(m imap.Append, u store.Usage) error {
	a.size += m.Literal.Size
	limit := int64(a.c.set.MessageSize)
	switch {
	case m.Literal.Size == 0:
		return refusal(imap.CodeCannot, "A message cannot be empty")
	case m.Literal.Size > limit || a.size > 2*limit:
		return refusal(imap.CodeTooBig, "Message is too big")
	case len(a.items) == maxAppend:
		return refusal(imap.CodeLimit, "Too many messages at once")
	case u.LimitBytes > 0 && u.Bytes+a.size > u.LimitBytes, u.LimitMessages > 0 && u.Messages+int64(len(a.items)) >= u.LimitMessages:
		return store.ErrOverQuota
	}
	return nil
}

func refusal(code imap.Code, text string) error {
	return &imap.Error{Response: no(code, text)}
}

// add streams one message into a draft and through the parser.
func (a *appender) add(ctx context.Context, m imap.Append) error {
	flags, keywords, err := splitFlags(m.Flags)
	if err != nil {
		return err
	}
	draft, err := a.c.s.d.Store.NewDraft(ctx, m.Literal.Size)
	if err != nil {
		return err
	}
	a.items = append(a.items, store.AppendItem{Body: draft, Flags: flags, Keywords: keywords, Internal: m.Date})
	item := &a.items[len(a.items)-1]
	parser := mime.NewParser()
	if _, err := io.Copy(io.MultiWriter(draft, parser), m.Literal); err != nil {
		return err
	}
	if item.Internal.IsZero() {
		item.Internal = time.Now()
	}
	item.Meta, err = parser.Close().AppendBinary(nil)
	return err
}

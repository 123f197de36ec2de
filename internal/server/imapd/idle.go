package imapd

import (
	"context"
	"errors"
	"io"

	"posthorn/internal/wire/imap"
)

// runIdle is IDLE (RFC 2177). The goroutine of the connection waits for the
// client; the mailbox interrupts that wait when there is news. While it waits
// the connection holds no buffers.
func runIdle(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	if v := c.session.view; v != nil {
		sub := v.box.Subscribe(c.in.wake)
		defer sub.Close()
		if err := v.refresh(ctx); err != nil { // from here on the subscription tells
			return failed(err)
		}
	}
	c.enc.Continue("idling")
	if err := c.idle(ctx); err != nil {
		return c.endIdle(ctx, err)
	}
	return completed("IDLE")
}

// idle tells news until the client says DONE.
func (c *conn) idle(ctx context.Context) error {
	news := func() error {
		c.tell(ctx, tellAll)
		if err := c.enc.Flush(); err != nil {
			return err
		}
		if c.closing {
			return io.EOF
		}
		return nil
	}
	if err := news(); err != nil {
		return err
	}
	c.in.idle(c.idleUntil(), c.set.CommandTime)
	c.in.listen(news)
	defer c.in.listen(nil)
	for c.dec.Buffered() == 0 && !c.packed { // attend, with less on the stack
		err := c.in.await()
		if err == nil {
			break
		}
		if !errors.Is(err, errWoken) {
			return err
		}
		if err := news(); err != nil {
			return err
		}
	}
	return c.dec.Done()
}

// endIdle answers an IDLE that did not end as it should.
func (c *conn) endIdle(ctx context.Context, err error) imap.Response {
	var e *imap.Error
	if !errors.As(err, &e) {
		c.fault(ctx, "", err)
		return imap.Response{}
	}
	return e.Response
}

package pop3d

import (
	"errors"
	"fmt"
	"io"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/pop3"
)

// retr sends a message (RFC 1939 §5).
func (c *connection) retr(cmd pop3.Command) outcome {
	return c.fetch(cmd.Message, func(w io.Writer, r io.Reader) error {
		_, err := pop3.WriteContent(w, r)
		if err == nil {
			c.fetched++
		}
		return err
	})
}

// fetch opens a message and lets send write it. It is read from the store as
// the client takes it, a few kilobytes at a time.
func (c *connection) fetch(number int, send func(io.Writer, io.Reader) error) outcome {
	m, err := c.drop.find(number)
	if err != nil {
		return noMessage()
	}
	body, err := c.drop.account.OpenBody(c.ctx, m.id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return says(pop3.Err("", "The message was removed by another client").Because(err))
	case err != nil:
		return c.trouble(fmt.Errorf("pop3d: message %d: %w", m.id, err))
	}
	o := says(pop3.OK(fmt.Sprintf("%d octets", m.size)))
	o.body = func(w io.Writer) error {
		defer func() { _ = body.Close() }() // it was read only
		c.content = time.Now().Add(writeTime + time.Duration(m.size/slowest)*time.Second)
		from := &source{Reader: io.NewSectionReader(body, 0, body.Size())}
		err := send(w, from)
		if from.err != nil {
			c.log.Log(event.StoreFailed, event.Err(fmt.Errorf("pop3d: message %d: %w", m.id, from.err)))
		}
		if err == nil {
			err = c.flush() // under the message's deadline
		}
		c.content = time.Time{}
		return err
	}
	return o
}

// source tells a failing store from a client that is gone.
type source struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

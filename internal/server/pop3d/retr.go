package pop3d

import (
	"errors"
	"fmt"
	"io"
	"strconv"
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
			c.drop.witness(cmd.Message)
		}
		return err
	})
}

// fetch opens a message and lets send write it. A large one is read from the
// store as the client takes it, a few kilobytes at a time; small ones leave
// together if their commands came together.
func (c *connection) fetch(number int, send func(io.Writer, io.Reader) error) outcome {
	m, err := c.drop.find(number)
	if err != nil {
		return noMessage()
	}
	body, err := c.drop.shelf.take(c.ctx, c.drop, number)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return says(pop3.Err("", "The message was removed by another client").Because(err))
	case err != nil:
		return c.trouble(fmt.Errorf("pop3d: message %d: %w", m.id, err))
	}
	o := says(pop3.OK(strconv.FormatInt(m.size, 10) + " octets"))
	o.body = func(w io.Writer) error {
		defer func() { _ = body.Close() }() // it was read only
		c.content = time.Now().Add(writeTime + time.Duration(m.size/slowest)*time.Second)
		from := &source{body: body, size: body.Size()}
		err := send(w, from)
		if from.err != nil {
			c.log.Log(event.StoreFailed, event.Err(fmt.Errorf("pop3d: message %d: %w", m.id, from.err)))
		}
		if err == nil && m.size > flushAt {
			err = c.flush() // under the message's deadline
		}
		c.content = time.Time{}
		return err
	}
	return o
}

// source reads a body from its beginning. It tells a failing store from a
// client that is gone.
type source struct {
	body     store.Body
	at, size int64
	err      error
}

// Read implements io.Reader. The end comes with the last octets.
func (s *source) Read(b []byte) (int, error) {
	b = b[:min(int64(len(b)), s.size-s.at)]
	n, err := s.body.ReadAt(b, s.at)
	s.at += int64(n)
	switch {
	case n == len(b) && s.at == s.size:
		return n, io.EOF
	case n == len(b):
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	s.err = err
	return n, err
}

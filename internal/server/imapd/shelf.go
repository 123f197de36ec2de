package imapd

import (
	"context"

	"posthorn/internal/state/store"
)

// Bounds on what a shelf holds.
const (
	shelfMessages = 64
	shelfOctets   = 256 << 10
)

// shelf opens the bodies of small messages a few at a time, because the way to
// the store costs more than what is fetched there. Large ones are opened when
// their turn comes. Messages are taken in the order of rest.
type shelf struct {
	c    *conn
	v    *view
	rest []int // indexes of messages not opened yet
	// at and open are what lies ready.
	at   []int
	open []store.Body
}

func (c *conn) shelf(indexes []int) *shelf { return &shelf{c: c, v: c.session.view, rest: indexes} }

// take returns the body of a message, nil if it is gone. Those before it that
// nobody took are put away.
func (s *shelf) take(ctx context.Context, i int) (store.Body, error) {
	for {
		for len(s.at) > 0 && s.at[0] != i {
			s.drop()
		}
		if len(s.at) > 0 {
			body := s.open[0]
			s.at, s.open = s.at[1:], s.open[1:]
			return body, nil
		}
		for len(s.rest) > 0 && s.rest[0] != i {
			s.rest = s.rest[1:]
		}
		if err := s.fill(ctx); err != nil {
			return nil, err
		}
		if len(s.at) == 0 {
			return nil, nil
		}
	}
}

// fill opens the next few small messages, or one that is large.
func (s *shelf) fill(ctx context.Context) error {
	var ids []store.MessageID
	octets := int64(0)
	for _, i := range s.rest {
		e := s.v.told.At(i)
		octets += e.Size
		if len(ids) > 0 && (len(ids) == shelfMessages || octets > shelfOctets || e.Size > store.SmallBody) {
			break
		}
		ids = append(ids, e.Message)
		if e.Size > store.SmallBody {
			break
		}
	}
	if len(ids) == 0 {
		return nil
	}
	open, err := s.c.session.account.OpenBodies(ctx, ids)
	if err != nil {
		return err
	}
	s.open, s.at, s.rest = open, s.rest[:len(ids)], s.rest[len(ids):]
	return nil
}

// drop puts the first one away.
func (s *shelf) drop() {
	if s.open[0] != nil {
		closeBody(s.c, s.open[0])
	}
	s.at, s.open = s.at[1:], s.open[1:]
}

// clear puts all away.
func (s *shelf) clear() {
	for len(s.at) > 0 {
		s.drop()
	}
}

package pop3d

import (
	"context"
	"slices"

	"posthorn/internal/state/store"
)

// Bounds on what a shelf holds.
const (
	shelfMessages = 64
	shelfOctets   = 64 << 10
)

// shelf reads ahead for a client that walks through its maildrop, since several
// small messages cost the store hardly more than one. It takes twice as many
// each time the client comes to the end of what lies ready, and none ahead for
// one that picks. Only messages that are in memory once opened lie on it, so an
// idle session holds nothing back in the store.
type shelf struct {
	first  int // the number of the first one ready
	ready  []store.Body
	next   int // the number a walking client asks for once none is ready
	stride int
}

// take opens the message of a number; ErrNotFound. The body is good until the
// next call.
func (s *shelf) take(ctx context.Context, d *maildrop, number int) (store.Body, error) {
	if number < s.first || number >= s.first+len(s.ready) {
		if ahead := s.ahead(d, number); len(ahead) > 1 {
			s.fill(ctx, d.account, number, ahead)
		}
	}
	s.pass(number)
	switch {
	case len(s.ready) == 0:
		return d.account.OpenBody(ctx, d.messages[number-1].id)
	case s.ready[0] == nil:
		return nil, store.ErrNotFound
	}
	return shelved{s.ready[0]}, nil
}

// ahead lists the messages to open together, from a number on.
func (s *shelf) ahead(d *maildrop, number int) []store.MessageID {
	if number == s.next {
		s.stride = min(2*s.stride, shelfMessages)
	} else {
		s.stride = 1
	}
	s.next = number + 1
	var ids []store.MessageID
	left := int64(shelfOctets)
	for _, m := range d.messages[number-1:] {
		if left -= m.size; left < 0 || m.size > store.SmallBody || len(ids) == s.stride {
			break
		}
		ids = append(ids, m.id)
	}
	return ids
}

// fill opens what ahead found. If that fails nothing is ready: the message
// asked for may be sound, another one not.
func (s *shelf) fill(ctx context.Context, account store.Account, number int, ids []store.MessageID) {
	s.clear()
	ready, err := account.OpenBodies(ctx, ids)
	if err != nil {
		s.stride = 1
		return
	}
	s.first, s.ready, s.next = number, ready, number+len(ready)
}

// pass puts away what comes before a number, or all if it is not among them.
func (s *shelf) pass(number int) {
	n := number - s.first
	if n < 0 || n > len(s.ready) {
		n = len(s.ready)
	}
	for _, body := range s.ready[:n] {
		if body != nil {
			_ = body.Close() // it was read only
		}
	}
	s.first, s.ready = s.first+n, slices.Delete(s.ready, 0, n)
}

// clear puts all away.
func (s *shelf) clear() { s.pass(s.first + len(s.ready)) }

// shelved is a body that the shelf closes.
type shelved struct{ store.Body }

// Close implements store.Body.
func (shelved) Close() error { return nil }

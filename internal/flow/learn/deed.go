package learn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"posthorn/internal/state/junk"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// deed is what an owner did with messages. Either class says what it means, or
// the mailboxes do; from is 0 for what came from outside. Either messages are
// known, or their numbers in to.
type deed struct {
	account  store.AccountID
	class    junk.Class
	from, to store.MailboxID
	uids     []store.UID
	messages []store.MessageID
	last     chan struct{} // closed instead of all else
}

// tell never waits.
func (t *Store) tell(d deed) {
	select {
	case t.deeds <- d:
	default:
	}
}

func (t *Store) serve(ctx context.Context) {
	for {
		select {
		case d := <-t.deeds:
			if d.last != nil {
				close(d.last)
				continue
			}
			if err := t.teach(ctx, d); err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
				t.failed(fmt.Errorf("learn: account %d: %w", d.account, err))
			}
		case <-ctx.Done():
			return
		}
	}
}

// teach finds out what the deed means and hands in its messages.
func (t *Store) teach(ctx context.Context, d deed) error {
	a := t.Store.Account(d.account)
	if d.class == junk.Unlearned {
		from, err := role(ctx, a, d.from)
		if err != nil {
			return err
		}
		to, err := role(ctx, a, d.to)
		if err != nil {
			return err
		}
		if d.class = meaning(from, to); d.class == junk.Unlearned {
			return nil
		}
	}
	for _, span := range spans(d.uids) {
		err := a.MetasIn(ctx, d.to, span, func(_ store.UID, id store.MessageID, _ []byte) error {
			d.messages = append(d.messages, id)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range d.messages {
		t.learner.Moved(junk.Move{Account: junk.Account(d.account), Key: strconv.FormatInt(int64(id), 10), Class: d.class, Open: opener(a, id)})
	}
	return nil
}

// role is that of a mailbox; one that is gone by now has none.
func role(ctx context.Context, a store.Account, id store.MailboxID) (store.Role, error) {
	if id == 0 {
		return store.RoleNone, nil
	}
	box, err := a.Mailbox(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return box.Role, err
}

// meaning is what it says of a message that it was put from one mailbox into
// another. Junk that is thrown away is still junk.
func meaning(from, to store.Role) junk.Class {
	switch {
	case from == to:
	case to == store.RoleJunk:
		return junk.Spam
	case from == store.RoleJunk && to != store.RoleTrash:
		return junk.Ham
	}
	return junk.Unlearned
}

// longestSpan bounds what is read of a mailbox at once.
const longestSpan = 200

// spans joins neighbours.
func spans(uids []store.UID) (list []store.UIDRange) {
	for _, u := range uids {
		if n := len(list); n > 0 && list[n-1].Last+1 == u && u-list[n-1].First < longestSpan {
			list[n-1].Last = u
			continue
		}
		list = append(list, store.UIDRange{First: u, Last: u})
	}
	return list
}

// opener opens a stored message for the learner.
func opener(a store.Account, id store.MessageID) func(ctx context.Context) (junk.Message, junk.Body, error) {
	return func(ctx context.Context) (junk.Message, junk.Body, error) {
		s := new(mime.Structure)
		found := false
		err := a.Metas(ctx, []store.MessageID{id}, func(_ store.MessageID, meta []byte) error {
			found = true
			return s.UnmarshalBinary(meta)
		})
		if err == nil && !found {
			err = store.ErrNotFound
		}
		var body store.Body
		if err == nil {
			body, err = a.OpenBody(ctx, id)
		}
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		if err != nil {
			return junk.Message{}, nil, err
		}
		return junk.Message{Structure: s, Content: body}, body, nil
	}
}

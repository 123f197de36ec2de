package manage

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// queueAct is one thing that may be done to waiting recipients.
type queueAct struct {
	do func(store.Queue, context.Context, store.QueueFilter) (int, error)
	// event goes into the traces of the messages; none when silent, because
	// what follows tells enough.
	event  record.EventKind
	silent bool
	place  string // of the event
}

// queueVerb is an act that needs nothing but to know on what.
type queueVerb uint8

const (
	retrying queueVerb = iota
	holding
	releasing
	removing
)

func (v queueVerb) act() queueAct {
	switch v {
	case holding:
		return queueAct{do: store.Queue.Hold, event: record.Held}
	case releasing:
		return queueAct{do: store.Queue.Release, event: record.Released}
	case removing:
		return queueAct{do: store.Queue.Remove, event: record.Removed}
	}
	return queueAct{do: store.Queue.Retry, silent: true}
}

// onOne makes the operation that acts on one message, or on one recipient of it.
func onOne(verb queueVerb) func(*Service, context.Context, *QueueInput) (Count, error) {
	return func(s *Service, ctx context.Context, in *QueueInput) (Count, error) {
		id, err := queueID(in.ID)
		if err != nil {
			return Count{}, err
		}
		n, err := s.act(ctx, store.QueueFilter{ID: id, Recipient: in.Recipient}, verb.act(), author(ctx, in.Author))
		return Count{n}, notWaitingFor(id, in.Recipient, err)
	}
}

// onMany makes the operation that acts on all that is selected. None is no error.
func onMany(verb queueVerb) func(*Service, context.Context, *QueueManyInput) (Count, error) {
	return func(s *Service, ctx context.Context, in *QueueManyInput) (Count, error) {
		return s.actOnMany(ctx, in, verb.act())
	}
}

// errUnselected refuses to act on the whole queue by oversight.
var errUnselected = said{"nothing is selected: name a message, a sender, a recipient, a destination or a state", ErrMissing}

func (s *Service) actOnMany(ctx context.Context, in *QueueManyInput, a queueAct) (Count, error) {
	f, err := in.filter()
	if err != nil {
		return Count{}, err
	}
	if !f.Selects() {
		return Count{}, errUnselected
	}
	n, err := s.act(ctx, f, a, author(ctx, in.Author))
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return Count{n}, err
}

// purge removes what is selected, if it is meant so.
func (s *Service) purge(ctx context.Context, in *QueuePurgeInput) (Count, error) {
	if in.Confirm {
		return s.actOnMany(ctx, &in.QueueManyInput, removing.act())
	}
	f, err := in.filter()
	if err != nil {
		return Count{}, err
	}
	if !f.Selects() {
		return Count{}, errUnselected
	}
	messages, recipients := 0, 0
	err = s.pages(ctx, f, func(page []store.QueueEntry) error {
		messages += len(page)
		for _, e := range page {
			recipients += len(e.Recipients)
		}
		return nil
	})
	if err != nil || messages == 0 {
		return Count{}, err
	}
	return Count{}, said{fmt.Sprintf("this removes %s of %s for good and tells nobody; confirm it (--yes on the command line, confirm=true in a request)",
		counted(recipients, "recipient"), counted(messages, "message")), ErrInput}
}

// counted writes "1 message", "2 messages".
func counted(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// pages calls f for everything selected, a thousand messages at a time.
func (s *Service) pages(ctx context.Context, f store.QueueFilter, do func([]store.QueueEntry) error) error {
	for f.Limit = 1000; ; {
		page, err := s.o.Store.Queue().List(ctx, f)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := do(page); err != nil || len(page) < f.Limit {
			return err
		}
		f.After = page[len(page)-1].ID
	}
}

// act does something to what a filter finds, page by page, and notes it in the
// traces of the messages.
func (s *Service) act(ctx context.Context, f store.QueueFilter, a queueAct, by string) (int, error) {
	if a.silent {
		return a.do(s.o.Store.Queue(), ctx, f)
	}
	total, after := 0, f.After
	err := s.pages(ctx, f, func(page []store.QueueEntry) error {
		part := f
		part.After, part.Limit = after, len(page)
		after = page[len(page)-1].ID
		n, err := a.do(s.o.Store.Queue(), ctx, part)
		total += n
		if errors.Is(err, store.ErrNotFound) {
			return nil // gone since the page was read
		}
		if err == nil {
			s.note(&f, page, a, by)
		}
		return err
	})
	if err == nil && total == 0 {
		err = store.ErrNotFound
	}
	return total, err
}

// note enters what was done: for the whole message, or for each recipient if
// only some were selected.
func (s *Service) note(f *store.QueueFilter, page []store.QueueEntry, a queueAct, by string) {
	whole := f.Recipient == "" && f.Destination == "" && f.State == nil
	for _, e := range page {
		ev := record.Event{ID: e.ID, Kind: a.event, Place: a.place, By: by}
		if whole {
			s.o.Records.Event(ev)
			continue
		}
		for _, r := range e.Recipients {
			ev.Recipient, ev.Account = r.Address.String(), int64(r.Local)
			s.o.Records.Event(ev)
		}
	}
}

func (s *Service) redirect(ctx context.Context, in *QueueRedirectInput) (Count, error) {
	id, err := queueID(in.ID)
	if err != nil {
		return Count{}, err
	}
	to, err := mail.ParseAddress(in.Body.To)
	if err != nil {
		return Count{}, inField("to", err)
	}
	if to, err = s.destination(ctx, to); err != nil {
		return Count{}, err
	}
	redirecting := queueAct{event: record.Redirected, place: to.String(),
		do: func(q store.Queue, ctx context.Context, f store.QueueFilter) (int, error) {
			return q.Redirect(ctx, f, to)
		}}
	n, err := s.act(ctx, store.QueueFilter{ID: id, Recipient: in.Recipient}, redirecting, author(ctx, in.Author))
	return Count{n}, notWaitingFor(id, in.Recipient, err)
}

// notWaitingFor is notWaiting, for one recipient if it is named.
func notWaitingFor(id ident.ID, recipient string, err error) error {
	if recipient != "" && errors.Is(err, store.ErrNotFound) {
		return said{fmt.Sprintf("message %s does not wait for %s; for whom it does: posthorn queue show %s", id, recipient, id), err}
	}
	return notWaiting(id, err)
}

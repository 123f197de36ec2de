package manage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// QueueItem is a waiting message as administrators see it.
type QueueItem struct {
	ID         string           `json:"id"`
	Sender     string           `json:"sender" doc:"Reverse-path; empty for a notification"`
	Size       Octets           `json:"size"`
	Accepted   time.Time        `json:"accepted"`
	Expires    time.Time        `json:"expires"`
	Due        time.Time        `json:"due" doc:"Earliest next attempt"`
	Recipients []QueueRecipient `json:"recipients"`
}

// QueueRecipient is one recipient who has not got the message yet.
type QueueRecipient struct {
	Address   string    `json:"address"`
	State     string    `json:"state" enum:"queued,held"`
	Local     bool      `json:"local" doc:"Has a mailbox here"`
	Attempts  int       `json:"attempts"`
	NextTry   time.Time `json:"next_try"`
	LastError string    `json:"last_error"`
}

// QueuePage is a part of the queue.
type QueuePage struct {
	Messages   int64       `json:"messages" doc:"Messages in the whole queue"`
	Recipients int64       `json:"recipients" doc:"Recipients in the whole queue"`
	Items      []QueueItem `json:"items"`
}

// Count is how many recipients an operation touched.
type Count struct {
	Count int `json:"count"`
}

// The inputs of the queue operations.
type (
	QueueListInput struct {
		Sender    string `json:"sender" query:"sender" doc:"Address or domain"`
		Recipient string `json:"recipient" query:"recipient" doc:"Address or domain"`
		State     string `json:"state" query:"state" enum:",queued,held"`
		After     string `json:"after" query:"after" doc:"Identifier to go on after"`
		Limit     int    `json:"limit" query:"limit" minimum:"0" maximum:"1000"`
	}
	QueueInput struct {
		ID     string `json:"id" path:"id"`
		Author string `json:"author" query:"author" doc:"Who wants it, for the trace"`
	}
	QueueRedirectInput struct {
		ID     string `json:"id" path:"id"`
		Author string `json:"author" query:"author" doc:"Who wants it, for the trace"`
		Body   struct {
			To string `json:"to" doc:"New address for all recipients left"`
		}
	}
)

// unrecorded is the event of what a message's trace need not tell.
const unrecorded = record.EventKind(255)

func queueOperations() []Operation {
	act := func(verb, method, path, summary string, kind record.EventKind, f func(store.Queue, context.Context, store.QueueFilter) (int, error)) Operation {
		return declare("queue-"+verb, method, path, operator, summary, func(s *Service, ctx context.Context, in *QueueInput) (Count, error) {
			id, err := queueID(in.ID)
			if err != nil {
				return Count{}, err
			}
			n, err := f(s.o.Store.Queue(), ctx, store.QueueFilter{ID: id})
			if err != nil {
				return Count{}, notWaiting(id, err)
			}
			if kind != unrecorded {
				s.o.Records.Event(record.Event{ID: id, Kind: kind, By: author(ctx, in.Author)})
			}
			return Count{n}, nil
		})
	}
	const one = "/queue/{id}"
	return []Operation{
		declare("queue-list", get, "/queue", reader, "List waiting messages", (*Service).queue),
		declare("queue-show", get, one, reader, "Show a waiting message", (*Service).queueItem),
		act("retry", post, one+"/retry", "Try to deliver now", unrecorded, store.Queue.Retry),
		act("hold", post, one+"/hold", "Do not deliver until released", record.Held, store.Queue.Hold),
		act("release", post, one+"/release", "Deliver a held message", record.Released, store.Queue.Release),
		declare("queue-redirect", post, one+"/redirect", operator, "Send to another address instead", (*Service).redirect),
		act("remove", remove, one, "Remove a message; nobody is told", record.Removed, store.Queue.Remove),
	}
}

func queueID(text string) (ident.ID, error) {
	id, err := ident.Parse(text)
	if err != nil {
		return id, inField("id", errors.New(notIdentifier(text)))
	}
	return id, nil
}

// notIdentifier says what an identifier looks like.
func notIdentifier(text string) string {
	return fmt.Sprintf("%q is not an identifier: those have 26 letters and digits, as in the reply \"queued as 06h03kepr5r010dszzyh39pvqw\"", text)
}

// notWaiting explains that a message is not in the queue (any more).
func notWaiting(id ident.ID, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return said{fmt.Sprintf("message %s: not found in the queue; what became of it: posthorn trace %s", id, id), err}
	}
	return err
}

func queueView(e store.QueueEntry) QueueItem {
	v := QueueItem{ID: e.ID.String(), Sender: e.Sender.String(), Size: Octets(e.Size), Accepted: e.Accepted, Expires: e.Expires, Due: e.Due, Recipients: []QueueRecipient{}}
	for _, r := range e.Recipients {
		v.Recipients = append(v.Recipients, QueueRecipient{Address: r.Address.String(), State: r.State.String(), Local: r.Local != 0,
			Attempts: r.Attempts, NextTry: r.NextTry, LastError: r.LastError})
	}
	return v
}

func (s *Service) queue(ctx context.Context, in *QueueListInput) (QueuePage, error) {
	f := store.QueueFilter{Sender: in.Sender, Recipient: in.Recipient, Limit: in.Limit}
	switch in.State {
	case "":
	case store.Queued.String():
		f.State = new(store.QueueState)
	case store.Held.String():
		held := store.Held
		f.State = &held
	default:
		return QueuePage{}, inField("state", fmt.Errorf("%q; write queued or held", in.State))
	}
	if in.After != "" {
		after, err := queueID(in.After)
		if err != nil {
			return QueuePage{}, err
		}
		f.After = after
	}
	entries, err := s.o.Store.Queue().List(ctx, f)
	if err != nil {
		return QueuePage{}, err
	}
	p := QueuePage{Items: []QueueItem{}}
	for _, e := range entries {
		p.Items = append(p.Items, queueView(e))
	}
	p.Messages, p.Recipients, err = s.o.Store.Queue().Count(ctx)
	return p, err
}

func (s *Service) queueItem(ctx context.Context, in *QueueInput) (QueueItem, error) {
	id, err := queueID(in.ID)
	if err != nil {
		return QueueItem{}, err
	}
	e, err := s.o.Store.Queue().Get(ctx, id)
	if err != nil {
		return QueueItem{}, notWaiting(id, err)
	}
	return queueView(e), nil
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
	n, err := s.o.Store.Queue().Redirect(ctx, store.QueueFilter{ID: id}, to)
	if err != nil {
		return Count{}, notWaiting(id, err)
	}
	s.o.Records.Event(record.Event{ID: id, Kind: record.Redirected, Place: to.String(), By: author(ctx, in.Author)})
	return Count{n}, nil
}

// destination is where a redirected message really goes: an address elsewhere
// as it is, one of ours as the one account behind it.
func (s *Service) destination(ctx context.Context, to mail.Address) (mail.Address, error) {
	r, err := s.o.Directory.Resolve(ctx, to)
	switch {
	case err != nil:
		return to, err
	case r.Kind == directory.Elsewhere || r.Kind == directory.Relay:
		return to, nil
	case r.Kind == directory.Local && len(r.Deliveries) == 1 && len(r.Forwards) == 0:
		return r.Deliveries[0].Address, nil
	case r.Kind == directory.Local && len(r.Deliveries) == 0 && len(r.Forwards) == 1:
		return r.Forwards[0], nil
	case r.Kind == directory.Local:
		return to, inField("to", fmt.Errorf("%s stands for %d addresses; name one of them", to, len(r.Deliveries)+len(r.Forwards)))
	}
	return to, inField("to", fmt.Errorf("nobody can get mail at %s; name an address that exists, or one elsewhere", to))
}

package manage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// QueueItem is a waiting message as administrators see it.
type QueueItem struct {
	ID         string           `json:"id"`
	Sender     string           `json:"sender" doc:"Reverse-path; empty for a notification"`
	Account    int64            `json:"account" doc:"Account that submitted it; 0 for none"`
	Client     string           `json:"client" doc:"Address it came from"`
	Size       Octets           `json:"size"`
	Accepted   time.Time        `json:"accepted"`
	Expires    time.Time        `json:"expires"`
	Due        time.Time        `json:"due" doc:"Earliest next attempt"`
	Return     string           `json:"return" doc:"What a notice of failure brings back: FULL, HDRS or empty (RFC 3461 RET)"`
	EnvelopeID string           `json:"envelope_id" doc:"The sender's name for it (RFC 3461 ENVID)"`
	Body       string           `json:"body" enum:"7BIT,8BITMIME,BINARYMIME"`
	SMTPUTF8   bool             `json:"smtputf8" doc:"Needs internationalised mail all the way"`
	RequireTLS bool             `json:"require_tls" doc:"Goes over verified TLS or not at all (RFC 8689)"`
	Recipients []QueueRecipient `json:"recipients"`
}

// QueueRecipient is one recipient who has not got the message yet.
type QueueRecipient struct {
	Address   string    `json:"address"`
	Original  string    `json:"original" doc:"The recipient as the sender knows it (RFC 3461 ORCPT)"`
	Notify    []string  `json:"notify" doc:"What the sender wants to be told of (RFC 3461 NOTIFY); empty for the usual"`
	State     string    `json:"state" enum:"queued,held"`
	Local     bool      `json:"local" doc:"Has a mailbox here"`
	Attempts  int       `json:"attempts"`
	NextTry   time.Time `json:"next_try"`
	LastTry   time.Time `json:"last_try,omitzero" doc:"End of the last attempt"`
	LastHost  string    `json:"last_host" doc:"Who answered in it"`
	LastError string    `json:"last_error" doc:"What was answered"`
	Route     string    `json:"route" doc:"Where the last attempt went: a domain or a relay host"`
	WouldGo   string    `json:"would_go,omitempty" doc:"Of what was not tried yet, when one message is shown: where it would go now"`
	Notified  bool      `json:"notified" doc:"The sender was told of the delay"`
	ClaimedBy string    `json:"claimed_by" doc:"Node that has taken it, to deliver it now or as soon as its destination has room; empty: none"`
}

// QueuePage is a part of the queue.
type QueuePage struct {
	Messages   int64       `json:"messages" doc:"Messages in the whole queue"`
	Recipients int64       `json:"recipients" doc:"Recipients in the whole queue"`
	Items      []QueueItem `json:"items"`
	Next       string      `json:"next,omitempty" doc:"Give it as after for the next page; absent: this was the last"`
}

// Count is how many recipients an operation touched.
type Count struct {
	Count int `json:"count"`
}

// The inputs of the queue operations.
type (
	QueueListInput struct {
		QueueSelection
		Paging
	}
	// QueueSelection says which recipients; at least one field must be set
	// where something is done to them.
	QueueSelection struct {
		Sender      string `json:"sender" query:"sender" doc:"Address or domain"`
		Recipient   string `json:"recipient" query:"recipient" doc:"Address or domain"`
		Destination string `json:"destination" query:"destination" doc:"Where the last attempt went: a domain, a relay host with or without its port, route as it stands, or last_host or a part of it"`
		State       string `json:"state" query:"state" enum:",queued,held"`
	}
	QueueInput struct {
		ID        string `json:"id" path:"id"`
		Recipient string `json:"recipient" query:"recipient" doc:"Only this recipient: an address or a domain"`
		Author    string `json:"author" query:"author" doc:"Who wants it, for the trace"`
	}
	QueueManyInput struct {
		QueueSelection
		Author string `json:"author" query:"author" doc:"Who wants it, for the trace"`
	}
	QueuePurgeInput struct {
		QueueManyInput
		Confirm bool `json:"confirm" query:"confirm" doc:"Really remove; without it the answer is how many there are"`
	}
	QueueShowInput struct {
		ID string `json:"id" path:"id"`
	}
	QueueRedirectInput struct {
		ID        string `json:"id" path:"id"`
		Recipient string `json:"recipient" query:"recipient" doc:"Only this recipient: an address or a domain"`
		Author    string `json:"author" query:"author" doc:"Who wants it, for the trace"`
		Body      struct {
			To string `json:"to" doc:"New address for the recipients left"`
		}
	}
)

func queueOperations() []Operation {
	const one = "/queue/{id}"
	return []Operation{
		declare("queue-list", get, "/queue", reader, "List waiting messages", (*Service).queue),
		declare("queue-show", get, one, reader, "Show a waiting message", (*Service).queueItem),
		declare("queue-retry", post, one+"/retry", operator, "Try to deliver now", onOne(retrying)),
		declare("queue-hold", post, one+"/hold", operator, "Do not deliver until released", onOne(holding)),
		declare("queue-release", post, one+"/release", operator, "Deliver a held message", onOne(releasing)),
		declare("queue-redirect", post, one+"/redirect", operator, "Send to another address instead", (*Service).redirect),
		declare("queue-remove", remove, one, operator, "Remove a message; nobody is told", onOne(removing)),
		declare("queue-retry-many", post, "/queue/retry", operator, "Try to deliver now what is selected", onMany(retrying)),
		declare("queue-hold-many", post, "/queue/hold", operator, "Do not deliver what is selected until released", onMany(holding)),
		declare("queue-release-many", post, "/queue/release", operator, "Deliver what is selected and held", onMany(releasing)),
		declare("queue-remove-many", remove, "/queue", operator, "Remove what is selected; nobody is told", (*Service).purge),
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
	v := QueueItem{ID: e.ID.String(), Sender: e.Sender.String(), Account: int64(e.Account), Client: e.Client, Size: Octets(e.Size),
		Accepted: e.Accepted, Expires: e.Expires, Due: e.Due, Return: e.Return, EnvelopeID: e.EnvelopeID, Body: "7BIT",
		SMTPUTF8: e.SMTPUTF8, RequireTLS: e.RequireTLS, Recipients: []QueueRecipient{}}
	switch {
	case e.Binary:
		v.Body = "BINARYMIME"
	case e.EightBit:
		v.Body = "8BITMIME"
	}
	for _, r := range e.Recipients {
		v.Recipients = append(v.Recipients, QueueRecipient{Address: r.Address.String(), Original: r.Original, Notify: notifyWords(r.Notify), State: r.State.String(),
			Local: r.Local != 0, Attempts: r.Attempts, NextTry: r.NextTry, LastTry: r.LastTry, LastHost: r.LastHost, LastError: r.LastError, Route: r.Route, Notified: r.Notified, ClaimedBy: node(r.Claimed)})
	}
	return v
}

// node is the one that claims under the name: each has several (NODE/local).
func node(owner string) string {
	name, _, _ := strings.Cut(owner, "/")
	return name
}

// notifyWords is NOTIFY as it was given.
func notifyWords(n store.Notify) []string {
	words := []string{}
	for _, w := range []struct {
		bit  store.Notify
		word string
	}{{store.NotifyNever, "NEVER"}, {store.NotifySuccess, "SUCCESS"}, {store.NotifyFailure, "FAILURE"}, {store.NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return words
}

// filter is the selection as the store takes it.
func (in *QueueSelection) filter() (store.QueueFilter, error) {
	f := store.QueueFilter{Sender: in.Sender, Recipient: in.Recipient, Destination: in.Destination}
	switch in.State {
	case "":
	case store.Queued.String():
		f.State = new(store.QueueState)
	case store.Held.String():
		held := store.Held
		f.State = &held
	default:
		return f, inField("state", fmt.Errorf("%q; write queued or held", in.State))
	}
	return f, nil
}

func (s *Service) queue(ctx context.Context, in *QueueListInput) (QueuePage, error) {
	f, err := in.filter()
	if err != nil {
		return QueuePage{}, err
	}
	f.Limit = in.limit()
	if in.After != "" {
		if f.After, err = queueID(in.After); err != nil {
			return QueuePage{}, inField("after", errors.New(notIdentifier(in.After)))
		}
	}
	entries, err := s.o.Store.Queue().List(ctx, f)
	if err != nil {
		return QueuePage{}, err
	}
	p := QueuePage{Items: []QueueItem{}}
	for _, e := range entries {
		p.Items = append(p.Items, queueView(e))
	}
	if len(entries) == f.Limit {
		p.Next = entries[len(entries)-1].ID.String()
	}
	p.Messages, p.Recipients, err = s.o.Store.Queue().Count(ctx)
	return p, err
}

func (s *Service) queueItem(ctx context.Context, in *QueueShowInput) (QueueItem, error) {
	id, err := queueID(in.ID)
	if err != nil {
		return QueueItem{}, err
	}
	e, err := s.o.Store.Queue().Get(ctx, id)
	if err != nil {
		return QueueItem{}, notWaiting(id, err)
	}
	v := queueView(e)
	return v, s.wouldGo(ctx, e, v.Recipients)
}

// wouldGo adds the way of those that were not tried yet.
func (s *Service) wouldGo(ctx context.Context, e store.QueueEntry, list []QueueRecipient) error {
	var table *route.Table
	for i, r := range e.Recipients {
		if r.Local != 0 || r.Route != "" || r.Attempts > 0 {
			continue
		}
		if table == nil {
			var err error
			if table, err = s.routes(ctx); err != nil {
				return err
			}
		}
		list[i].WouldGo = table.For(&e.QueueMessage, r).Key
	}
	return nil
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

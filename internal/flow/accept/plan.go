package accept

import (
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Plan decides what Accept would store and stores nothing, for those who
// commit a message together with something else. The first account gets its
// copy at once; others, addresses elsewhere, messages to be held and
// recipients whose delivery is to be reported go through the queue.
func (d *Door) Plan(e *Envelope, c *Content) (*store.Acceptance, error) {
	p := planner{e: e}
	for i := range e.Recipients {
		p.add(&e.Recipients[i])
	}
	a := &store.Acceptance{Key: e.Key, Time: e.Time, Body: c.Body, Account: p.account}
	h := newHead(e, c)
	if p.account != 0 {
		f := store.Filing{Role: store.RoleInbox, Internal: e.Time, Head: h.filed(e.Sender, p.to)}
		meta, err := h.meta(len(f.Head))
		if err != nil {
			return nil, err
		}
		f.Meta = meta
		a.Filings = []store.Filing{f}
	}
	if len(p.rows) == 0 {
		return a, nil
	}
	meta, err := h.meta(len(h.common))
	if err != nil {
		return nil, err
	}
	begin := e.Time
	if e.Release.After(begin) {
		begin = e.Release
	}
	a.Queue = &store.QueueMessage{
		ID: e.Key, Sender: e.Sender, Account: e.Account, Client: e.Client, Head: h.common, Meta: meta,
		Size: int64(len(h.common)) + c.Body.Size(), Accepted: e.Time, Expires: begin.Add(d.lifetime(e)),
		Return: e.Return, EnvelopeID: e.EnvelopeID, SMTPUTF8: e.SMTPUTF8, EightBit: e.EightBit, Binary: e.Binary,
		RequireTLS: e.RequireTLS, Recipients: p.rows,
	}
	return a, nil
}

func (d *Door) lifetime(e *Envelope) time.Duration {
	if e.Sender.IsNull() {
		return d.o.BounceLifetime()
	}
	return d.o.Lifetime(e.Sender)
}

// target is where one copy goes; two recipients that lead there get one.
type target struct {
	account store.AccountID
	address string
}

type planner struct {
	e       *Envelope
	one     target          // the first target
	seen    map[target]bool // all targets, once there is a second
	account store.AccountID // filed at once, 0 for nobody
	to      mail.Address    // its forward-path
	rows    []store.QueueRecipient
}

func (p *planner) add(r *Recipient) {
	atOnce := !p.e.Queued && p.e.Release.IsZero() && r.Notify&store.NotifySuccess == 0
	for _, id := range r.Accounts {
		switch {
		case !p.first(target{account: id}):
		case atOnce && p.account == 0:
			p.account, p.to = id, r.Address
		default:
			p.queue(r, r.Address, id)
		}
	}
	for _, addr := range r.Remote {
		if p.first(target{address: addr.Key()}) {
			p.queue(r, addr, 0)
		}
	}
	for _, addr := range r.Copies {
		if p.first(target{address: addr.Key()}) {
			silent := *r
			silent.Notify = store.NotifyNever
			p.queue(&silent, addr, 0)
		}
	}
}

func (p *planner) first(t target) bool {
	switch {
	case p.one == target{}:
		p.one = t
		return true
	case p.seen == nil:
		p.seen = map[target]bool{p.one: true}
	}
	if p.seen[t] {
		return false
	}
	p.seen[t] = true
	return true
}

// queue adds a row. A recipient whose address changed on the way keeps the one
// the sender knows (RFC 3461 §5.2.7).
func (p *planner) queue(r *Recipient, addr mail.Address, local store.AccountID) {
	original := r.Original
	if original == "" && addr != r.Address {
		kind := "rfc822;"
		if !r.Address.IsASCII() {
			kind = "utf-8;"
		}
		original = kind + r.Address.String()
	}
	next := p.e.Time
	if p.e.Release.After(next) {
		next = p.e.Release
	}
	p.rows = append(p.rows, store.QueueRecipient{Address: addr, Original: original, Notify: r.Notify, Local: local, NextTry: next})
}

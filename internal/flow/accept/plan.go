package accept

import (
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Plan decides what Accept would store and stores nothing, for those who
// commit a message together with something else. The first account gets its
// copy at once; others, addresses elsewhere, messages to be held and
// recipients whose delivery is to be reported go through the queue, and so does
// everybody while the message is in quarantine.
func (d *Door) Plan(e *Envelope, c *Content) (*store.Acceptance, error) {
	p := plan(e)
	var account store.AccountID
	var to mail.Address
	if c.Effects.Quarantine == "" {
		account, to = p.atOnce()
	}
	a := &store.Acceptance{Key: e.Key, Time: e.Time, Body: c.Body, Account: account}
	h := newHead(e, c)
	if account != 0 {
		f := store.Filing{Role: store.RoleInbox, Internal: e.Time, Head: h.filed(e.Sender, to, c.Effects.Copy.Field)}
		if c.Junk() != "" {
			f.Role = store.RoleJunk
		}
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
		RequireTLS: e.RequireTLS, Junk: c.Effects.Junk, Sift: c.Effects.Sift, Quarantine: c.Effects.Quarantine, Recipients: p.rows,
	}
	if c.Effects.Quarantine != "" {
		for i := range p.rows {
			p.rows[i].State = store.Quarantined
		}
	}
	return a, nil
}

// Junk is why the copy that is filed at once goes into Junk, "" if it does not.
func (c *Content) Junk() string {
	if c.Effects.Junk == "" && c.Effects.Copy.Junk {
		return c.Effects.Copy.Why
	}
	return c.Effects.Junk
}

// AtOnce returns the account whose copy is filed in the commit that accepts
// the message, 0 for none, and whether other mailboxes here get theirs later.
// Quarantine, which is decided after, files nothing at once.
func (e *Envelope) AtOnce() (account store.AccountID, later bool) {
	p := plan(e)
	account, _ = p.atOnce()
	return account, slices.ContainsFunc(p.rows, func(r store.QueueRecipient) bool { return r.Local != 0 })
}

func plan(e *Envelope) *planner {
	p := &planner{e: e}
	for i := range e.Recipients {
		p.add(&e.Recipients[i])
	}
	return p
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
	address string // as it is sent: what its case means is the next host's affair (RFC 5321 §2.4)
	// onward names an address of ours, however it is spelled, and the addresses
	// elsewhere that it leads to; system mail has many names for one address.
	onward string
}

// planner makes a row of each target. atOnce then takes one of them back.
type planner struct {
	e     *Envelope
	rows  []store.QueueRecipient
	first target         // of the first row
	at    map[target]int // index of rows, once there is a second
}

func (p *planner) add(r *Recipient) {
	notify := r.Notify
	for _, id := range r.Accounts {
		p.put(r, r.Address, target{account: id}, notify)
		notify = further(notify)
	}
	forwarded := false
	for _, addr := range r.Remote {
		if !r.Onward && addr != r.Address {
			forwarded = true
			continue
		}
		p.put(r, addr, away(addr), notify)
		notify = further(notify)
	}
	switch {
	case forwarded: // with the copies, if there are any
		p.put(r, r.Address, r.onward(r.Remote, r.Copies), notify)
	case !r.Onward && len(r.Copies) > 0:
		p.put(r, r.Address, r.onward(r.Copies), store.NotifyNever)
	case r.Onward:
		for _, addr := range r.Copies {
			p.put(r, addr, away(addr), store.NotifyNever)
		}
	}
}

// away is the target of an address elsewhere.
func away(a mail.Address) target { return target{address: a.String()} }

// onward is the target of an address of ours that leads to others elsewhere.
func (r *Recipient) onward(lists ...[]mail.Address) target {
	var name string
	if !r.System {
		name = r.Address.Key()
	}
	var all []string
	for _, list := range lists {
		for _, a := range list {
			all = append(all, a.String())
		}
	}
	slices.Sort(all)
	return target{onward: name + "\n" + strings.Join(slices.Compact(all), "\n")}
}

// further is NOTIFY for the second and later targets of a recipient: success
// is reported of one, for the sender named one and is not to learn how many
// stand behind it (after RFC 3461 §5.2.7.3).
func further(n store.Notify) store.Notify {
	if n == store.NotifySuccess {
		return store.NotifyNever
	}
	return n &^ store.NotifySuccess
}

// put adds a row, or adds what a recipient wants to be told to the row that
// leads to the same place.
func (p *planner) put(r *Recipient, addr mail.Address, t target, notify store.Notify) {
	if i, ok := p.find(t); ok {
		merge(&p.rows[i], r, addr, notify)
		return
	}
	next := p.e.Time
	if p.e.Release.After(next) {
		next = p.e.Release
	}
	p.rows = append(p.rows, store.QueueRecipient{Address: addr, Original: original(r, addr), Notify: notify, Local: t.account, NextTry: next})
}

// find returns the row that leads to a target. One that there is not gets the
// next index.
func (p *planner) find(t target) (row int, ok bool) {
	if len(p.rows) == 0 {
		p.first = t
		return 0, false
	}
	if p.at == nil {
		p.at = map[target]int{p.first: 0}
	}
	if row, ok = p.at[t]; !ok {
		p.at[t] = len(p.rows)
	}
	return row, ok
}

// merge adds what another recipient wants to be told of the same copy. Whoever
// wants more gives the row its name, because the report is theirs.
func merge(row *store.QueueRecipient, r *Recipient, addr mail.Address, notify store.Notify) {
	have, want := asked(row.Notify), asked(notify)
	if want&^have == 0 {
		return
	}
	row.Address, row.Original = addr, original(r, addr)
	if row.Notify = have | want; have == 0 {
		row.Notify = notify
	}
}

// asked is what a value of NOTIFY asks for; without one it is failure and
// delay (RFC 3461 §4.1).
func asked(n store.Notify) store.Notify {
	if n == 0 {
		return store.NotifyFailure | store.NotifyDelay
	}
	return n &^ store.NotifyNever
}

// original is ORCPT. A recipient whose address changed on the way keeps the
// one the sender knows (RFC 3461 §5.2.7).
func original(r *Recipient, addr mail.Address) string {
	if r.Original != "" || addr == r.Address {
		return r.Original
	}
	kind := "rfc822;"
	if !r.Address.IsASCII() {
		kind = "utf-8;"
	}
	return kind + r.Address.String()
}

// atOnce takes out the first row that can be filed in the commit, and returns
// its account and forward-path; 0 when there is none.
func (p *planner) atOnce() (store.AccountID, mail.Address) {
	if p.e.Queued || !p.e.Release.IsZero() {
		return 0, mail.Address{}
	}
	for i, r := range p.rows {
		if r.Local != 0 && r.Notify&store.NotifySuccess == 0 {
			p.rows = slices.Delete(p.rows, i, i+1)
			return r.Local, r.Address
		}
	}
	return 0, mail.Address{}
}

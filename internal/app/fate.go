package app

import (
	"slices"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// filed notes in the decision record where an accepted message went.
func (h *House) filed(e *accept.Envelope, c *accept.Content, a *store.Acceptance, done store.Accepted) {
	h.reporting.accepted(e, c, a, done)
	for i := range done.Filed {
		f := &a.Filings[i]
		h.Records.Event(record.Event{ID: e.Key, Time: e.Time, Kind: record.Filed, Recipient: filedFor(e, a.Account), Place: f.Role.Name(),
			Reply: c.Junk(), Account: int64(a.Account), Arrived: f.Internal.UnixMicro()})
	}
	if a.Queue == nil {
		return
	}
	ev := record.Event{ID: e.Key, Time: e.Time, Kind: record.Queued}
	if a.Queue.Quarantine != "" {
		ev.Kind, ev.Place, ev.Reply = record.Held, record.Quarantine, a.Queue.Quarantine
	}
	for _, r := range a.Queue.Recipients {
		ev.Recipient, ev.Account = r.Address.String(), int64(r.Local)
		h.Records.Event(ev)
	}
}

// filedFor is the forward-path whose copy was filed at once.
func filedFor(e *accept.Envelope, account store.AccountID) string {
	for i := range e.Recipients {
		if slices.Contains(e.Recipients[i].Accounts, account) {
			return e.Recipients[i].Address.String()
		}
	}
	return ""
}

// settled notes what the queue made of recipients, and of a notice about them.
func (h *House) settled(j queue.Job, endings []queue.Ending, notice ident.ID) {
	for i := range endings {
		e := &endings[i]
		ev, ok := ended(j, e)
		if !ok {
			continue
		}
		for _, to := range e.Result.Onward {
			ev.Place = to.String()
			h.Records.Event(ev)
		}
		if len(e.Result.Onward) == 0 {
			h.Records.Event(ev)
		}
	}
	if !notice.IsZero() {
		h.Records.Event(record.Event{ID: j.Claim.Message.ID, Time: time.Now(), Kind: record.Bounced, Reply: "notice " + notice.String()})
	}
}

// ended is the event of one recipient; none when nothing was attempted.
func ended(j queue.Job, e *queue.Ending) (record.Event, bool) {
	ev := record.Event{ID: j.Claim.Message.ID, Time: time.Now(), Recipient: e.Recipient.Address.String(), Account: int64(e.Recipient.Local), Place: by(e.Result.Host, j.To), Next: e.Next}
	if !e.Result.Reply.IsZero() {
		ev.Reply = e.Result.Reply.String()
	}
	switch {
	case e.Result.Fate == queue.Untried:
		return ev, false
	case e.Result.Fate == queue.Deferred:
		ev.Kind = record.Delayed
	case e.Expired:
		ev.Kind = record.Expired
	case e.Result.Fate == queue.Failed:
		ev.Kind = record.Failed
	case e.Recipient.Local != 0:
		role := store.RoleInbox // also the copy of another address of the account
		if f := e.Result.File; f != nil {
			role = f.Role
			ev.Arrived = f.Internal.UnixMicro()
		}
		ev.Kind, ev.Place, ev.Reply = record.Filed, role.Name(), e.Result.Why
	case j.To.Ours:
		ev.Kind, ev.Place, ev.Other = record.Forwarded, "", e.Result.As
	default:
		ev.Kind = record.Delivered
	}
	return ev, true
}

// by is the host that answered, and the rule that led there (M-DEL-04).
func by(host string, to route.Destination) string {
	if host == "" {
		host = to.Key
	}
	if to.Rule != "" {
		host += " by rule " + to.Rule
	}
	return host
}

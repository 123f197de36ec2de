package app

import (
	"slices"
	"time"

	"posthorn/internal/flow/accept"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// filed notes in the decision record where an accepted message went.
func (h *House) filed(e *accept.Envelope, a *store.Acceptance, done store.Accepted) {
	for i := range done.Filed {
		h.Records.Event(record.Event{ID: e.Key, Time: e.Time, Kind: record.Filed, Recipient: filedFor(e, a.Account), Place: a.Filings[i].Role.Name()})
	}
	if a.Queue == nil {
		return
	}
	for _, r := range a.Queue.Recipients {
		h.Records.Event(record.Event{ID: e.Key, Time: e.Time, Kind: record.Queued, Recipient: r.Address.String()})
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

// delivered notes what the queue did for recipients here.
func (h *House) delivered(c store.Claim, outcomes []store.Outcome) {
	to := make(map[int64]string, len(c.Message.Recipients))
	for _, r := range c.Message.Recipients {
		to[r.ID] = r.Address.String()
	}
	for _, o := range outcomes {
		ev := record.Event{ID: c.Message.ID, Time: time.Now(), Recipient: to[o.Recipient]}
		switch {
		case o.File != nil:
			ev.Kind, ev.Place = record.Filed, o.File.Role.Name()
		case o.Done:
			ev.Kind, ev.Place = record.Filed, store.RoleInbox.Name() // the copy of another address of the account
		default:
			ev.Kind, ev.Reply = record.Delayed, o.LastError
		}
		h.Records.Event(ev)
	}
}

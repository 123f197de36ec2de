package bounce

import (
	"context"
	"errors"
	"slices"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// asks are the values of NOTIFY that ask to be told of an action.
var asks = [...]store.Notify{queue.ActionFailed: store.NotifyFailure, queue.ActionDelayed: store.NotifyDelay,
	queue.ActionDelivered: store.NotifySuccess, queue.ActionRelayed: store.NotifySuccess}

// wanted returns the reports that NOTIFY asks for (RFC 3461 §4.1). Without
// NOTIFY failure and delay are told (RFC 3461 §5.2.1), success is not.
func wanted(reports []queue.Report) []queue.Report {
	var due []queue.Report
	for _, r := range reports {
		notify := r.Recipient.Notify
		if notify == 0 {
			notify = store.NotifyFailure | store.NotifyDelay
		}
		if notify&store.NotifyNever == 0 && notify&asks[r.Action] != 0 {
			due = append(due, r)
		}
	}
	return due
}

// addressee returns where the sender gets mail, or the reason why nobody is
// told.
func (b *Bouncer) addressee(ctx context.Context, m *store.QueueMessage) (accept.Recipient, string, error) {
	to := accept.Recipient{Address: m.Sender, Notify: store.NotifyNever}
	switch {
	case m.Sender.IsNull():
		return to, "null reverse-path", nil
	case m.Sender.Domain == "":
		return to, "the sender has no domain", nil
	case isReport(m):
		return to, "the message is itself a report", nil
	}
	r, err := b.o.Recipients.Resolve(ctx, m.Sender)
	switch {
	case errors.Is(err, directory.ErrExpansion) || errors.Is(err, directory.ErrNoPostmaster):
		return to, err.Error(), nil
	case err != nil:
		return to, "", err
	case !r.Hosted():
		to.Remote = []mail.Address{m.Sender}
		return to, "", nil
	}
	for i := range r.Deliveries {
		to.Accounts = append(to.Accounts, r.Deliveries[i].Account)
	}
	to.Remote, to.Copies = r.Forwards, r.Copies
	if len(to.Accounts)+len(to.Remote)+len(to.Copies) == 0 {
		return to, "the sender's address here is " + r.Kind.String(), nil
	}
	return to, "", nil
}

// isReport recognises reports whose sender is not null although it has to be
// (RFC 3464 §2, RFC 8098 §3): two programs that answer each other's would
// never end. Complaints are no answers, and theirs may not get lost (RFC 5965).
func isReport(m *store.QueueMessage) bool {
	s := structure(m)
	if s == nil || s.Parts[0].Type != "multipart" || s.Parts[0].Subtype != "report" || !s.Flags.Has(mime.HasAutoSubmitted) {
		return false
	}
	return !slices.ContainsFunc(s.Parts, func(p mime.Part) bool { return p.Type == "message" && p.Subtype == "feedback-report" })
}

// structure is that of the queued message, nil if it cannot be read.
func structure(m *store.QueueMessage) *mime.Structure {
	var s mime.Structure
	if err := s.UnmarshalBinary(m.Meta); err != nil || len(s.Parts) == 0 {
		return nil
	}
	return &s
}

// mayTell counts the notice (reliability.md row 30): our own users one by one,
// others by domain, because their local parts may all be forged. Whoever
// logged in to send is told of each failure: nothing of theirs gets lost unseen.
func (b *Bouncer) mayTell(m *store.QueueMessage, due []queue.Report, to accept.Recipient, s *Settings) bool {
	if m.Account != 0 && failed(due) {
		return true
	}
	key := "@" + m.Sender.Domain
	if m.Account != 0 || len(to.Accounts) > 0 {
		key = m.Sender.Key()
	}
	return b.sent.Take(key, limit.Rate{Count: s.PerHour, Per: time.Hour}, 1) == 0
}

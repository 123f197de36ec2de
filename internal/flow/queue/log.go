package queue

import (
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
)

// logAttempt tells that a Deliverer was asked.
func (r *Runner) logAttempt(j *job, took time.Duration, err error) {
	log := r.o.Log.Message(j.Claim.Message.ID)
	if !log.Enabled(event.QueueAttempt) {
		return
	}
	log.Log(event.QueueAttempt, append(where(j), slog.Int("recipients", len(j.Claim.Message.Recipients)), slog.Duration("took", took), event.Err(err))...)
}

// where are the attributes of a destination; a mailbox here has none.
func where(j *job) []slog.Attr {
	var list []slog.Attr
	if j.To.Key != "" {
		list = append(list, slog.String("destination", j.To.Key))
	}
	if j.To.Rule != "" {
		list = append(list, slog.String("rule", j.To.Rule))
	}
	return list
}

// logEndings tells what was stored.
func (r *Runner) logEndings(j *job, endings []Ending, notice ident.ID) {
	log := r.o.Log.Message(j.Claim.Message.ID)
	for i := range endings {
		e := &endings[i]
		what := e.event()
		if e.Result.Fate == Untried || !log.Enabled(what) {
			continue
		}
		attrs := append(where(j), slog.String("recipient", e.Recipient.Address.String()), slog.Int("attempt", e.Recipient.Attempts+1))
		if e.Result.Host != "" {
			attrs = append(attrs, slog.String("host", e.Result.Host))
		}
		if !e.Result.Reply.IsZero() {
			attrs = append(attrs, slog.String("reply", clip(e.Result.Reply.String())))
		}
		if !e.Next.IsZero() {
			attrs = append(attrs, slog.Time("next", e.Next))
		}
		log.Log(what, attrs...)
	}
	if !notice.IsZero() {
		log.Log(event.BounceQueued, slog.String("to", j.Claim.Message.Sender.String()), slog.String("notice", notice.String()))
	}
}

func (e *Ending) event() event.Event {
	switch {
	case e.Expired:
		return event.QueueExpired
	case e.Result.Fate == Delivered:
		return event.QueueDelivered
	case e.Result.Fate == Failed:
		return event.QueueFailed
	}
	return event.QueueDeferred
}

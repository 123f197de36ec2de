package app

import (
	"context"
	"sync"

	"posthorn/internal/base/event"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/report"
	"posthorn/internal/policy"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// reporting keeps what DMARC reports are made of.
type reporting struct {
	h        *House
	intake   *report.Intake
	material *report.Material
}

func (h *House) openReporting() *reporting {
	settings := h.handles.reports.Get
	return &reporting{h: h,
		intake:   report.NewIntake(report.IntakeOptions{Settings: settings, Domains: h.Directory, Reports: h.Store.Reports(), Log: h.Log}),
		material: report.NewMaterial(report.MaterialOptions{Settings: settings, Reports: h.Store.Reports(), Log: h.Log})}
}

// Close reads and writes down what is not yet, for two seconds at most.
func (r *reporting) Close() {
	var both sync.WaitGroup
	both.Go(r.intake.Close)
	both.Go(r.material.Close)
	both.Wait()
}

// Judged implements smtpd.Watch.
func (w *watch) Judged(f *policy.Facts, d *policy.Decision) { w.h.reporting.material.Judged(f, d) }

// accepted offers mail from outside for the address of reports to be read. The
// copy in a mailbox is opened later. One that only the queue has is opened at
// once, because it may leave any moment.
func (r *reporting) accepted(e *accept.Envelope, c *accept.Content, a *store.Acceptance, done store.Accepted) {
	held := a.Queue != nil && a.Queue.Quarantine != ""
	if e.Account != 0 || done.Repeated || held || !r.wanted(e) {
		return
	}
	l := report.Letter{Message: e.Key, Time: e.Time, Origin: report.Origin(c.Effects.Fields, e.Client)}
	if len(done.Filed) > 0 {
		account, id := r.h.Store.Account(a.Account), done.Filed[0].Message
		l.Open = func(ctx context.Context) (store.Body, error) { return account.OpenBody(ctx, id) }
	} else {
		var err error
		if l.Body, err = r.h.Store.Queue().OpenBody(context.Background(), e.Key); err != nil {
			r.h.Log.Message(e.Key).Log(event.ReportRefused, event.Err(err))
			return
		}
	}
	r.intake.Offer(l)
}

func (r *reporting) wanted(e *accept.Envelope) bool {
	for i := range e.Recipients {
		if r.intake.Wants(e.Recipients[i].Address) {
			return true
		}
	}
	return false
}

// quarantine bounds what is held back, and removes what nobody releases.
func (h *House) quarantine() *accept.Quarantine {
	return &accept.Quarantine{Queue: h.Store.Queue(), Settings: h.handles.quarantine.Get, Log: h.Log, Removed: func(m store.QueueEntry) {
		h.Records.Event(record.Event{ID: m.ID, Kind: record.Removed, Reply: "nobody released it from quarantine"})
	}}
}

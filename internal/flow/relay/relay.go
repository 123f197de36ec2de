// Package relay hands mail for relay domains on to their main servers
// (M-REL-02, M-REL-03). It stands before flow/remote, which does the talking: it
// finds out where the main server is, and when there is none but this one it
// keeps the mail for a day and tells an administrator, before it gives up.
//
// It does not know which domains are relayed, nor fixed next hops: flow/route does.
package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/queue"
)

// patience is how long mail waits for a domain that leads back here: somebody
// may be changing its DNS records.
const patience = 24 * time.Hour

// Deliverer delivers to the main servers. It implements queue.Deliverer.
type Deliverer struct {
	// Next does the talking; its Resolver is Inside.
	Next    queue.Deliverer
	Horizon *Horizon
	Log     *event.Logger
}

// Deliver implements queue.Deliverer.
func (d *Deliverer) Deliver(ctx context.Context, j queue.Job) ([]queue.Result, error) {
	if !j.To.Inside {
		return d.Next.Deliver(ctx, j)
	}
	_, err := d.Horizon.Exchangers(ctx, j.To.Domain)
	switch {
	case errors.Is(err, ErrLoops):
		return d.refuse(j, reply.Newf(554, reply.E(5, 4, 6), "mail for %s loops back to myself", j.To.Domain).Because(err))
	case errors.Is(err, dns.ErrNoName):
		return d.refuse(j, reply.Newf(550, reply.E(5, 4, 4), "no name server knows the domain %s", j.To.Domain).Because(err))
	}
	// Other trouble is told by the one who talks, who asks the same.
	return d.Next.Deliver(context.WithValue(ctx, insideKey{}, j.To.Domain), j)
}

// refuse ends the job for good once it is old enough. Until then it is
// temporary, and an administrator is told.
func (d *Deliverer) refuse(j queue.Job, final reply.Reply) ([]queue.Result, error) {
	m := &j.Claim.Message
	fate, answer := queue.Failed, final
	if old := time.Since(m.Accepted) >= patience; !old {
		fate = queue.Deferred
		answer.Code, answer.Enhanced.Class = 451, 4
		d.Log.Message(m.ID).Log(event.QueueError, slog.String("destination", j.To.Key), event.Err(errors.New(answer.String())))
	}
	results := make([]queue.Result, len(m.Recipients))
	for i, r := range m.Recipients {
		results[i] = queue.Result{Recipient: r.ID, Fate: fate, Reply: answer}
	}
	return results, nil
}

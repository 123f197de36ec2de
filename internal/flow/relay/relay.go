// Package relay hands mail for relay domains on to their main servers
// (M-REL-02, M-REL-03). It stands before flow/remote, which does the talking: it
// finds out where the main server is, and when there is none but this one it
// keeps the mail for a day and tells an administrator, before it gives up. Mail
// for a relay domain that is disabled waits.
//
// It does not know which domains are relayed, nor fixed next hops: flow/route does.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/store"
)

// patience is how long mail waits for a domain that leads back here: somebody
// may be changing its DNS records.
const patience = 24 * time.Hour

// remedy ends what a recipient's record says of such a domain.
const remedy = "its main server must be a fixed next hop of the relay domain, or named by DNS inside"

// Deliverer delivers to the main servers. It implements queue.Deliverer.
type Deliverer struct {
	// Next does the talking; its Resolver is Inside. A host that turns out to be
	// this server only when it is talked to is a queue.ErrLoops.
	Next    queue.Deliverer
	Horizon *Horizon
	Log     *event.Logger
}

// Deliver implements queue.Deliverer.
func (d *Deliverer) Deliver(ctx context.Context, j queue.Job) ([]queue.Result, error) {
	switch {
	case j.To.Suspended:
		return suspended(j), nil
	case j.To.Doubt != "":
		return d.doubted(j), nil
	case !j.To.Inside:
		return d.Next.Deliver(ctx, j)
	}
	_, err := d.Horizon.Exchangers(ctx, j.To.Domain)
	switch {
	case errors.Is(err, queue.ErrLoops):
		return d.refuse(j, loops(j, err)), nil
	case errors.Is(err, dns.ErrNoName):
		return d.refuse(j, reply.Newf(550, reply.E(5, 4, 4), "no name server knows the domain %s", j.To.Domain).Because(err)), nil
	}
	// Other trouble is told by the one who talks, who asks the same.
	results, err := d.Next.Deliver(context.WithValue(ctx, insideKey{}, j.To.Domain), j)
	return d.patient(j, results), err
}

func loops(j queue.Job, why error) reply.Reply {
	return reply.Newf(554, reply.E(5, 4, 6), "mail for %s loops back to myself", j.To.Domain).Because(why)
}

// suspended keeps what was accepted before the relay domain was disabled.
func suspended(j queue.Job) []queue.Result {
	var results []queue.Result
	for _, r := range j.Claim.Message.Recipients {
		results = append(results, queue.Result{Recipient: r.ID, Fate: queue.Deferred,
			Reply: reply.Newf(450, reply.E(4, 3, 2), "mail for %s waits here while its relay domain is disabled", r.Address.Domain)})
	}
	return results
}

// doubted keeps mail that must not go another way than settings said that
// cannot be used now. Senders, who may hear of a delay, are not told why.
func (d *Deliverer) doubted(j queue.Job) []queue.Result {
	why := errors.New(j.To.Doubt)
	d.Log.Message(j.Claim.Message.ID).Log(event.QueueError, event.Err(why))
	what, _, _ := strings.Cut(j.To.Doubt, ":")
	var results []queue.Result
	for _, r := range j.Claim.Message.Recipients {
		results = append(results, queue.Result{Recipient: r.ID, Fate: queue.Deferred,
			Reply: reply.Newf(450, reply.E(4, 3, 5), "mail for %s waits here, for %s (posthorn status tells why)", r.Address.Domain, what).Because(why)})
	}
	return results
}

// patient puts off the end of recipients whose mail came to ourselves, as it
// does behind an address translation: no look-up tells that.
func (d *Deliverer) patient(j queue.Job, results []queue.Result) []queue.Result {
	looped := map[int64]int{}
	for i := range results {
		if errors.Is(results[i].Reply.Cause, queue.ErrLoops) {
			looped[results[i].Recipient] = i
		}
	}
	if len(looped) == 0 {
		return results
	}
	part, m := j, &j.Claim.Message
	part.Claim.Message.Recipients = nil
	for _, r := range m.Recipients {
		if _, ok := looped[r.ID]; ok {
			part.Claim.Message.Recipients = append(part.Claim.Message.Recipients, r)
		}
	}
	for _, res := range d.refuse(part, loops(j, queue.ErrLoops)) {
		i := looped[res.Recipient]
		res.Host = results[i].Host
		results[i] = res
	}
	return results
}

// refuse ends recipients for good that have met the same trouble for long
// enough. Until then it is temporary, and an administrator is told.
func (d *Deliverer) refuse(j queue.Job, final reply.Reply) []queue.Result {
	m := &j.Claim.Message
	results := make([]queue.Result, len(m.Recipients))
	alarm := false
	for i := range m.Recipients {
		r := &m.Recipients[i]
		results[i] = queue.Result{Recipient: r.ID, Fate: queue.Failed, Reply: final, Ours: true}
		if since, passing := waited(r, final); since < patience {
			results[i].Fate, results[i].Reply = queue.Deferred, passing
			alarm = true
		}
	}
	if alarm {
		d.Log.Message(m.ID).Log(event.QueueError, slog.String("destination", j.To.Key), event.Err(errors.New(final.String())), slog.String("remedy", remedy))
	}
	return results
}

// waited is how long a recipient has met a trouble, and the reply that says so.
// The last attempt's reply is where that is remembered: it outlives a restart,
// and the time since then is free of jumps of the clock.
func waited(r *store.QueueRecipient, final reply.Reply) (time.Duration, reply.Reply) {
	passing := final
	passing.Code, passing.Enhanced.Class = 451, 4
	since := time.Duration(0)
	if rest, again := strings.CutPrefix(r.LastError, passing.String()+", for "); again && !r.LastTry.IsZero() {
		text, _, _ := strings.Cut(rest, ";")
		if d, err := time.ParseDuration(text); err == nil {
			since = d + max(time.Since(r.LastTry), 0)
		}
	}
	words := fmt.Sprintf("%s, for %s; %s", final.Text[0], since.Round(time.Second), remedy)
	passing.Text = []string{words}
	return since, passing
}

// Package queue moves accepted messages on: it claims recipients that are due,
// hands them to a Deliverer, and stores what became of each. The rows are the
// store's; a claim is a lease with a fence, so that two nodes may run on one
// queue and a killed one's claims fall due again.
//
// It knows neither mailboxes nor the network: flow/local files, flow/remote
// (mail to other servers) sends.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// Deliverer tries to deliver a claimed message to its recipients. It returns
// one outcome a recipient, in any order; a recipient without one is tried
// again later.
type Deliverer interface {
	Deliver(ctx context.Context, c store.Claim) []store.Outcome
}

// Options of a Runner.
type Options struct {
	Queue store.Queue
	// Local runs the recipients with a mailbox here, otherwise those elsewhere.
	Local     bool
	Deliverer Deliverer
	// Owner names this process in claims. No other process may use it at the
	// same time, and this one uses it again after a restart.
	Owner string
	// Workers is how many messages are delivered at once; 0 means 4.
	Workers int
	// Lease is how long a claim lasts; a delivery must not take longer. 0
	// means 10 minutes.
	Lease time.Duration
	// Done is told what became of the recipients once it is stored; nil: nobody.
	Done func(c store.Claim, outcomes []store.Outcome)
	Log  *event.Logger
}

// Runner works on one kind of recipients.
type Runner struct{ o Options }

// batch is how many messages one claim takes.
const batch = 100

// New returns a Runner.
func New(o Options) *Runner {
	if o.Workers == 0 {
		o.Workers = 4
	}
	if o.Lease == 0 {
		o.Lease = 10 * time.Minute
	}
	return &Runner{o: o}
}

// Run delivers until ctx ends, then waits for deliveries under way. What an
// earlier process of the same name had claimed is due again, and so is, at the
// end, what was claimed and not tried.
func (r *Runner) Run(ctx context.Context) {
	r.abandon(ctx)
	defer r.abandon(context.WithoutCancel(ctx))
	jobs := make(chan store.Claim)
	done := make(chan struct{}, r.o.Workers)
	for range r.o.Workers {
		go func() {
			defer func() { done <- struct{}{} }()
			for c := range jobs {
				r.deliver(ctx, c)
			}
		}()
	}
	for ctx.Err() == nil {
		switch more, err := r.claim(ctx, jobs); {
		case err != nil:
			r.pause(ctx, idle, nil) // what is due stays due: asking at once would spin
		case !more:
			r.wait(ctx)
		}
	}
	close(jobs)
	for range r.o.Workers {
		<-done
	}
}

func (r *Runner) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	if _, err := r.o.Queue.Abandon(ctx, r.o.Owner); err != nil && ctx.Err() == nil {
		r.o.Log.Log(event.QueueError, event.Err(err))
	}
}

// stopTime is how long a stop waits for the store; what is not stored by then
// is due again at the next start.
const stopTime = 2 * time.Second

// outlast returns a context to store an outcome by: a minute, but no longer
// than stopTime after a stop.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(stopTime):
			cancel()
		case <-own.Done():
		}
	})
	return own, func() { stop(); cancel() }
}

// claim hands due messages to the workers and reports whether there may be more.
func (r *Runner) claim(ctx context.Context, jobs chan<- store.Claim) (more bool, err error) {
	claims, err := r.o.Queue.Claim(ctx, r.o.Owner, r.o.Local, batch, r.o.Lease)
	if err != nil {
		if ctx.Err() == nil {
			r.o.Log.Log(event.QueueError, event.Err(err))
		}
		return false, err
	}
	for _, c := range claims {
		select {
		case jobs <- c:
		case <-ctx.Done():
			return false, nil // Run gives it back
		}
	}
	return len(claims) == batch, nil
}

const (
	// idle is the longest sleep: other nodes' rows give no signal here.
	idle = 5 * time.Second
	// breath is the shortest, for what is due and yet cannot be claimed.
	breath = 10 * time.Millisecond
)

// wait sleeps until something is due or was added.
func (r *Runner) wait(ctx context.Context) {
	pause := idle
	if due, ok, err := r.o.Queue.NextDue(ctx, r.o.Local); err == nil && ok {
		pause = min(max(time.Until(due), breath), idle)
	}
	r.pause(ctx, pause, r.o.Queue.Wake(r.o.Local))
}

// pause sleeps until the time is over, the signal comes or ctx ends.
func (r *Runner) pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
}

// retryAfter is when a recipient without an outcome is tried again.
const retryAfter = 5 * time.Minute

// deliver runs one claim to its end. Results are stored even when ctx ended
// meanwhile: the delivery happened.
func (r *Runner) deliver(ctx context.Context, c store.Claim) {
	if ctx.Err() != nil {
		return
	}
	log := r.o.Log.Message(c.Message.ID)
	outcomes := r.try(ctx, c)
	if ctx.Err() != nil {
		// What the stop interrupted goes back as if it had not been tried.
		outcomes = slices.DeleteFunc(outcomes, func(o store.Outcome) bool { return !o.Done })
	} else {
		outcomes = complete(c, outcomes)
	}
	if len(outcomes) == 0 {
		return
	}
	finish, cancel := outlast(ctx)
	defer cancel()
	if err := r.o.Queue.Finish(finish, c, outcomes, nil); err != nil {
		if errors.Is(err, store.ErrConflict) {
			log.Log(event.QueueError, slog.String("claim", "lost to another worker"))
			return
		}
		r.giveBack(finish, c, outcomes, err)
		log.Log(event.QueueError, event.Err(err))
	}
	if r.o.Done != nil {
		r.o.Done(c, outcomes)
	}
}

// try runs the Deliverer. A message that makes it panic is deferred: it must
// not end the process, which would find it again at the next start.
func (r *Runner) try(ctx context.Context, c store.Claim) (outcomes []store.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			outcomes = nil
			r.o.Log.Message(c.Message.ID).Log(event.ServerPanic, slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
		}
	}()
	return r.o.Deliverer.Deliver(ctx, c)
}

// giveBack defers all recipients when their outcome could not be stored, for
// example because a mailbox was full only at the commit.
func (r *Runner) giveBack(ctx context.Context, c store.Claim, outcomes []store.Outcome, cause error) {
	for i := range outcomes {
		o := &outcomes[i]
		o.Done, o.File, o.LastError, o.NextTry = false, nil, cause.Error(), time.Now().Add(retryAfter)
	}
	if err := r.o.Queue.Finish(ctx, c, outcomes, nil); err != nil {
		r.o.Log.Message(c.Message.ID).Log(event.QueueError, event.Err(err))
	}
}

// complete adds a deferral for every recipient the deliverer left out.
func complete(c store.Claim, outcomes []store.Outcome) []store.Outcome {
	seen := make(map[int64]bool, len(outcomes))
	for _, o := range outcomes {
		seen[o.Recipient] = true
	}
	for _, rcpt := range c.Message.Recipients {
		if !seen[rcpt.ID] {
			outcomes = append(outcomes, store.Outcome{Recipient: rcpt.ID, NextTry: time.Now().Add(retryAfter), LastError: "not tried: the delivery was interrupted"})
		}
	}
	return outcomes
}

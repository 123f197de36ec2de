package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/state/store"
)

// errLost is why a delivery is interrupted whose claim another has.
var errLost = errors.New("the claim was lost to another worker")

// work runs a job to its end. Its lease is kept until its endings are stored.
func (r *Runner) work(c contexts, j *job) {
	defer func() { r.release(1); r.start(c) }()
	if !r.renew(c, j) {
		r.lanes.ran(j, time.Now(), false, r.o.Settings().PerDestination)
		return
	}
	ctx, interrupt := context.WithCancelCause(c.work)
	defer interrupt(nil)
	defer r.keep(c, j, interrupt)()

	began := time.Now()
	results, err := r.try(ctx, j)
	r.logAttempt(j, time.Since(began), err)
	now := time.Now()
	var outage *Outage
	var waiting []*job
	if errors.As(err, &outage) && c.work.Err() == nil {
		first := r.o.Settings().Retry[0]
		waiting = r.lanes.failed(j, now.Add(first-first/8), outage.Reply)
	}
	// The place in the lane stays taken until all is stored, so that a crash
	// leaves no more in doubt than may be sent at once.
	save, end := c.save()
	defer end()
	r.settle(save, j, r.endings(j, now, results, err, ctx.Err() != nil))
	r.lanes.ran(j, now, err == nil && reached(results), r.o.Settings().PerDestination)
	r.unreachableAll(c, waiting, outage)
}

// reached reports whether a destination took or refused anything for good.
func reached(results []Result) bool {
	for i := range results {
		if results[i].Fate == Delivered || results[i].Fate == Failed {
			return true
		}
	}
	return false
}

// unreachableAll defers what waited for a destination that cannot be reached.
// It is asked again when the first pause of the schedule is nearly over.
func (r *Runner) unreachableAll(c contexts, waiting []*job, why *Outage) {
	all := make([]away, len(waiting))
	for i, w := range waiting {
		all[i] = func(save context.Context) { r.unreachable(save, w, why.Reply) }
	}
	r.aside(c, all)
}

// unreachable ends a job whose destination is known to be dead.
func (r *Runner) unreachable(save context.Context, j *job, why reply.Reply) {
	r.settle(save, j, r.endings(j, time.Now(), nil, &Outage{Reply: why}, false))
}

// untried ends a job that has no place in memory.
func (r *Runner) untried(save context.Context, j *job, wait time.Duration) {
	var list []Ending
	for _, rcpt := range j.Claim.Message.Recipients {
		list = append(list, Ending{Recipient: rcpt, Result: Result{Recipient: rcpt.ID}, Next: time.Now().Add(wait)})
	}
	r.settle(save, j, list)
}

// renew makes sure that there is time left to begin a delivery.
func (r *Runner) renew(c contexts, j *job) bool {
	if time.Until(j.until) > r.o.Lease/2 {
		return true
	}
	until, err := r.o.Queue.Extend(c.run, j.Claim, r.o.Lease)
	if err != nil {
		if c.run.Err() != nil {
			return false
		}
		// Somebody has it, or it will be due again when the lease has ended.
		r.o.Log.Message(j.Claim.Message.ID).Log(event.QueueError, event.Err(err))
		return false
	}
	j.until = until
	return true
}

// keep extends the lease of a job until the function returned is called, which
// does not wait for the store. When the claim is lost, or the lease ends without
// an answer, it interrupts the delivery.
func (r *Runner) keep(c contexts, j *job, interrupt context.CancelCauseFunc) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		r.extend(c, j, stopped, interrupt)
	}()
	return func() { close(stopped); <-ended }
}

func (r *Runner) extend(c contexts, j *job, stopped <-chan struct{}, interrupt context.CancelCauseFunc) {
	pause := r.o.Lease / 3
	until := j.until
	timer, end := time.NewTimer(pause), time.NewTimer(time.Until(until))
	defer timer.Stop()
	defer end.Stop()
	answers := make(chan extension, 1) // what an answer nobody waits for goes into
	for {
		select {
		case <-stopped:
			return
		case <-end.C: // whatever the store does: it may be a line that was cut
			interrupt(errLost)
			return
		case <-timer.C:
			go func() {
				ctx, cancel := context.WithDeadline(context.WithoutCancel(c.run), until)
				defer cancel()
				at, err := r.o.Queue.Extend(ctx, j.Claim, r.o.Lease)
				answers <- extension{at, err}
			}()
		case x := <-answers:
			switch {
			case x.err == nil:
				until = x.until
				end.Reset(time.Until(until))
				timer.Reset(pause)
			case errors.Is(x.err, store.ErrConflict):
				interrupt(errLost)
				return
			default:
				timer.Reset(pause / 10)
			}
		}
	}
}

// extension is the store's answer to one.
type extension struct {
	until time.Time
	err   error
}

// try runs the Deliverer. A message that makes it panic is deferred: it must
// not end the process, which would find it again at the next start.
func (r *Runner) try(ctx context.Context, j *job) (results []Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			results, err = nil, errors.New("internal error")
			r.o.Log.Message(j.Claim.Message.ID).Log(event.ServerPanic, slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
		}
	}()
	return r.o.Deliverer.Deliver(ctx, j.Job)
}

// Package queue moves accepted messages on: it claims recipients that are due,
// hands them to a Deliverer, and stores what became of each.
//
//	store ─claim─► split by destination ─► lanes ─by turns─► Deliverer
//	  ▲                                      │ full, dead        │ results
//	  └───── outcomes and notice, one commit ◄┴──────────────────┘
//
// The rows are the store's. A claim is a lease with a fence: two nodes may run
// on one queue, and a killed one's claims fall due again. A lease is extended
// while its delivery runs, and a delivery whose lease another took is
// interrupted. One gap cannot be closed: a node that is cut off from the store
// between the end of the data and the next server's reply may be followed by
// another that sends the message again (RFC 5321 §4.5.3.2.6 knows it too).
//
// It knows neither mailboxes nor the network: flow/local files, flow/remote
// sends, flow/bounce writes notices.
package queue

import (
	"context"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// Deliverer tries to deliver a job. It returns one result a recipient, in any
// order. An *Outage as error says that the destination cannot be reached at
// all; with another error, recipients without a result are tried again later,
// and without an error they count as not tried.
//
// When ctx ends it gives up at once, but says what it knows has happened.
type Deliverer interface {
	Deliver(ctx context.Context, j Job) ([]Result, error)
}

// Options of a Runner.
type Options struct {
	Queue store.Queue
	// Local runs the recipients with a mailbox here, otherwise those elsewhere.
	Local     bool
	Deliverer Deliverer
	// Route says where a recipient goes; nil: all go to the same place.
	Route func(*store.QueueMessage, *store.QueueRecipient) route.Destination
	// Notices tells senders; nil: nobody is told of anything.
	Notices Notices
	// Settings returns the settings in force; nil: the defaults.
	Settings func() *Settings
	// Changed returns a channel that is closed when other settings come into
	// force; nil: they are noticed within seconds.
	Changed func() <-chan struct{}
	// Owner names this process in claims. No other process may use it at the
	// same time, and this one uses it again after a restart.
	Owner string
	// Workers is how many jobs run at once; 0 means what the settings say, and
	// 4 for mailboxes here.
	Workers int
	// Lease is how long a claim lasts unless it is extended; 0 means 10 minutes.
	Lease time.Duration
	// Done is told what became of a job's recipients once it is stored, and
	// the id of the notice about them, zero for none; nil: nobody.
	Done func(j Job, endings []Ending, notice ident.ID)
	Log  *event.Logger
}

// Runner works on one kind of recipients.
type Runner struct {
	o     Options
	lanes *lanes
	jobs  sync.WaitGroup
	freed chan struct{} // a hint that there is room again
}

const (
	// batch is how many messages one claim takes.
	batch = 100
	// window is how many jobs are held in memory, localWindow for mailboxes.
	window, localWindow = 2000, 200
	localWorkers        = 4
)

// New returns a Runner.
func New(o Options) *Runner {
	if o.Lease == 0 {
		o.Lease = 10 * time.Minute
	}
	if o.Settings == nil {
		s := setting.Defaults[Settings](setting.Recommended)
		o.Settings = func() *Settings { return &s }
	}
	size := window
	if o.Local {
		size = localWindow
	}
	if o.Changed == nil {
		o.Changed = func() <-chan struct{} { return nil }
	}
	return &Runner{o: o, lanes: newLanes(size, o.Route != nil), freed: make(chan struct{}, 1)}
}

// paused reports whether no attempt may begin.
func (r *Runner) paused() bool { return !r.o.Local && r.o.Settings().Paused }

func (r *Runner) workers() int {
	switch {
	case r.o.Workers > 0:
		return r.o.Workers
	case r.o.Local:
		return localWorkers
	}
	return r.o.Settings().Workers
}

// How long a stop takes at most: deliveries may end by themselves for a while,
// then they are interrupted, and a Deliverer may wait a few seconds for a host
// that has the message to say so. What is not stored soon after that is due
// again at the next start. With flow/remote all of it takes nine seconds.
const (
	grace    = 3 * time.Second
	stopTime = 1500 * time.Millisecond
)

// Run delivers until ctx ends, then waits for deliveries under way. What an
// earlier process of the same name had claimed is due again, and so is, at the
// end, what was claimed and not tried.
func (r *Runner) Run(ctx context.Context) {
	work, cancel := outlast(ctx, grace)
	defer cancel()
	c := contexts{ctx, work}
	r.abandon(ctx)
	defer func() {
		save, cancel := c.save()
		defer cancel()
		r.abandon(save)
	}()
	for ctx.Err() == nil {
		r.step(c)
	}
	r.jobs.Wait()
}

// contexts are the ends of a Runner: nothing begins after run, no delivery goes
// on after work.
type contexts struct{ run, work context.Context }

// save returns the context for storing what is known now. It ends some time
// after work, and where work has ended, after now: what a host said to a
// delivery that was interrupted is news.
func (c contexts) save() (context.Context, context.CancelFunc) { return outlast(c.work, stopTime) }

// outlast returns a context that ends some time after its parent.
func outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-own.Done():
		}
	})
	return own, func() { stop(); cancel() }
}

func (r *Runner) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	if _, err := r.o.Queue.Abandon(ctx, r.o.Owner); err != nil && ctx.Err() == nil {
		r.o.Log.Log(event.QueueError, event.Err(err))
	}
}

// step claims once and waits if there was nothing more.
func (r *Runner) step(c contexts) {
	now, changed := time.Now(), r.o.Changed() // taken before the settings are read
	r.lanes.sweep(now)
	if r.paused() {
		r.giveBack(c, r.lanes.drain(now.Add(2*r.o.Lease)), 0)
		r.sleep(c.run, idle, nil, changed)
		return
	}
	r.start(c) // what waited through a pause too short to give it back
	// What waits for long goes back before its lease ends.
	r.giveBack(c, r.lanes.drain(now.Add(r.o.Lease/2)), untriedPause)
	room := r.lanes.room()
	if room < batch/2 { // a few at a time would cost a transaction each
		r.sleep(c.run, idle, r.freed, changed)
		return
	}
	limit := min(batch, room)
	claims, err := r.o.Queue.Claim(c.run, r.o.Owner, r.o.Local, limit, r.o.Lease)
	switch {
	case err != nil:
		if c.run.Err() == nil {
			r.o.Log.Log(event.QueueError, event.Err(err))
		}
		r.sleep(c.run, idle, nil, changed) // what is due stays due: asking at once would spin
		return
	case c.run.Err() != nil:
		return // Run gives the claims back
	}
	r.sort(c, claims)
	if recipients(claims) < limit {
		r.wait(c.run, changed)
	}
}

// recipients counts them: an engine's limit may be one of rows.
func recipients(claims []store.Claim) (n int) {
	for i := range claims {
		n += len(claims[i].Message.Recipients)
	}
	return n
}

// sort puts claims into their lanes and deals with those that have no place.
func (r *Runner) sort(c contexts, claims []store.Claim) {
	now := time.Now()
	var away []away
	for i := range claims {
		for _, j := range split(claims[i], r.o.Route) {
			switch p := r.lanes.put(j, now); {
			case p.dead:
				away = append(away, func(save context.Context) { r.unreachable(save, j, p.reply) })
			case p.full:
				away = append(away, func(save context.Context) { r.untried(save, j, p.wait) })
			}
		}
	}
	r.start(c)
	r.lanes.hold(len(away))
	r.aside(c, away)
}

// start starts what may start: nothing while the queue is paused.
func (r *Runner) start(c contexts) {
	for c.run.Err() == nil && !r.paused() {
		j := r.lanes.next(r.workers(), r.o.Settings().PerDestination)
		if j == nil {
			return
		}
		r.jobs.Go(func() { r.work(c, j) })
	}
}

// release gives up the place of jobs and lets others in.
func (r *Runner) release(n int) {
	r.lanes.release(n)
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// giveBack returns waiting jobs to the store.
func (r *Runner) giveBack(c contexts, jobs []*job, wait time.Duration) {
	back := make([]away, len(jobs))
	for i, j := range jobs {
		back[i] = func(save context.Context) { r.untried(save, j, wait) }
	}
	r.aside(c, back)
}

// away stores what becomes of a job that does not run.
type away func(save context.Context)

// aside stores what becomes of jobs that are held and gives up their places.
// Nobody waits for that: the store may need hours until it has room.
func (r *Runner) aside(c contexts, all []away) {
	if len(all) == 0 {
		return
	}
	r.jobs.Go(func() {
		save, cancel := c.save()
		defer cancel()
		each(save, all, func() { r.release(1) })
	})
}

// together is how many outcomes of jobs that were not tried are stored at
// once; the store makes one commit of them.
const together = 64

// each runs all functions, several at once, and then after every one.
func each(save context.Context, all []away, then func()) {
	var wg sync.WaitGroup
	work := make(chan away)
	for range min(len(all), together) {
		wg.Go(func() {
			for f := range work {
				f(save)
				then()
			}
		})
	}
	for _, f := range all {
		work <- f
	}
	close(work)
	wg.Wait()
}

const (
	// idle is the longest sleep: other nodes' rows give no signal here.
	idle = 5 * time.Second
	// breath is the shortest, for what is due and yet cannot be claimed.
	breath = 10 * time.Millisecond
)

// wait sleeps until something is due or was added.
func (r *Runner) wait(ctx context.Context, changed <-chan struct{}) {
	pause := idle
	if due, ok, err := r.o.Queue.NextDue(ctx, r.o.Local); err == nil && ok {
		pause = min(max(time.Until(due), breath), idle)
	}
	r.sleep(ctx, pause, r.o.Queue.Wake(r.o.Local), changed)
}

// sleep sleeps until the time is over, a signal comes or ctx ends.
func (r *Runner) sleep(ctx context.Context, d time.Duration, wake, changed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	case <-changed:
	}
}

package queue

import (
	"slices"
	"sync"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

// job is a Job on its way through a lane.
type job struct {
	Job
	until time.Time // the lease, as far as known
}

// asked reports whether an administrator wants the job tried whatever is known
// of its destination.
func (j *job) asked() bool {
	for i := range j.Claim.Message.Recipients {
		if j.Claim.Message.Recipients[i].Asked {
			return true
		}
	}
	return false
}

// split makes a job of each destination of a claim.
func split(c store.Claim, choose func(*store.QueueMessage, *store.QueueRecipient) route.Destination) []*job {
	if choose == nil {
		return []*job{{Job: Job{Claim: c}, until: c.Until}}
	}
	var jobs []*job
	byKey := map[string]*job{}
	for i := range c.Message.Recipients {
		to := choose(&c.Message, &c.Message.Recipients[i])
		j := byKey[to.Key]
		if j == nil {
			j = &job{Job: Job{Claim: c, To: to}, until: c.Until}
			j.Claim.Message.Recipients = nil
			byKey[to.Key], jobs = j, append(jobs, j)
		}
		j.Claim.Message.Recipients = append(j.Claim.Message.Recipients, c.Message.Recipients[i])
	}
	return jobs
}

// lanes hold the jobs in memory, a lane a destination. What may start is
// shared by turns; what may wait and run is shared by thresholds that sink as
// the whole fills, so that no number of stalled destinations leaves nothing for
// another (Choudhury and Hahne, Dynamic Queue Length Thresholds, 1998).
type lanes struct {
	window int  // most jobs in memory
	shared bool // by several lanes

	mu      sync.Mutex
	byKey   map[string]*lane
	turn    []*lane // those with waiting jobs, whose turn it is first
	held    int     // jobs in memory: waiting, running, being stored
	running int
}

// lane is the way to one destination.
type lane struct {
	waiting []*job
	running int
	limit   int // most jobs at once, grows with success
	tried   bool
	good    bool // the last attempt went well
	dead    time.Time
	reply   reply.Reply // why it is dead
	pace    pace
	used    time.Time
}

func newLanes(window int, shared bool) *lanes {
	return &lanes{window: window, shared: shared, byKey: map[string]*lane{}}
}

const (
	firstLimit = 3
	// A lane may hold this part of what is left of the window, so that one
	// alone gets a quarter of it, and of the workers.
	windowShare, workerShare = 3, 4
	// The last tenth of the workers is kept: half of it for destinations that
	// nobody has asked yet, half for those that answered well the last time.
	keptShare = 10
	// forget is when an idle lane is forgotten.
	forget = 10 * time.Minute
)

// room is how many jobs still fit.
func (l *lanes) room() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.window - l.held
}

// place is what became of a job that was put into its lane.
type place struct {
	// dead: the destination cannot be reached, as reply says.
	dead  bool
	reply reply.Reply
	// full: the lane has its share; wait is when the job's turn may come.
	full bool
	wait time.Duration
}

// put lets a job wait in its lane, unless the answer says otherwise.
func (l *lanes) put(j *job, now time.Time) place {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.byKey[j.To.Key]
	if w == nil {
		w = &lane{limit: firstLimit}
		l.byKey[j.To.Key] = w
	}
	w.used = now
	if now.Before(w.dead) {
		if !j.asked() {
			return place{dead: true, reply: w.reply}
		}
		w.dead = time.Time{}
	}
	if l.shared && len(w.waiting)+w.running >= (l.window-l.held)/windowShare && (len(w.waiting)+w.running > 0 || l.held >= l.window) {
		return place{full: true, wait: w.pace.wait(now, len(w.waiting))}
	}
	if len(w.waiting) == 0 {
		l.turn = append(l.turn, w)
		if w.running == 0 {
			w.pace.begin(now)
		}
	}
	w.waiting = append(w.waiting, j)
	l.held++
	return place{}
}

// next takes the job that may start now; nil when none may.
func (l *lanes) next(workers, perLane int) *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	free := workers - l.running
	if free <= 0 {
		return nil
	}
	kept := 0
	if l.shared {
		kept = workers / keptShare
	}
	for range l.turn {
		w := l.turn[0]
		l.turn = l.turn[1:]
		most := workers
		if l.shared {
			most = min(w.limit, perLane, max(1, free/workerShare))
		}
		at := -1
		if w.running < most {
			at = w.pick(free, kept)
		}
		if at < 0 {
			l.turn = append(l.turn, w)
			continue
		}
		j := w.waiting[at]
		copy(w.waiting[1:at+1], w.waiting[:at])
		w.waiting[0] = nil
		w.waiting = w.waiting[1:]
		if len(w.waiting) > 0 {
			l.turn = append(l.turn, w)
		}
		j.Hurry = l.shared && (free <= kept && !w.good || j.Claim.Message.Sender.IsNull())
		w.tried = true
		w.running++
		l.running++
		return j
	}
	return nil
}

// pick returns which job of the lane may start, -1 for none. Notices never get
// the workers that are kept: any stranger can have them sent to hosts that hold
// them for long.
func (w *lane) pick(free, kept int) int {
	switch {
	case free > kept:
		return 0
	case !w.good && (w.tried || free <= kept/2):
		return -1
	}
	return slices.IndexFunc(w.waiting, func(j *job) bool { return !j.Claim.Message.Sender.IsNull() })
}

// ran ends a job's time in its lane; it is held until it is released. good:
// the destination answered well.
func (l *lanes) ran(j *job, now time.Time, good bool, perLane int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.byKey[j.To.Key]
	w.running--
	l.running--
	w.used = now
	w.pace.done++
	w.good = good
	if good {
		w.limit = min(w.limit+1, perLane)
		w.dead = time.Time{}
	}
}

// failed declares a destination dead for a while and returns the jobs that
// waited for it.
func (l *lanes) failed(j *job, until time.Time, why reply.Reply) []*job {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.byKey[j.To.Key]
	w.limit = max(w.limit/2, 1)
	w.dead, w.reply = until, why
	return l.empty(w)
}

// empty takes all waiting jobs out of a lane. They stay held.
func (l *lanes) empty(w *lane) []*job {
	jobs := w.waiting
	w.waiting = nil
	for i, x := range l.turn {
		if x == w {
			l.turn = append(l.turn[:i:i], l.turn[i+1:]...)
			break
		}
	}
	return jobs
}

// hold counts jobs that were not put and are in memory nevertheless.
func (l *lanes) hold(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held += n
}

// release forgets jobs that were put or held.
func (l *lanes) release(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held -= n
}

// drain takes out all waiting jobs whose lease ends before a time. They stay held.
func (l *lanes) drain(before time.Time) []*job {
	l.mu.Lock()
	defer l.mu.Unlock()
	var old []*job
	for _, w := range l.byKey {
		keep := w.waiting[:0:0]
		for _, j := range w.waiting {
			if j.until.Before(before) {
				old = append(old, j)
			} else {
				keep = append(keep, j)
			}
		}
		if len(keep) == len(w.waiting) {
			continue
		}
		if len(keep) == 0 {
			l.empty(w)
		}
		w.waiting = keep
	}
	return old
}

// sweep forgets lanes that were idle for long.
func (l *lanes) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, w := range l.byKey {
		if len(w.waiting) == 0 && w.running == 0 && now.After(w.dead) && now.Sub(w.used) > forget {
			delete(l.byKey, key)
		}
	}
}

// pace estimates how fast a lane works off its jobs, to say when the turn of
// one comes that has no place in it.
type pace struct {
	done  float64
	since time.Time
	last  time.Time // when the turn of the last one comes that was told
}

// A new lane is taken for a fast one, until time passes without success.
const (
	hopedJobs    = 100
	hopedSeconds = 0.2
	paceMemory   = time.Minute
	leastTurn    = time.Second
	mostTurn     = 5 * time.Minute
)

func (p *pace) begin(now time.Time) { *p = pace{since: now} }

// wait is how long a job should stay away, behind those waiting and those sent
// away before.
func (p *pace) wait(now time.Time, waiting int) time.Duration {
	if p.since.IsZero() {
		p.begin(now)
	}
	gone := now.Sub(p.since)
	if gone > paceMemory {
		p.done, p.since = p.done/2, now.Add(-gone/2)
		gone /= 2
	}
	each := time.Duration((gone.Seconds() + hopedSeconds) / (p.done + hopedJobs) * float64(time.Second))
	if at := now.Add(each * time.Duration(waiting)); p.last.Before(at) {
		p.last = at
	}
	p.last = p.last.Add(each)
	if most := now.Add(mostTurn); p.last.After(most) {
		p.last = most
	}
	return max(drawLuck().vary(p.last.Sub(now)), leastTurn)
}

package record

import (
	"time"

	"posthorn/internal/base/ident"
)

// maxSteps bounds the steps of one attempt, in octets; a session that talks
// on and on keeps its first and its last words.
const maxSteps = 32 << 10

// maxSaid bounds what refused commands outside a transaction add to all later
// attempts of their session. Beyond it only the newest is kept: none of them
// decided about mail.
const maxSaid = 4 << 10

// Trace gathers the attempts of one session. Everything before the first MAIL
// belongs to every attempt of the session. It belongs to one goroutine; a nil
// Trace gathers nothing.
type Trace struct {
	r *Recorder
	// Attempt is what is known so far; the session fills it as it goes on.
	// Steps are not kept in it: Step writes them away at once.
	Attempt
	steps []byte
	// prefix is the length of the session's own steps.
	prefix int
	open   bool // between Begin and End
	// last is the newest step, kept when the others fill maxSteps.
	last []byte
	// told is that the session got a refusal since the last record, the heaviest;
	// tried that there was a record.
	told  verdict
	tried bool
	spare Step
}

// Trace begins the trace of a session.
func (r *Recorder) Trace(s Session) *Trace {
	if r == nil {
		return nil
	}
	t, _ := r.traces.Get().(*Trace)
	if t == nil {
		t = &Trace{}
	}
	*t = Trace{r: r, Attempt: Attempt{ID: s.ID, Session: s, Recipients: t.Recipients[:0], Complete: true}, steps: t.steps[:0], last: t.last[:0], spare: t.spare}
	return t
}

// Spare returns an empty step whose Checks and Inputs have room, to be filled
// and passed to Step.
func (t *Trace) Spare() *Step {
	if t == nil {
		return &Step{}
	}
	t.spare = Step{Checks: t.spare.Checks[:0], Facts: t.spare.Facts[:0]}
	return &t.spare
}

// Add appends an empty check whose Inputs have room.
func (s *Step) Add() *Check {
	if n := len(s.Checks); n < cap(s.Checks) {
		s.Checks = s.Checks[:n+1]
		s.Checks[n] = Check{Inputs: s.Checks[n].Inputs[:0]}
	} else {
		s.Checks = append(s.Checks, Check{})
	}
	return &s.Checks[len(s.Checks)-1]
}

// Step adds what the client did and what it led to. After is filled in. The
// step may be used again afterwards.
func (t *Trace) Step(s *Step) {
	if t == nil {
		return
	}
	s.After = time.Since(t.Begin)
	t.told = max(t.told, s.verdict(t.tried))
	if !t.open && s.Verb == Command && len(t.steps) > maxSaid {
		t.last = appendStep(t.last[:0], s)
		return
	}
	if len(t.steps) > maxSteps {
		if len(t.last) > 0 {
			t.Lost++
		}
		t.last = appendStep(t.last[:0], s)
	} else {
		t.steps, t.last = appendStep(t.steps, s), t.last[:0]
	}
	if !t.open {
		t.prefix = len(t.steps)
	}
}

// verdict is what a step makes of a session that begins no transaction.
type verdict uint8

const (
	unheard verdict = iota // nothing to record
	silent
	putOff
	turnedAway
)

// outcome is the word for a session of which nothing else is to be said.
func (v verdict) outcome() Outcome {
	return [...]Outcome{silent: Aborted, putOff: Deferred, turnedAway: Refused}[v]
}

// verdict judges a step. A session that ends in silence is worth a record only
// if nothing else tells of it; logins that fail are in the log.
func (s *Step) verdict(tried bool) verdict {
	switch {
	case s.Reply == "" || s.Reply[0] < '4':
	case s.Check != "":
		return turnedAway
	case s.Verb == Timeout || s.Verb == Stopped:
		if !tried {
			return silent
		}
	case s.Verb == Command || s.Verb == End:
		if s.Reply[0] == '4' {
			return putOff
		}
		return turnedAway
	}
	return unheard
}

// Open begins a transaction under its accept key.
func (t *Trace) Open(id ident.ID) {
	if t == nil {
		return
	}
	t.prefix, t.last = len(t.steps), t.last[:0]
	t.open, t.ID = true, id
}

// Recording reports that a transaction is open.
func (t *Trace) Recording() bool { return t != nil && t.open }

// Close ends the transaction and hands its record in. What it added to the
// attempt is forgotten; the session's own part stays.
func (t *Trace) Close(o Outcome) {
	if t == nil || !t.open {
		return
	}
	t.submit(o)
	t.steps, t.last = t.steps[:t.prefix], t.last[:0]
	t.open, t.tried, t.told = false, true, unheard
	t.ID = t.Session.ID
	t.Sender, t.HasSender, t.Recipients, t.Size, t.Hops, t.Authors, t.Lost = "", false, t.Recipients[:0], 0, 0, nil, 0
}

// Done ends the session. An open transaction is recorded as aborted, and a
// session that was refused anything since the last one as what it was told. The
// trace must not be used any more.
func (t *Trace) Done() {
	if t == nil {
		return
	}
	switch {
	case t.open:
		t.Close(Aborted)
	case t.told != unheard:
		t.submit(t.told.outcome())
	}
	r := t.r
	t.r = nil
	if cap(t.steps) <= 2*maxSteps {
		r.traces.Put(t)
	}
}

func (t *Trace) submit(o Outcome) {
	t.Outcome, t.End = o, time.Since(t.Begin)
	e := t.r.entry()
	e.data = appendHead(e.data, &t.Attempt)
	e.data = append(e.data, t.steps...)
	e.data = append(e.data, t.last...)
	e.keys = attemptKeys(e.keys, &t.Attempt)
	t.r.put(e)
}

// Event hands in something that happened to a message later. It never waits.
func (r *Recorder) Event(ev Event) {
	if r == nil {
		return
	}
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	e := r.entry()
	e.data = appendEvent(e.data, &ev)
	e.keys = eventKeys(e.keys, &ev)
	r.put(e)
}

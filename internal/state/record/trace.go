package record

import (
	"time"

	"posthorn/internal/base/ident"
)

// maxSteps bounds the steps of one attempt, in octets; a session that talks
// on and on keeps its first and its last words.
const maxSteps = 32 << 10

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
	last    []byte
	refused bool // a refusal since the last record
	spare   Step
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
	if len(s.Reply) > 0 && s.Reply[0] >= '4' && s.Check != "" {
		t.refused = true
	}
	if len(t.steps) > maxSteps {
		if len(t.last) > 0 {
			t.Lost++
		}
		t.last = appendStep(t.last[:0], s)
	} else {
		t.steps = appendStep(t.steps, s)
	}
	if !t.open {
		t.prefix = len(t.steps)
	}
}

// Open begins a transaction under its accept key.
func (t *Trace) Open(id ident.ID) {
	if t == nil {
		return
	}
	t.prefix = len(t.steps)
	t.open, t.ID = true, id
}

// Close ends the transaction and hands its record in. What it added to the
// attempt is forgotten; the session's own part stays.
func (t *Trace) Close(o Outcome) {
	if t == nil || !t.open {
		return
	}
	t.submit(o)
	t.steps, t.last = t.steps[:t.prefix], t.last[:0]
	t.open, t.refused = false, false
	t.ID = t.Session.ID
	t.Sender, t.HasSender, t.Recipients, t.Size, t.Hops, t.Authors, t.Lost = "", false, t.Recipients[:0], 0, 0, nil, 0
}

// Done ends the session. An open transaction is recorded as aborted, a
// session that was refused without one as refused. The trace must not be used
// any more.
func (t *Trace) Done() {
	if t == nil {
		return
	}
	switch {
	case t.open:
		t.Close(Aborted)
	case t.refused:
		t.submit(Refused)
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

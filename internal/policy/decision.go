package policy

import (
	"time"

	"posthorn/internal/base/reply"
)

// Decision is what a session shall do after a stage.
type Decision struct {
	Stage  Stage
	Action Action
	// Reply is what to answer when Refuses; zero otherwise. Discard is
	// answered like success.
	Reply reply.Reply
	// Check is the name of the check that decided, "" when all passed; Held
	// that it had judged at an earlier stage.
	Check string
	Held  bool
	// Reason is complete and for the operator, Setting what to change to get
	// another decision.
	Reason, Setting string
	// Delay is how long to hold the reply back.
	Delay time.Duration
	// Effects are what becomes of the message if it is accepted.
	Effects Effects
	// Results lists the checks asked or skipped, in order. It is valid until
	// the next Judge with the same facts.
	Results []Result

	facts *Facts
}

// Result is what one check said and whether it counted.
type Result struct {
	Verdict
	Entry *Entry
	Mode  Mode
	// Skipped says why the check was not asked, or why its verdict does not
	// count; "" when it does.
	Skipped string
	// Missing names the answer that a record does not have, so that nobody can
	// say what the check would have done (Replay).
	Missing string
	// Cost is how long the check took.
	Cost time.Duration
}

// setting names what led to the verdict.
func (r *Result) setting() string {
	if r.Setting != "" {
		return r.Setting
	}
	return r.Entry.Setting
}

// Refuses reports that the client gets a 4xx or 5xx reply.
func (d *Decision) Refuses() bool { return d.Action >= Defer }

// take lets a verdict decide if it weighs more than what was decided so far.
func (d *Decision) take(r *Result) {
	if r.Action > d.Action {
		d.Action, d.Reply, d.Check, d.Reason, d.Setting = r.Action, r.Reply, r.Entry.Name, r.Reason, r.setting()
	}
}

package policy

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/base/unit"
	"posthorn/internal/state/access"
)

// Rules are the house rules as the settings stood at one moment. They never
// change; a change of settings makes new ones.
type Rules struct {
	// Table lists all checks; within a stage they are asked in this order.
	Table []Entry
	// Classify says what a client of a listener is before it has said a word,
	// from memory: it sets Kind, Trust, Class and ClassBy.
	Classify func(f *Facts)
	// Listed does the same with what DNS lists say, for clients that no subnet
	// rule names; it may wait for them (B1G-BL).
	Listed func(ctx context.Context, f *Facts)
	// Limits returns the limits to announce to a session.
	Limits func(kind Kind, trust Trust) Limits
}

// Limits are what a session announces and obeys while it reads.
type Limits struct {
	// Size is the largest message, 0 for no fixed limit (RFC 1870). The
	// direction of a trusted client's mail is known only later; it is told
	// the larger limit.
	Size unit.Size
	// Recipients is the most recipients of one message, 0 for no limit.
	Recipients int
	// Auth is whether AUTH is offered at all (M-GEN-01).
	Auth bool
	// Marks are header fields that only we write: those that come in are taken
	// out of the message.
	Marks []string
}

// Pipeline asks the checks and alone combines their verdicts. It may be used
// by many sessions at once.
type Pipeline struct {
	rules   atomic.Pointer[ruleSet]
	helpers helpers
}

// ruleSet is Rules with the table sorted by stage.
type ruleSet struct {
	Rules
	stages  [Content + 1][]*Entry
	helpers helpers
}

// NewPipeline returns a pipeline that obeys the rules.
func NewPipeline(r Rules) *Pipeline {
	p := &Pipeline{helpers: make(helpers, mostHelpers)}
	p.Replace(r)
	return p
}

// Replace puts new rules in force. A session obeys those that were in force at
// its last greeting (stage Connect or Helo), so that what it was told at EHLO
// stays true (M-GEN-13: effective for new sessions at once).
func (p *Pipeline) Replace(r Rules) {
	s := &ruleSet{Rules: r, helpers: p.helpers}
	for i := range r.Table {
		e := &r.Table[i]
		s.stages[e.Stage] = append(s.stages[e.Stage], e)
	}
	p.rules.Store(s)
}

// Rules returns the rules in force.
func (p *Pipeline) Rules() Rules { return p.rules.Load().Rules }

// Classify says what the client is, from memory. Call it before Judge.
func (p *Pipeline) Classify(f *Facts) { p.of(f).Classify(f) }

// Listed says what the client is by DNS lists. Call it between the stages
// Connect, which sends away whom it need not ask about, and Greeting. It never
// panics: nobody is named by lists that cannot be asked.
func (p *Pipeline) Listed(ctx context.Context, f *Facts) {
	if of := p.of(f); of.Listed != nil {
		defer func() { _ = recover() }() // checks that ask the lists do so again, where they are guarded
		of.Listed(ctx, f)
	}
}

// Limits returns the limits of the session the facts describe.
func (p *Pipeline) Limits(f *Facts) Limits { return p.of(f).Limits(f.Kind, f.Trust) }

// maxDelay bounds the sum of delays of one reply; clients wait five minutes
// at the shortest (RFC 5321 §4.5.3.2).
const maxDelay = 2 * time.Minute

// Judge asks the checks of a stage and returns what to do. The first Reject
// or Drop wins; a Defer is remembered while later checks may still reject; a
// refusal at Connect, Helo or Mail is held until RCPT unless its check
// demands an earlier point (ORD-02). Judge never panics; the
// decision refers to f until it is recorded.
func (p *Pipeline) Judge(ctx context.Context, stage Stage, f *Facts) Decision {
	if stage == Connect || stage == Helo || f.ledger.rules == nil {
		f.ledger.rules = p.rules.Load()
	}
	l := &f.ledger
	l.begin(stage, f)
	l.rulesOf.find(stage, f)
	applies := applying(stage, f)
	d := Decision{Stage: stage, facts: f}
	if stage == Rcpt && applies&ToPostmaster == 0 {
		l.release(&d)
	}
	entries := l.rules.stages[stage]
	last := time.Now()
	var spent time.Duration
	for i := 0; i < len(entries) && d.Action < Reject && !(stage == Rcpt && d.Action == Discard); i++ {
		e := entries[i]
		r := l.result(e)
		if d.Refuses() {
			applies |= OfRefused
		}
		if r.Skipped = e.because(applies); r.Skipped != "" {
			continue
		}
		mark := len(l.inputs)
		l.missing = ""
		rule, able := l.lifts(ctx, e, f, &r.Verdict)
		if rule != nil {
			if r.Skipped = "skipped by " + rule.Describe(); e.Costly {
				continue
			}
		}
		if able {
			ask(ctx, e, f, &r.Verdict)
		}
		if r.Aside && r.Skipped == "" {
			r.Skipped, r.Reason = r.Reason, ""
		}
		r.Missing = l.missing
		if own := l.inputs[mark:]; len(own) > 0 {
			r.Inputs = append(own[:len(own):len(own)], r.Inputs...)
		}
		now := time.Since(last)
		r.Cost, spent = now-spent, now
		if e.Mode == Enforce && r.Skipped == "" {
			d.Delay = min(d.Delay+r.Delay, maxDelay)
			if r.Effects != nil {
				d.Effects.add(r.Effects)
			}
			l.weigh(stage, r, &d)
		}
	}
	d.Results = l.results
	l.end(ctx, stage, f, &d, applies)
	return d
}

func (p *Pipeline) of(f *Facts) *ruleSet {
	if f.ledger.rules != nil {
		return f.ledger.rules
	}
	return p.rules.Load()
}

// ask runs one check; its panic becomes a temporary failure.
func ask(ctx context.Context, e *Entry, f *Facts, v *Verdict) {
	defer guard(e, v)
	*v = e.Check.Check(ctx, f)
}

// guard, deferred, makes a panic the failure of a check.
func guard(e *Entry, v *Verdict) {
	if x := recover(); x != nil {
		*v = Unable("the check failed", fmt.Errorf("check %s panicked: %v", e.Name, x))
	}
}

// lifts returns the rule that lifts a check and counts that it took part. What
// a rule asks can fail like the check itself, which is then not able to judge.
func (l *ledger) lifts(ctx context.Context, e *Entry, f *Facts, v *Verdict) (lifting *access.Rule, able bool) {
	if e.Test == 0 {
		return nil, true
	}
	if err := l.rulesOf.failed; err != nil {
		*v = Unable("the check failed", err)
		return nil, false
	}
	defer guard(e, v)
	rule := l.rulesOf.lifted(ctx, e.Stage, e.Test, f)
	if rule != nil {
		l.hit(f, rule)
	}
	return rule, true
}

// ledger is what Judge remembers of a session between its calls.
type ledger struct {
	rules   *ruleSet
	results []Result
	inputs  []Input
	// known are answers of sources by name, missing the last that a record did
	// not have.
	known   map[string]any
	missing string
	// rulesOf are the rules of the lists that match.
	rulesOf matches
	// hits are the allow rules that took part at this stage.
	hits []*access.Rule
	// held are refusals waiting for RCPT, by the stage they come from.
	held [Mail + 1]Decision
}

// begin forgets what a new beginning makes void: EHLO drops what HELO led to,
// MAIL begins a transaction.
func (l *ledger) begin(stage Stage, f *Facts) {
	l.unpack()
	l.results, l.inputs, l.hits = l.results[:0], l.inputs[:0], l.hits[:0]
	f.judging = stage
	if stage > Mail {
		return
	}
	for s := stage; s <= Mail; s++ {
		l.held[s] = Decision{}
	}
	for name := range l.known {
		if !lasting(name) {
			delete(l.known, name)
		}
	}
	f.Recipients, f.SentOn, f.Remote, f.Postmasters, f.OverLimit = f.Recipients[:0], f.SentOn[:0], 0, 0, 0
}

// result adds an empty result for the entry.
func (l *ledger) result(e *Entry) *Result {
	l.results = append(l.results, Result{Entry: e, Mode: e.Mode})
	return &l.results[len(l.results)-1]
}

// weigh lets the verdict change the decision, or holds it until RCPT.
func (l *ledger) weigh(stage Stage, r *Result, d *Decision) {
	if r.Action == Pass {
		return
	}
	if stage <= Mail && !r.Entry.AtOnce {
		l.held[stage].take(r)
		return
	}
	d.take(r)
}

// release brings held refusals before the decision of RCPT.
func (l *ledger) release(d *Decision) {
	for s := range l.held {
		if h := &l.held[s]; h.Action > d.Action {
			d.Action, d.Reply, d.Check, d.Reason, d.Setting, d.Held = h.Action, h.Reply, h.Check, h.Reason, h.Setting, true
		}
	}
}

// recipientLimit is the check whose refusals are counted (M-GEN-09); others may
// use its status.
const recipientLimit = "recipient-limit"

// tooMany is the subject and detail of RFC 3463 X.5.3, too many recipients.
func tooMany(e reply.Enhanced) bool { return e.Subject == 5 && e.Detail == 3 }

// end counts the recipient that was judged.
func (l *ledger) end(ctx context.Context, stage Stage, f *Facts, d *Decision, applies Exemption) {
	switch {
	case stage != Rcpt:
	case d.Refuses() && tooMany(d.Reply.Enhanced) && d.Check == recipientLimit:
		f.OverLimit++
	case d.Action == Pass:
		to := mail.Address{Local: f.Recipient.Local, Domain: f.Recipient.Domain}
		if f.Recipients = append(f.Recipients, to); !f.Resolution.Keeps() {
			f.SentOn = append(f.SentOn, to)
		}
		if !f.Resolution.Hosted() && f.Recipient.Domain != "" {
			f.Remote++
		}
		if applies&ToPostmaster != 0 {
			f.Postmasters++
		}
		l.rulesOf.take(ctx, f)
	}
}

// hit counts that a rule took part, once for each stage it did.
func (l *ledger) hit(f *Facts, rule *access.Rule) {
	if f.Recorded == nil && !slices.Contains(l.hits, rule) {
		l.hits = append(l.hits, rule)
		f.Access.Hit(rule)
	}
}

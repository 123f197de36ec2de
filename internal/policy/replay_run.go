package policy

import (
	"context"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// stageOf is the stage a recorded step was judged at.
func stageOf(verb string) (Stage, bool) {
	switch verb {
	case "connect":
		return Connect, true
	case "greeting":
		return Greeting, true
	case "EHLO", "HELO", "LHLO":
		return Helo, true
	case "MAIL":
		return Mail, true
	case "RCPT":
		return Rcpt, true
	case "DATA":
		return Data, true
	case "content":
		return Content, true
	}
	return 0, false
}

// told is what the record says a step decided.
func told(s *record.Step) ruling {
	d := ruling{verb: s.Verb, check: s.Check, reply: s.Reply, reason: s.Reason, setting: s.Setting}
	switch {
	case strings.HasPrefix(s.Reply, "4"):
		d.fate = FateDeferred
	case strings.HasPrefix(s.Reply, "5"):
		d.fate = FateRefused
	case s.Check != "":
		d.fate = FateDiscarded
	default:
		d.filed(s.Fact)
	}
	return d
}

// filed is the fate of mail that is taken, by what its effects were.
func (d *ruling) filed(fact func(string) (string, bool)) {
	if why, ok := fact(record.FactHeld); ok {
		d.fate, d.reason = FateHeld, why
	} else if why, ok := fact(record.FactJunk); ok {
		d.fate, d.reason = FateJunk, why
	}
	d.check, _ = fact(record.FactFiledBy)
}

// rerun is one attempt under other rules.
type rerun struct {
	p *Pipeline
	a *record.Attempt
	m *memory
	f *Facts
}

// before collects what the record says.
func (r *rerun) before() (o outcomes) {
	var hello ruling
	for i := range r.a.Steps {
		s := &r.a.Steps[i]
		stage, ok := stageOf(s.Verb)
		if !ok {
			continue
		}
		o.reached = stage
		switch d := told(s); stage {
		case Helo:
			hello = d
		case Rcpt:
			o.rcpts = append(o.rcpts, d)
		case Content:
			o.content = d
		default:
			o.session = worse(o.session, d)
		}
	}
	if o.reached == Helo { // the client may have tried another name first
		o.session = worse(o.session, hello)
	}
	return o
}

// worse is the heavier of two rulings, with the gaps of both.
func worse(a, b ruling) ruling {
	gaps := a.gaps
	if len(b.gaps) > 0 {
		gaps = slices.Concat(a.gaps, b.gaps)
	}
	if b.fate > a.fate {
		a = b
	}
	a.gaps = gaps
	return a
}

// after judges the steps anew until one refuses all.
func (r *rerun) after() (o outcomes) {
	r.p.Classify(r.f)
	var hello ruling
	for i := range r.a.Steps {
		s := &r.a.Steps[i]
		r.m.at = i
		r.turn(s)
		stage, ok := stageOf(s.Verb)
		if !ok || stage >= Data && r.f.Accepted == 0 && r.f.OverLimit == 0 {
			continue
		}
		if stage == Mail {
			if o.session = worse(o.session, hello); o.session.fate >= FateDeferred {
				break
			}
		}
		o.reached = stage
		switch stage {
		case Rcpt:
			o.rcpts = append(o.rcpts, r.rcpt(s))
		case Helo:
			hello = r.judge(Helo, s)
		case Content:
			o.content = r.content(s)
		default:
			o.session = worse(o.session, r.judge(stage, s))
		}
		if o.session.fate >= FateDeferred {
			break
		}
	}
	if o.reached == Helo {
		o.session = worse(o.session, hello)
	}
	return o
}

// beyond lists the checks after a stage that could refuse, for mail that would
// not have ended there: those in force that nothing exempts from or lifts, as far
// as the record shows.
func (r *rerun) beyond(reached Stage) (gaps []gap) {
	l := &r.f.ledger
	for stage := reached + 1; stage <= Content; stage++ {
		if stage > Rcpt {
			l.rulesOf.recipient = nil // from here on all of them count together
		}
		applies := applying(stage, r.f)
		for _, e := range r.p.of(r.f).stages[stage] {
			if e.Mode != Enforce || e.Idle || e.Worst < Defer || e.because(applies) != "" {
				continue
			}
			if rule, _ := l.lifts(context.Background(), e, r.f, &Verdict{}); rule == nil {
				gaps = append(gaps, gap{stage: stage, check: e.Name})
			}
		}
	}
	return gaps
}

// turn follows what changes a session besides the stages.
func (r *rerun) turn(s *record.Step) {
	f := r.f
	switch {
	case s.Verb == "STARTTLS":
		f.StartTLS()
	case s.Verb == "AUTH" && strings.HasPrefix(s.Reply, "2"):
		if r.p.Limits(f).Auth { // else it would not have been offered
			f.LogIn(&store.AccountRow{ID: store.AccountID(r.a.Account)})
			if r.a.Login != "" {
				f.Login.Addresses = append(f.Login.Addresses, address(r.a.Login))
			}
		}
	case s.Verb == "EHLO" || s.Verb == "HELO" || s.Verb == "LHLO":
		f.Helo, f.ESMTP = s.Argument, s.Verb != "HELO"
	}
}

// judge asks a stage anew. A refusal that no check decided stays: it was the
// server's own.
func (r *rerun) judge(stage Stage, s *record.Step) ruling {
	own := told(s)
	if own.fate >= FateDeferred && own.check == "" {
		return own
	}
	r.f.recall(stage, s, r.a)
	var ahead ruling
	if stage == Greeting {
		ahead = r.listed(s)
	}
	ctx := context.Background()
	d := r.p.Judge(ctx, stage, r.f)
	if stage == Greeting && d.Delay > 0 && !d.Refuses() {
		if spoke, known := r.spoke(s, d.Delay); !known {
			ahead.gaps = append(ahead.gaps, gap{Greeting, "greeting", "whether the client waits for the greeting", s.Verb})
		} else if spoke {
			r.f.SpokeFirst = true
			d = r.p.Judge(ctx, stage, r.f)
		}
	}
	return worse(ahead, verdictOf(&d, s.Verb))
}

// listed asks what DNS lists ruling at the door.
func (r *rerun) listed(s *record.Step) (d ruling) {
	r.f.ledger.missing = ""
	r.p.Listed(context.Background(), r.f)
	if r.f.ledger.missing != "" && r.f.ClassBy == "" {
		d.gaps = []gap{{Greeting, "listed-reject", r.f.ledger.missing, s.Verb}}
	}
	return d
}

// spoke says whether the client would have spoken within the delay, as far as
// the record knows: it waited as long, or spoke.
func (r *rerun) spoke(s *record.Step, delay time.Duration) (spoke, known bool) {
	if _, ok := s.Fact(factSpokeFirst); !ok {
		return false, s.Delay >= delay
	}
	waited := s.After
	if r.m.at > 0 {
		waited -= r.a.Steps[r.m.at-1].After
	}
	return waited <= delay, true
}

// rcpt judges one recipient anew.
func (r *rerun) rcpt(s *record.Step) ruling {
	own := told(s)
	if own.fate >= FateDeferred && own.check == "" || !r.f.recall(Rcpt, s, r.a) {
		r.f.Refused++
		return own
	}
	d := r.p.Judge(context.Background(), Rcpt, r.f)
	if d.Refuses() {
		r.f.Refused++
	} else {
		r.f.Accepted++
	}
	return verdictOf(&d, s.Verb)
}

// tooBig is the session's own reply to content that outgrows what it announced.
const tooBig = "552 5.3.4"

// content judges the content anew. What was too big to be kept was never seen,
// only counted.
func (r *rerun) content(s *record.Step) ruling {
	if len(s.Checks) > 0 || !strings.HasPrefix(s.Reply, tooBig) {
		return r.judge(Content, s)
	}
	if limit := r.p.Limits(r.f).Size; limit > 0 && r.a.Size > int64(limit) {
		return told(s)
	}
	return ruling{verb: s.Verb}
}

// verdictOf is what a decision comes to.
func verdictOf(d *Decision, verb string) ruling {
	v := ruling{verb: verb, check: d.Check, reason: d.Reason, setting: d.Setting}
	switch {
	case d.Refuses():
		v.reply = d.Reply.String()
		if v.fate = FateRefused; d.Action == Defer || d.Reply.Temporary() {
			v.fate = FateDeferred
		}
	case d.Action == Discard:
		v.fate = FateDiscarded
	default:
		v.effects(d)
	}
	for i := range d.Results {
		r := &d.Results[i]
		if r.Missing != "" && r.Mode == Enforce && r.Skipped == "" {
			v.gaps = append(v.gaps, gap{d.Stage, r.Entry.Name, r.Missing, verb})
		}
	}
	return v
}

// effects is the fate of mail that is taken, and the check that wants it so.
func (v *ruling) effects(d *Decision) {
	switch {
	case d.Effects.Quarantine != "":
		v.fate, v.reason = FateHeld, d.Effects.Quarantine
	case d.Effects.Junk != "":
		v.fate, v.reason = FateJunk, d.Effects.Junk
	}
	if r := d.files(); r != nil {
		v.check, v.setting = r.Entry.Name, r.setting()
	}
}

// files is the check whose effects say where the message goes, nil for none.
func (d *Decision) files() *Result {
	for i := range d.Results {
		r := &d.Results[i]
		if r.Effects == nil || r.Mode != Enforce || r.Skipped != "" {
			continue
		}
		if q := r.Effects.Quarantine; q != "" && q == d.Effects.Quarantine || d.Effects.Quarantine == "" && r.Effects.Junk != "" && r.Effects.Junk == d.Effects.Junk {
			return r
		}
	}
	return nil
}

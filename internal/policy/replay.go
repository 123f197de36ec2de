package policy

import (
	"fmt"
	"slices"
	"sync"

	"posthorn/internal/state/record"
)

// Fate is what becomes of mail to one recipient, in order of weight.
type Fate uint8

// The fates.
const (
	FateTaken Fate = iota
	FateJunk
	FateHeld
	FateDiscarded
	FateDeferred
	FateRefused
)

var fateNames = [...]string{"accepted", "junk", "held", "discarded", "deferred", "refused"}

// String returns the word of reports.
func (f Fate) String() string { return fateNames[f] }

// MarshalText implements encoding.TextMarshaler.
func (f Fate) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fate) UnmarshalText(b []byte) error {
	i := slices.Index(fateNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("policy: %q is no fate", b)
	}
	*f = Fate(i)
	return nil
}

// Replayed is what other rules would have made of a recorded attempt.
type Replayed struct {
	// Unknown: nobody can say, because Check asks for the fact Missing, which
	// the record does not have.
	Unknown bool   `json:"unknown,omitempty"`
	Missing string `json:"missing,omitempty"`
	// Before and After are the fates of the recipient that is treated most
	// differently; they are equal when nothing changes. Recipient is its address,
	// "" where none was named, and Recipients how many are treated differently.
	Before     Fate   `json:"before"`
	After      Fate   `json:"after"`
	Recipient  string `json:"recipient,omitempty"`
	Recipients int    `json:"recipients,omitempty"`
	// Verb, Check, Reply, Reason and Setting are what decides now; of mail that
	// is treated better, what decided then.
	Verb    string `json:"verb,omitempty"`
	Check   string `json:"check,omitempty"`
	Reply   string `json:"reply,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Setting string `json:"setting,omitempty"`
	// Ends is the step at which the record ends because the client was refused
	// there: what would have followed is not known.
	Ends string `json:"ends,omitempty"`
	// Unasked are checks that nobody asked, or not for the facts it takes now, and
	// that could decide otherwise, by their stages.
	Unasked []Unasked `json:"unasked,omitempty" doc:"Checks whose answers are not in the record, so that they could still decide otherwise: those after the step at which the client was refused, and those that lack a fact"`
}

// Unasked are checks of a stage whose answers a record does not have.
type Unasked struct {
	Stage  string   `json:"stage" doc:"connect, greeting, helo, mail, rcpt, data or content"`
	Checks []string `json:"checks" doc:"Names, as policy-list has them"`
}

// Differs reports that the sender would be treated differently.
func (r *Replayed) Differs() bool { return !r.Unknown && r.Before != r.After }

// Concerns reports that an attempt is one that rules may treat otherwise: it
// brought mail, or a rule sent its client away. Other sessions are in the record
// for what they said.
func Concerns(a *record.Attempt) bool {
	return a.ID != a.Session.ID || slices.ContainsFunc(a.Steps, func(s record.Step) bool { return s.Check != "" })
}

// Replay judges a recorded attempt anew, step by step as the session did, by
// the rules of the pipeline. It uses what the record has and asks nobody.
// Delays do not count as a difference. lists is what changes in the allow and
// block lists; nil leaves the rules as they were recorded.
func Replay(p *Pipeline, lists *Proposal, a *record.Attempt) Replayed {
	if !a.Complete {
		return Replayed{Unknown: true, Missing: "the facts of the session: an earlier version recorded it"}
	}
	if a.Lost > 0 {
		return Replayed{Unknown: true, Missing: fmt.Sprintf("%d steps of a session that was too long to keep", a.Lost)}
	}
	m := &memory{a: a}
	r := rerun{p: p, a: a, m: m, f: &Facts{
		Time: a.Begin, Session: a.Session.ID, Listener: a.Listener, Client: a.Client, Port: a.Port,
		Sources: Sources{Access: lists.Over(m)}, Recorded: m,
	}}
	before, after := r.before(), r.after()
	after.beyond = sync.OnceValue(func() []gap { return r.beyond(before.reached) })
	return compare(a, &before, &after)
}

// ruling is what one step decided.
type ruling struct {
	fate                                Fate
	verb, check, reply, reason, setting string
	gaps                                []gap
}

// gap is a check that the record has no answer for: the fact missing, or any at
// all.
type gap struct {
	stage                Stage
	check, missing, verb string
}

// outcomes are what all steps decided: about everything, about each RCPT in
// order, and about the content.
type outcomes struct {
	session ruling
	rcpts   []ruling
	content ruling
	// reached is the stage of the last step, beyond what could decide after the
	// one at which the record ends.
	reached Stage
	beyond  func() []gap
}

// of is what decides about one recipient, of none at -1.
func (o *outcomes) of(i int) *ruling {
	decides := &o.session
	if i >= 0 && o.rcpts[i].fate > decides.fate {
		decides = &o.rcpts[i]
	}
	if o.content.fate > decides.fate {
		decides = &o.content
	}
	return decides
}

// gaps are what a recipient's fate depends on and nobody knows.
func (o *outcomes) gaps(i int) []gap {
	if i < 0 {
		return slices.Concat(o.session.gaps, o.content.gaps)
	}
	return slices.Concat(o.session.gaps, o.rcpts[i].gaps, o.content.gaps)
}

// compare finds the recipient that is treated most differently.
func compare(a *record.Attempt, before, after *outcomes) (r Replayed) {
	first, worst := 0, -1
	if len(before.rcpts) == 0 {
		first = -1
	}
	for len(after.rcpts) < len(before.rcpts) { // refused before they were named
		after.rcpts = append(after.rcpts, ruling{})
	}
	for i := first; i < len(before.rcpts); i++ {
		was, is := before.of(i), after.of(i)
		gaps := after.gaps(i)
		if is.fate == FateRefused { // whatever the facts were, but those of the check that refuses
			gaps = slices.DeleteFunc(gaps, func(g gap) bool { return g.check != is.check })
		}
		lifted := is.fate < FateDeferred && was.fate >= FateDeferred && before.reached < Content
		if len(gaps) > 0 && worst < 0 {
			open := gaps
			if lifted {
				open = slices.Concat(gaps, after.beyond())
			}
			r = Replayed{Unknown: true, Missing: gaps[0].missing, Check: gaps[0].check, Verb: gaps[0].verb, Before: was.fate, After: is.fate, Unasked: byStage(open)}
		}
		if len(gaps) > 0 || was.fate == is.fate {
			continue
		}
		n := r.Recipients + 1
		if weight := weigh(was.fate, is.fate); weight > worst {
			worst = weight
			r = differs(was, is)
			r.Recipient = recipientOf(a, i)
			if lifted {
				r.Ends, r.Unasked = verbs[before.reached], byStage(after.beyond())
			}
		}
		r.Recipients = n
	}
	return r
}

// byStage sorts checks by their stages, each named once.
func byStage(gaps []gap) []Unasked {
	var list []Unasked
	for stage := Connect; stage <= Content; stage++ {
		var names []string
		for _, g := range gaps {
			if g.stage == stage && !slices.Contains(names, g.check) {
				names = append(names, g.check)
			}
		}
		if names != nil {
			list = append(list, Unasked{Stage: stage.String(), Checks: names})
		}
	}
	return list
}

// weigh orders differences: what is refused now comes before what is taken now.
func weigh(was, is Fate) int {
	if is > was {
		return int(FateRefused) + 1 + int(is)
	}
	return int(was)
}

// differs says what decides: now, or then where it is better now.
func differs(was, is *ruling) Replayed {
	by := is
	if is.fate < was.fate && is.check == "" {
		by = was
	}
	return Replayed{Before: was.fate, After: is.fate, Verb: by.verb, Check: by.check, Reply: by.reply, Reason: by.reason, Setting: by.setting}
}

func recipientOf(a *record.Attempt, i int) string {
	if i < 0 || i >= len(a.Recipients) {
		return ""
	}
	return a.Recipients[i]
}

package policy

import (
	"fmt"
	"slices"

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
// Delays do not count as a difference.
func Replay(p *Pipeline, a *record.Attempt) Replayed {
	if !a.Complete {
		return Replayed{Unknown: true, Missing: "the facts of the session: an earlier version recorded it"}
	}
	if a.Lost > 0 {
		return Replayed{Unknown: true, Missing: fmt.Sprintf("%d steps of a session that was too long to keep", a.Lost)}
	}
	m := &memory{a: a}
	r := rerun{p: p, a: a, m: m, f: &Facts{
		Time: a.Begin, Session: a.Session.ID, Listener: a.Listener, Client: a.Client, Port: a.Port,
		Sources: Sources{Access: m}, Recorded: m,
	}}
	before, after := r.before(), r.after()
	return compare(a, &before, &after)
}

// ruling is what one step decided.
type ruling struct {
	fate                                Fate
	verb, check, reply, reason, setting string
	missing, asks                       string // the first fact that was missing, and the check that asked
}

// outcomes are what all steps decided: about everything, about each RCPT in
// order, and about the content.
type outcomes struct {
	session ruling
	rcpts   []ruling
	content ruling
	// reached is the stage of the last step.
	reached Stage
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

// missing is the first fact that a recipient's fate depends on.
func (o *outcomes) missing(i int) *ruling {
	list := []*ruling{&o.session, &o.content}
	if i >= 0 {
		list = []*ruling{&o.session, &o.rcpts[i], &o.content}
	}
	for _, s := range list {
		if s.missing != "" {
			return s
		}
	}
	return nil
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
		gap := after.missing(i)
		if is.fate == FateRefused {
			gap = nil // whatever the fact was, it is refused
		}
		if gap != nil && worst < 0 {
			r = Replayed{Unknown: true, Missing: gap.missing, Check: gap.asks, Verb: gap.verb, Before: was.fate, After: is.fate}
		}
		if gap != nil || was.fate == is.fate {
			continue
		}
		n := r.Recipients + 1
		if weight := weigh(was.fate, is.fate); weight > worst {
			worst = weight
			r = differs(was, is)
			r.Recipient = recipientOf(a, i)
			if is.fate < FateDeferred && was.fate >= FateDeferred && before.reached < Content {
				r.Ends = verbs[before.reached]
			}
		}
		r.Recipients = n
	}
	return r
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

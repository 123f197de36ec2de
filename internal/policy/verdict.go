// Package policy decides who may do what. A session hands in facts, every
// check of the stage looks at them, and the pipeline alone combines their
// verdicts into one decision: it applies modes, remembers temporary failures,
// honours exemptions and adds up delays (design.md 5).
//
// The package knows no socket: the same pipeline answers live sessions,
// transcripts and `posthorn policy try`.
package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"posthorn/internal/base/reply"
)

// Stage is the point of a session at which a check is asked.
type Stage uint8

// The stages, in the order of a session.
const (
	Connect  Stage = iota // what is in memory about the client
	Greeting              // once its class is known, before the banner
	Helo
	Mail
	Rcpt
	Data    // at the DATA or first BDAT command
	Content // after the last octet of the message
)

var stageNames = [...]string{"connect", "greeting", "helo", "mail", "rcpt", "data", "content"}

// String returns the stage's name in settings, traces and documents.
func (s Stage) String() string { return stageNames[s] }

// Action is what a check wants done, in order of weight.
type Action uint8

// The actions. Pass lets the next check speak; Discard answers like success
// and delivers nothing; Defer refuses for now; Reject refuses for good; Drop
// refuses and hangs up.
const (
	Pass Action = iota
	Discard
	Defer
	Reject
	Drop
)

var actionNames = [...]string{"pass", "discard", "defer", "reject", "drop"}

// String returns the action's name in traces and documents.
func (a Action) String() string { return actionNames[a] }

// Mode is how a check's verdict counts.
type Mode uint8

// The modes: an observed verdict is recorded and has no effect.
const (
	Enforce Mode = iota
	Observe
	Off
)

var modeNames = [...]string{"enforce", "observe", "off"}

// String returns the mode's name in settings, traces and documents.
func (m Mode) String() string { return modeNames[m] }

// SettingHelp implements setting.Helper.
func (Mode) SettingHelp() string {
	return "- enforce: it counts. Mail is refused, put off or sorted as the check says.\n" +
		"- observe: it is only written into the trace of the mail, which goes on as\n  if the check had passed it. So you see what enforce would do.\n" +
		"- off: the check is not asked."
}

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(b []byte) error {
	i := slices.Index(modeNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("%q is no mode; write enforce, observe or off", b)
	}
	*m = Mode(i)
	return nil
}

// Verdict is a check's judgement of the facts.
type Verdict struct {
	Action Action
	// Reply is what the client is told when the verdict is enforced.
	Reply reply.Reply
	// Reason is complete and for the operator: it names values and the rule.
	Reason string
	// Setting is what an administrator changes to get another verdict, where
	// that is more exact than the table's; By sets it.
	Setting string
	// Delay holds the reply back.
	Delay time.Duration
	// Effects are what becomes of the message if it is accepted all the same.
	Effects *Effects
	// Aside: the check is not about such an attempt, because of Reason, and has
	// judged nothing. Only a verdict that passes can be.
	Aside bool
	// Inputs are the facts the check looked at, for the decision record.
	// Facts.Saw notes them without an allocation.
	Inputs []Input
}

// Effects change a message that is accepted.
type Effects struct {
	// Fields are header fields put before the message, each with its line end.
	Fields []string
	// Junk files the message in Junk, because of this; Quarantine holds it back
	// from everybody until somebody releases it. "" is neither.
	Junk, Quarantine string
	// Edits change the message itself, one after the other.
	Edits []*Edits
	// Copy is what the filter of the account thinks whose copy is filed at once,
	// and concerns that alone. Sift: the filters of other accounts are asked when
	// theirs are filed.
	Copy Copy
	Sift bool
}

// Copy is what becomes of one account's copy.
type Copy struct {
	// Field is a header field put before it, with its line end.
	Field string
	// Junk files it in Junk. Why is what was thought of it, either way.
	Junk bool
	Why  string
}

// add puts further effects to these. The first reason stays.
func (e *Effects) add(o *Effects) {
	e.Fields, e.Edits = append(e.Fields, o.Fields...), append(e.Edits, o.Edits...)
	e.Junk, e.Quarantine = cmp.Or(e.Junk, o.Junk), cmp.Or(e.Quarantine, o.Quarantine)
	e.Copy, e.Sift = cmp.Or(e.Copy, o.Copy), e.Sift || o.Sift
}

// Input is one named value a check looked at: a text, or a number while Value
// is empty.
type Input struct {
	Name, Value string
	Number      int64
}

// Text returns the value as people read it.
func (i Input) Text() string {
	if i.Value == "" {
		return strconv.FormatInt(i.Number, 10)
	}
	return i.Value
}

// Passed is the verdict of a check that has nothing against it.
func Passed(reason string, in ...Input) Verdict { return Verdict{Reason: reason, Inputs: in} }

// Aside is the verdict of a check that is not about such an attempt.
func Aside(reason string) Verdict { return Verdict{Reason: reason, Aside: true} }

// Refused is the verdict whose action follows from the reply: 4xx defers, 5xx
// rejects, and a closing reply drops the connection.
func Refused(r reply.Reply, reason string) Verdict {
	action := Defer
	switch {
	case r.Close:
		action = Drop
	case r.Permanent():
		action = Reject
	}
	return Verdict{Action: action, Reply: r, Reason: reason}
}

// By returns the verdict with the setting that led to it.
func (v Verdict) By(setting string) Verdict { v.Setting = setting; return v }

// Unable is the verdict of a check that cannot judge now because something it
// asked failed: a temporary failure, never a permanent one (design.md 7).
func Unable(doing string, err error) Verdict {
	r := reply.New(451, reply.E(4, 3, 0), "Temporary problem, try again later")
	return Refused(r.Because(err), doing+": "+err.Error())
}

// Check judges facts at one stage. It may wait on the narrow interfaces the
// facts carry, under ctx; it does not sleep, write or know its mode.
type Check interface {
	Check(ctx context.Context, f *Facts) Verdict
}

// CheckFunc is a check made of one function, for settings that judge at more
// than one stage.
type CheckFunc func(ctx context.Context, f *Facts) Verdict

// Check implements Check.
func (c CheckFunc) Check(ctx context.Context, f *Facts) Verdict { return c(ctx, f) }

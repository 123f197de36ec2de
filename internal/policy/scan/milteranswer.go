package scan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/d--j/go-milter"

	"posthorn/internal/base/reply"
)

// MilterAction is what milters want done with a command or message.
type MilterAction uint8

// The actions. Discard takes the message, tells the client so and delivers
// nothing; Quarantine takes it and holds it.
const (
	MilterPass MilterAction = iota
	MilterQuarantine
	MilterDiscard
	MilterTempFail
	MilterReject
)

var milterActions = [...]string{"pass", "quarantine", "discard", "tempfail", "reject"}

// String returns the action's name.
func (a MilterAction) String() string { return milterActions[a] }

// Fallback is what happens when a milter is down, late or talks nonsense.
type Fallback uint8

// The fallbacks: go on without the milter, or refuse every command it would
// have been asked about.
const (
	FallbackAccept Fallback = iota
	FallbackTempFail
	FallbackReject
)

var fallbacks = [...]string{"accept", "tempfail", "reject"}

// String returns the fallback's name in settings.
func (f Fallback) String() string { return fallbacks[f] }

// ParseFallback reads a fallback's name.
func ParseFallback(s string) (Fallback, error) {
	for i, name := range fallbacks {
		if s == name {
			return Fallback(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no default action; write accept, tempfail or reject", s)
}

// Answer is what the milters said to one step.
type Answer struct {
	Action MilterAction
	// Reply is what the client is told, for TempFail and Reject.
	Reply reply.Reply
	// Filter is the name of the milter that decided, Reason the whole story
	// for the operator; both empty for a plain pass.
	Filter, Reason string
	// Edits are what all milters changed, in order (Content only, and only
	// for Pass and Quarantine).
	Edits Edits
}

// The replies of milters that give none.
func rejected() reply.Reply { return reply.New(550, reply.E(5, 7, 1), "Command rejected") }

func unavailable() reply.Reply {
	return reply.New(451, reply.E(4, 7, 1), "Service unavailable, try again later")
}

// answer translates a final action of the protocol; done says that the milter
// wants to hear no more.
func answer(name string, act *milter.Action) (a Answer, done bool, err error) {
	a = Answer{Filter: name}
	switch act.Type {
	case milter.ActionContinue:
		return Answer{}, false, nil
	case milter.ActionAccept:
		return Answer{}, true, nil
	case milter.ActionDiscard:
		a.Action = MilterDiscard
	case milter.ActionReject:
		a.Action, a.Reply = MilterReject, rejected()
	case milter.ActionTempFail:
		a.Action, a.Reply = MilterTempFail, unavailable()
	case milter.ActionRejectWithCode:
		if a.Reply, err = milterReply(act.SMTPReply); err != nil {
			return Answer{}, false, err
		}
		a.Action = MilterTempFail
		if a.Reply.Permanent() {
			a.Action = MilterReject
		}
	default:
		return Answer{}, false, fmt.Errorf("%w: action %d here", ErrAnswer, act.Type)
	}
	a.Reason = "milter " + name + ": " + a.Action.String()
	if !a.Reply.IsZero() {
		a.Reason += ": " + a.Reply.String()
	}
	return a, false, nil
}

// Bounds of a milter's own reply.
const (
	maxReplyLines = 32 // as libmilter's smfi_setmlreply
	maxReplyText  = 450
)

var errReply = errors.New("not a reply")

// milterReply takes a reply apart and puts it together again: code 4xx or 5xx
// on every line, the enhanced code if all lines agree and it fits, and text
// without control characters.
func milterReply(raw string) (reply.Reply, error) {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(raw, "\r\n", "\n"), "\n"), "\n")
	if len(lines) > maxReplyLines {
		return reply.Reply{}, fmt.Errorf("%w: %d lines", errReply, len(lines))
	}
	var r reply.Reply
	for i, l := range lines {
		code, enhanced, text, ok := replyLine(l, i == len(lines)-1)
		if !ok || i > 0 && code != r.Code {
			return reply.Reply{}, fmt.Errorf("%w: %q", errReply, word(l))
		}
		if i == 0 {
			r.Enhanced = enhanced
		}
		if enhanced != r.Enhanced {
			r.Enhanced = reply.Enhanced{}
		}
		r.Code = code
		r.Text = append(r.Text, line(text, maxReplyText))
	}
	if r.Enhanced.IsZero() {
		r.Enhanced = reply.E(uint16(r.Code/100), 7, 1)
	}
	r.Close = r.Code == 421
	return r, nil
}

// replyLine reads "550 5.7.1 text", with "-" behind the code if others follow.
func replyLine(l string, last bool) (code int, e reply.Enhanced, text string, ok bool) {
	if len(l) < 3 {
		return 0, e, "", false
	}
	code, err := strconv.Atoi(l[:3])
	if err != nil || code < 400 || code > 599 {
		return 0, e, "", false
	}
	text = l[3:]
	switch {
	case text == "" && last:
		return code, e, "", true
	case text == "", text[0] != ' ' && text[0] != '-', last && text[0] == '-':
		return 0, e, "", false
	}
	text = text[1:]
	head, rest, _ := strings.Cut(text, " ")
	if e, ok = enhancedCode(head); ok && int(e.Class) == code/100 {
		return code, e, rest, true
	}
	return code, reply.Enhanced{}, text, true
}

// enhancedCode reads "5.7.1" (RFC 3463 §2).
func enhancedCode(s string) (e reply.Enhanced, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return e, false
	}
	for i, to := range []*uint16{&e.Class, &e.Subject, &e.Detail} {
		n, err := strconv.ParseUint(parts[i], 10, 16)
		if err != nil || n > 999 {
			return reply.Enhanced{}, false
		}
		*to = uint16(n)
	}
	return e, true
}

// changes translates what a milter wants changed at the end of a message.
type changes struct {
	edits      Edits
	body       []byte
	replaced   bool
	quarantine string
	held       bool
}

// permitted tells which option a milter must have negotiated for a change.
var permitted = map[milter.ModifyActionType]milter.OptAction{
	milter.ActionAddRcpt:      milter.OptAddRcpt | milter.OptAddRcptWithArgs,
	milter.ActionDelRcpt:      milter.OptRemoveRcpt,
	milter.ActionQuarantine:   milter.OptQuarantine,
	milter.ActionReplaceBody:  milter.OptChangeBody,
	milter.ActionChangeFrom:   milter.OptChangeFrom,
	milter.ActionAddHeader:    milter.OptAddHeader,
	milter.ActionChangeHeader: milter.OptChangeHeader,
	milter.ActionInsertHeader: milter.OptAddHeader | milter.OptChangeHeader,
}

func readChanges(acts []milter.ModifyAction, may func(milter.OptAction) bool, maxBody int64) (changes, error) {
	var c changes
	for i := range acts {
		act := &acts[i]
		if !may(permitted[act.Type]) {
			return c, fmt.Errorf("%w: change %d was not negotiated", ErrAnswer, act.Type)
		}
		if err := c.add(act); err != nil {
			return c, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		if len(c.edits) > maxEdits || int64(len(c.body)) > maxBody {
			return c, fmt.Errorf("%w: more changes than %d, or a body of more than %d octets", ErrAnswer, maxEdits, maxBody)
		}
	}
	if c.replaced {
		c.edits = append(c.edits, bodyEdit(c.body))
	}
	return c, nil
}

// add takes one change; the pieces of a new body are joined. ESMTP arguments
// of new paths are left out: they mean nothing behind acceptance.
func (c *changes) add(act *milter.ModifyAction) error {
	var e Edit
	var err error
	index := int(min(act.HeaderIndex, 1<<20))
	switch act.Type {
	case milter.ActionQuarantine:
		c.held, c.quarantine = true, word(act.Reason)
		return nil
	case milter.ActionReplaceBody:
		c.replaced, c.body = true, append(c.body, act.Body...)
		return nil
	case milter.ActionAddRcpt:
		e, err = pathEdit(AddRecipient, act.Rcpt)
	case milter.ActionDelRcpt:
		e, err = pathEdit(DeleteRecipient, act.Rcpt)
	case milter.ActionChangeFrom:
		e, err = pathEdit(ChangeSender, act.From)
	case milter.ActionAddHeader:
		e, err = fieldEdit(AddField, 0, act.HeaderName, act.HeaderValue)
	case milter.ActionInsertHeader:
		e, err = fieldEdit(InsertField, index, act.HeaderName, act.HeaderValue)
	case milter.ActionChangeHeader:
		kind := ChangeField
		if act.HeaderValue == "" {
			kind = DeleteField
		}
		e, err = fieldEdit(kind, index, act.HeaderName, act.HeaderValue)
	default:
		return fmt.Errorf("%w: kind %d", errEdit, act.Type)
	}
	c.edits = append(c.edits, e)
	return err
}

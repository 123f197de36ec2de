package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/base/ident"
)

// fate says for each recipient where the message is now.
func (p *printer) fate(b Biography) {
	if len(b.Events) == 0 {
		if b.Attempt != nil && b.Attempt.Outcome == Accepted {
			p.f("Nothing further has happened to it yet.\n")
		}
		return
	}
	p.f("\nWhere it is now\n")
	var waits, held []ident.ID
	for _, who := range affected(b.Events) {
		at := last(b.Events, who)
		e := &b.Events[at]
		p.f("  %s: %s%s\n", who.name(b), p.now(e), told(b.Events[at:], who.id))
		if id := who.id; e.Kind == Held && e.Place == Quarantine {
			held = with(held, id)
		} else if inQueue(e.Kind) {
			waits = with(waits, id)
		}
	}
	for _, id := range waits {
		p.f("  Until when it is tried: posthorn queue show %s\n", cmp.Or(id, b.id()))
	}
	for _, id := range held {
		p.f("  Look at it: posthorn quarantine show %s\n", cmp.Or(id, b.id()))
	}
}

// with adds an id that the list lacks.
func with(list []ident.ID, id ident.ID) []ident.ID {
	if slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}

// id is the message's.
func (b Biography) id() ident.ID {
	if b.Attempt != nil {
		return b.Attempt.ID
	}
	return b.Events[0].ID
}

// Quarantine is the place of mail that is held there.
const Quarantine = "quarantine"

// inQueue reports that after the event the mail lies in the queue.
func inQueue(k EventKind) bool {
	return k == Queued || k == Released || k == Delayed || k == Held
}

// told says by which notice the sender knows of the failure that events begin
// with, of the message id.
func told(events []Event, id ident.ID) string {
	if k := events[0].Kind; k != Failed && k != Expired {
		return ""
	}
	for i := range events {
		if e := &events[i]; e.Kind == Bounced && e.ID == id {
			return "; the sender was told" + in(" by ", clean(e.Reply))
		}
	}
	return ""
}

// in puts a text into a sentence, nothing where there is none.
func in(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// whom names one copy: that of a recipient, in the mailbox of an account if it
// has one here. A recipient may have several: of the members of a group, or one
// here and one that is forwarded.
type whom struct {
	id        ident.ID // of the message, or of what it was forwarded as
	recipient string
	account   int64
}

func (e *Event) whom() whom { return whom{e.ID, e.Recipient, e.Account} }

// affected lists the copies events name, in order; all events of a message
// that name no recipient count as one. What a forwarded message became stands
// for it.
func affected(events []Event) []whom {
	var list []whom
	named, known := map[ident.ID]bool{}, map[ident.ID]bool{}
	for i := range events {
		e := &events[i]
		if who := e.whom(); !slices.Contains(list, who) {
			list = append(list, who)
		}
		known[e.ID] = true
		named[e.ID] = named[e.ID] || e.Recipient != ""
	}
	return slices.DeleteFunc(list, func(who whom) bool {
		if who.recipient == "" {
			return named[who.id] // what concerns all is told under each
		}
		e := &events[last(events, who)]
		return e.Kind == Forwarded && known[e.Other] && !e.Other.IsZero()
	})
}

// last is the event that decides where a copy is.
func last(events []Event, who whom) int {
	found := len(events) - 1
	for i := range events {
		if e := &events[i]; e.ID == who.id && (e.Recipient == "" || e.whom() == who) && e.Kind != Replied && e.Kind != Bounced {
			found = i
		}
	}
	return found
}

// name says whose copy it is: <recipient>, how it came to be forwarded, and
// whose mailbox it is if that is another's.
func (w whom) name(b Biography) string {
	if w.recipient == "" {
		return "the message"
	}
	name := "<" + clean(w.recipient) + ">"
	for i := range b.Events {
		if e := &b.Events[i]; e.Other == w.id && !w.id.IsZero() && (e.Place == w.recipient || e.Place == "") {
			name = "<" + clean(e.Recipient) + ">, forwarded to " + name + " as " + w.id.String()
			break
		}
	}
	for i := range b.Events {
		if e := &b.Events[i]; e.whom() == w && e.Owner != "" {
			if !strings.EqualFold(e.Owner, w.recipient) {
				name += ", for " + clean(e.Owner)
			}
			break
		}
	}
	return name
}

// now says what the event means for where the mail is.
func (p *printer) now(e *Event) string {
	at := p.stamp(e.Time)
	switch e.Kind {
	case Filed, Moved:
		return fmt.Sprintf("in mailbox %s since %s%s%s", clean(e.Place), at, moved(e), in(": ", clean(e.Reply)))
	case Read:
		return fmt.Sprintf("read at %s%s, in mailbox %s", at, by(e), clean(e.Place))
	case Deleted:
		return fmt.Sprintf("deleted from mailbox %s at %s%s", clean(e.Place), at, by(e))
	case Queued:
		return "in the queue since " + at + p.next(e)
	case Released:
		return "in the queue, released" + in(" ", clean(e.Reply)) + " at " + at + by(e) + p.next(e)
	case Redirected:
		return fmt.Sprintf("redirected to <%s> at %s%s", clean(e.Place), at, by(e))
	case Delayed:
		return fmt.Sprintf("in the queue; last attempt at %s%s%s", at, outcome(e), p.next(e))
	case Held:
		return "held in " + cmp.Or(clean(e.Place), "the queue") + " since " + at + by(e) + in(": ", clean(e.Reply))
	case Delivered:
		return fmt.Sprintf("taken over by %s at %s: %s", host(e), at, orNone(e.Reply))
	case Failed:
		return fmt.Sprintf("not delivered, given up at %s%s", at, outcome(e))
	case Expired:
		return fmt.Sprintf("not delivered, the time in the queue ran out at %s%s", at, outcome(e))
	case Forwarded:
		return p.forwarded(e)
	case Removed:
		return "taken out of the queue at " + at + by(e) + in(": ", clean(e.Reply))
	}
	return e.Kind.String() + " at " + at
}

// forwarded says where the mail was sent on to, or why it was not.
func (p *printer) forwarded(e *Event) string {
	if e.Other.IsZero() {
		return "not forwarded, at " + p.stamp(e.Time) + in(": ", clean(e.Reply))
	}
	to := ""
	if e.Place != "" {
		to = " to <" + clean(e.Place) + ">"
	}
	return "forwarded" + to + " as " + e.Other.String() + " at " + p.stamp(e.Time)
}

// outcome is how an attempt ended: where, and with which reply. Replies to a host
// that could not be reached, or would not do, are of this server's own making;
// so nobody is said to have said them.
func outcome(e *Event) string {
	return in(", ", clean(e.Place)) + in(": ", clean(e.Reply))
}

func (p *printer) next(e *Event) string {
	if e.Next.IsZero() {
		return ""
	}
	return ", next try at " + p.stamp(e.Next)
}

func by(e *Event) string {
	if e.By == "" {
		return ""
	}
	return " by " + clean(e.By)
}

// moved says who put it there.
func moved(e *Event) string {
	if e.Kind != Moved {
		return ""
	}
	return in(", moved", by(e))
}

func host(e *Event) string {
	if e.Place == "" {
		return "the server"
	}
	return clean(e.Place)
}

// later lists all events with their times, where there are more than fate has
// told.
func (p *printer) later(events []Event) {
	if len(events) == len(affected(events)) {
		return
	}
	p.f("\nAfterwards\n")
	for i := range events {
		p.f("  %s  %s\n", p.stamp(events[i].Time), p.happened(&events[i]))
	}
}

// happened is an event in words.
func (p *printer) happened(e *Event) string {
	if words := failing[e.Kind]; words != "" {
		if e.Recipient != "" {
			words += " to <" + clean(e.Recipient) + ">"
		}
		return words + outcome(e) + p.next(e)
	}
	if e.Kind == Forwarded {
		return p.forwarding(e)
	}
	var b strings.Builder
	b.WriteString(map[EventKind]string{
		Filed: "filed into", Queued: "put into the queue", Delivered: "delivered to", Bounced: "the sender was told", Held: "held in", Released: "released",
		Redirected: "redirected to", Removed: "taken out of the queue", Replied: "an automatic reply was sent", Read: "read in", Moved: "moved to",
		Deleted: "deleted from",
	}[e.Kind])
	if place := clean(e.Place); place != "" {
		b.WriteString(" " + place)
	} else if e.Kind == Held {
		b.WriteString(" the queue")
	}
	if e.Recipient != "" {
		fmt.Fprintf(&b, " for <%s>", clean(e.Recipient))
		if e.Owner != "" && !strings.EqualFold(e.Owner, e.Recipient) {
			fmt.Fprintf(&b, " (%s)", clean(e.Owner))
		}
	}
	b.WriteString(by(e))
	if e.Reply != "" {
		fmt.Fprintf(&b, ": %s", clean(e.Reply))
	}
	b.WriteString(p.next(e))
	return b.String()
}

// forwarding is the event of a forwarded message in words.
func (p *printer) forwarding(e *Event) string {
	switch {
	case e.Other.IsZero():
		return "not forwarded for <" + clean(e.Recipient) + ">" + in(": ", clean(e.Reply))
	case e.Place == "":
		return "forwarded for <" + clean(e.Recipient) + "> as " + e.Other.String()
	}
	return "forwarded to <" + clean(e.Place) + "> for <" + clean(e.Recipient) + "> as " + e.Other.String()
}

// failing are the words of events that tell of an attempt without success.
var failing = map[EventKind]string{Delayed: "not delivered yet", Failed: "not delivered", Expired: "the time in the queue ran out, not delivered"}

// fates are the words a list has for where mail is after an event.
var fates = map[EventKind]string{Filed: "in the mailbox", Moved: "in the mailbox", Read: "in the mailbox", Deleted: "deleted", Queued: "waits", Released: "waits",
	Delayed: "waits", Held: "held", Delivered: "delivered", Failed: "not delivered", Expired: "not delivered", Removed: "removed", Redirected: "redirected", Forwarded: "forwarded"}

// brief is where a message is, in a few words: for all recipients, or how many
// of them share a fate, with the reply where one alone failed.
func brief(events []Event) string {
	var words []string
	counts := map[string]int{}
	reply := ""
	for _, who := range affected(events) {
		e := &events[last(events, who)]
		word := fates[e.Kind]
		switch {
		case word == "":
			continue
		case e.Kind == Forwarded && e.Other.IsZero():
			word = "not forwarded"
		case slices.ContainsFunc(events, func(f Event) bool { return f.Other == who.id && !who.id.IsZero() }):
			word = "forwarded: " + word
		}
		if counts[word]++; counts[word] == 1 {
			words = append(words, word)
		}
		if failing[e.Kind] != "" {
			reply = in(": ", clean(e.Reply))
		}
	}
	if len(words) == 1 {
		return words[0] + reply
	}
	for i, w := range words {
		words[i] = fmt.Sprintf("%d %s", counts[w], w)
	}
	return strings.Join(words, ", ")
}

// eventsSummary is what a list shows of a message without an attempt.
func eventsSummary(events []Event) string {
	if len(events) == 0 {
		return ""
	}
	e := &events[len(events)-1]
	return fmt.Sprintf("%s %s <%s>", e.ID, e.Kind, clean(e.Recipient))
}

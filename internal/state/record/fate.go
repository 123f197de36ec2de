package record

import (
	"fmt"
	"slices"
	"strings"
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
	for _, who := range affected(b.Events) {
		e := last(b.Events, who)
		name := "the message"
		if who != "" {
			name = "<" + clean(who) + ">"
		}
		p.f("  %s: %s\n", name, p.now(e))
	}
}

// affected lists the recipients events name, in order; all events that name
// nobody count as one.
func affected(events []Event) []string {
	var list []string
	for i := range events {
		if !slices.Contains(list, events[i].Recipient) {
			list = append(list, events[i].Recipient)
		}
	}
	if len(list) > 1 { // what concerns all is told under each
		list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	}
	return list
}

// last is the event that decides where a recipient's mail is.
func last(events []Event, who string) *Event {
	var found *Event
	for i := range events {
		if e := &events[i]; (e.Recipient == who || e.Recipient == "") && e.Kind != Replied && e.Kind != Bounced {
			found = e
		}
	}
	if found == nil {
		found = &events[len(events)-1]
	}
	return found
}

// now says what the event means for where the mail is.
func (p *printer) now(e *Event) string {
	at := p.stamp(e.Time)
	switch e.Kind {
	case Filed, Moved:
		return fmt.Sprintf("in mailbox %s since %s", clean(e.Place), at)
	case Read:
		return fmt.Sprintf("read at %s, in mailbox %s", at, clean(e.Place))
	case Deleted:
		return fmt.Sprintf("deleted from mailbox %s at %s%s", clean(e.Place), at, by(e))
	case Queued:
		return "in the queue since " + at + p.next(e)
	case Released:
		return "in the queue, released at " + at + by(e) + p.next(e)
	case Redirected:
		return fmt.Sprintf("redirected to <%s> at %s%s", clean(e.Place), at, by(e))
	case Delayed:
		return fmt.Sprintf("in the queue; at %s %s said: %s%s", at, host(e), orNone(e.Reply), p.next(e))
	case Held:
		return "held in the queue since " + at + by(e)
	case Delivered:
		return fmt.Sprintf("taken over by %s at %s: %s", host(e), at, orNone(e.Reply))
	case Failed:
		return fmt.Sprintf("not delivered: at %s %s said: %s", at, host(e), orNone(e.Reply))
	case Expired:
		return "not delivered: the time in the queue ran out at " + at
	case Removed:
		return "taken out of the queue at " + at + by(e)
	}
	return e.Kind.String() + " at " + at
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
	var b strings.Builder
	b.WriteString(map[EventKind]string{
		Filed: "filed into", Queued: "put into the queue", Delivered: "delivered to", Delayed: "delivery delayed by", Failed: "refused by",
		Expired: "gave up after the time in the queue", Bounced: "the sender was told", Held: "held", Released: "released",
		Redirected: "redirected to", Removed: "taken out of the queue", Replied: "an automatic reply was sent", Read: "read in", Moved: "moved to",
		Deleted: "deleted from",
	}[e.Kind])
	if e.Place != "" {
		fmt.Fprintf(&b, " %s", clean(e.Place))
	}
	if e.Recipient != "" {
		fmt.Fprintf(&b, " for <%s>", clean(e.Recipient))
	}
	b.WriteString(by(e))
	if e.Reply != "" {
		fmt.Fprintf(&b, ": %s", clean(e.Reply))
	}
	b.WriteString(p.next(e))
	return b.String()
}

// eventsSummary is what a list shows of a message without an attempt.
func eventsSummary(events []Event) string {
	if len(events) == 0 {
		return ""
	}
	e := &events[len(events)-1]
	return fmt.Sprintf("%s %s <%s>", e.ID, e.Kind, clean(e.Recipient))
}

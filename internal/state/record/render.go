package record

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// View says how a biography is written for people.
type View struct {
	// Zone is the time zone of the times shown; nil is UTC.
	Zone *time.Location
	// All shows the checks that had nothing to say as well.
	All bool
}

// printer keeps the first error of its writer.
type printer struct {
	w   io.Writer
	v   View
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// Line writes an attempt in one line, for lists.
func (v View) Line(w io.Writer, b Biography) error {
	p := &printer{w: w, v: v}
	a := b.Attempt
	if a == nil {
		p.f("%-26s  %-9s  %s\n", "", "own", eventsSummary(b.Events))
		return p.err
	}
	p.f("%s  %s  %-9s  %-15s  %s -> %s", p.stamp(a.Begin), a.ID, a.Outcome, a.Client, sender(a), recipients(a))
	if s := a.deciding(); s != nil && a.Outcome >= Discarded {
		check := s.Check
		if check == "" {
			check = "no check"
		}
		p.f("  %s [%s]", clean(s.Reply), check)
	}
	if text := brief(b.Events); text != "" {
		p.f("  (%s)", text)
	}
	p.f("\n")
	return p.err
}

// Reasons writes below the line of an attempt why it, or a part of it, was not
// taken and what to change: one line for each reason, a few at most.
func (v View) Reasons(w io.Writer, b Biography) error {
	p := &printer{w: w, v: v}
	if a := b.Attempt; a != nil {
		told := map[string]bool{}
		for i := range a.Steps {
			s := &a.Steps[i]
			if why := s.why(a.Outcome != Accepted); why != "" && !told[why] && len(told) < few {
				told[why] = true
				p.f("    %s: %s\n", said(s), why)
			}
		}
		if why := b.filed(); why != "" {
			p.f("    %s\n", why)
		}
	}
	return p.err
}

// few is how many recipients or reasons are listed.
const few = 5

// why is the reason of a step that refused or threw away, and what it goes by.
func (s *Step) why(own bool) string {
	refused := strings.HasPrefix(s.Reply, "4") || strings.HasPrefix(s.Reply, "5")
	switch {
	case s.Check == "" && !(own && refused):
		return ""
	case s.Check == "":
		return strings.TrimPrefix(strings.TrimSuffix(clean(s.Reason), ".")+". ", ". ") + s.ours()
	}
	return strings.TrimSuffix(clean(s.Reason), ".") + " (" + s.Check + in("; ", s.change()) + ")"
}

// Text tells an administrator what became of a message and why, with the
// check that decided and the setting behind it first, and the whole story
// after it.
func (v View) Text(w io.Writer, b Biography) error {
	p := &printer{w: w, v: v}
	if b.Attempt != nil {
		p.head(b.Attempt)
		p.verdict(b)
	} else {
		p.f("Of this message only later events are known: it was made here, as notices are, or its arrival is no longer on record.\n")
	}
	if !b.Via.IsZero() {
		p.f("\n%s, which was asked for, is what it was forwarded as.\n", b.Via)
	}
	p.fate(b)
	if b.Attempt != nil {
		p.story(b.Attempt.Steps)
	}
	p.later(b.Events)
	return p.err
}

// head says who, from where, when.
func (p *printer) head(a *Attempt) {
	p.f("%s %s: %s\n", titled(a), a.ID, a.Outcome)
	p.f("  From     %s\n", sender(a))
	p.f("  To       %s\n", recipients(a))
	p.f("  Client   %s\n", client(a))
	if a.Login != "" {
		p.f("  Login    %s\n", clean(a.Login))
	}
	if a.Size > 0 {
		p.f("  Size     %d octets\n", a.Size)
	}
	p.f("  When     %s, for %s (session %s)\n", p.stamp(a.Begin), short(a.End), a.Session.ID)
}

func titled(a *Attempt) string {
	if a.ID == a.Session.ID {
		return "Session"
	}
	return "Message"
}

// what is what was refused.
func what(a *Attempt) string {
	if a.ID == a.Session.ID {
		return "The connection"
	}
	return "The message"
}

func sender(a *Attempt) string {
	if !a.HasSender {
		return "(no sender yet)"
	}
	return "<" + clean(a.Sender) + ">"
}

// recipients lists a few.
func recipients(a *Attempt) string {
	if len(a.Recipients) == 0 {
		return "(no recipient yet)"
	}
	var list []string
	for _, r := range a.Recipients[:min(few, len(a.Recipients))] {
		list = append(list, "<"+clean(r)+">")
	}
	text := strings.Join(list, ", ")
	if more := len(a.Recipients) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func client(a *Attempt) string {
	var b strings.Builder
	if !a.Client.IsValid() {
		return "unknown"
	}
	b.WriteString(a.Client.String())
	if a.Hostname != "" {
		fmt.Fprintf(&b, " (%s)", clean(a.Hostname))
	}
	if a.Helo != "" {
		fmt.Fprintf(&b, ", which called itself %s", clean(a.Helo))
	}
	if a.Listener != "" {
		fmt.Fprintf(&b, ", on %s", a.Listener)
	}
	if a.Trust != "" && a.Trust != "untrusted" {
		fmt.Fprintf(&b, ", trusted (%s)", a.Trust)
	}
	if a.TLS != "" {
		fmt.Fprintf(&b, ", %s", clean(a.TLS))
	} else {
		b.WriteString(", without TLS")
	}
	return b.String()
}

// verdict says in plain words why it ended as it did.
func (p *printer) verdict(b Biography) {
	a := b.Attempt
	if why := b.filed(); why != "" {
		p.f("\n%s\n", why)
	}
	if a.Outcome == Accepted && a.deciding() == nil {
		return // the head has said it
	}
	p.f("\n")
	switch a.Outcome {
	case Accepted:
		p.f("The message was accepted, but not everything in it:\n")
	case Discarded:
		p.f("The message was answered as if it were accepted, and thrown away.\n")
	case Deferred:
		p.f("%s was refused for now; a proper sender tries again by itself.\n", what(a))
	case Refused:
		p.f("%s was refused; the client was told at once.\n", what(a))
	case Aborted:
		if a.ID == a.Session.ID {
			p.f("The session ended before a message was begun.\n")
			break
		}
		p.f("The client ended the transaction before the message was complete.\n")
	}
	p.decisions(a.Steps, a.Outcome != Accepted)
}

// Steps explains the decisions of steps and tells them one by one; rehearsals
// are written so.
func (v View) Steps(w io.Writer, steps []Step) error {
	p := &printer{w: w, v: v}
	p.decisions(steps, false)
	p.story(steps)
	return p.err
}

// decisions explains each different decision once; own: those of no check too,
// where the server itself could not go on.
func (p *printer) decisions(steps []Step, own bool) {
	told := map[string]bool{}
	for i := range steps {
		s := &steps[i]
		if s.Check == "" && (!own || s.Reason == "") || told[s.Reply+s.Reason] || len(told) == 10 {
			continue
		}
		told[s.Reply+s.Reason] = true
		p.decision(s)
	}
	if s := refusing(steps); own && len(told) == 0 && s != nil {
		p.decision(s)
	}
}

// refusing is the last step that was answered with a refusal; nil for none.
func refusing(steps []Step) *Step {
	for i := len(steps) - 1; i >= 0; i-- {
		if s := &steps[i]; strings.HasPrefix(s.Reply, "4") || strings.HasPrefix(s.Reply, "5") {
			return s
		}
	}
	return nil
}

// decision explains one step that a check decided.
func (p *printer) decision(s *Step) {
	p.f("\n  %s was answered\n      %s\n", said(s), orNone(s.Reply))
	if s.Reason != "" {
		p.f("  because %s.\n", strings.TrimSuffix(clean(s.Reason), "."))
	}
	switch {
	case s.Check == "":
		p.f("  %s\n", s.ours())
	case s.Setting == "":
		p.f("  The check %s decided.\n", s.Check)
	case strings.Contains(s.Setting, " "):
		p.f("  The check %s decided; it goes by %s.\n", s.Check, s.Setting)
	default:
		p.f("  The check %s decided. To have it otherwise: posthorn setting explain %s\n", s.Check, s.Setting)
	}
}

// deciding is the last step that a check decided; where none did and the
// attempt failed, the last that the server itself could not or did not take.
func (a *Attempt) deciding() *Step {
	var own *Step
	for i := len(a.Steps) - 1; i >= 0; i-- {
		s := &a.Steps[i]
		if s.Check != "" {
			return s
		}
		if own == nil && s.Reason != "" && a.Outcome != Accepted {
			own = s
		}
	}
	if own == nil && a.Outcome >= Deferred {
		own = refusing(a.Steps)
	}
	return own
}

// story tells step by step what was said and what each check thought of it.
func (p *printer) story(steps []Step) {
	if len(steps) == 0 {
		return
	}
	// A rehearsal takes no time, and its empty steps say nothing.
	timed := slices.ContainsFunc(steps, func(s Step) bool { return s.After > 0 })
	counted := false
	p.f("\nStep by step\n")
	for i := range steps {
		s := &steps[i]
		if !timed && len(s.Checks) == 0 && s.Reply == "" && !p.v.All {
			continue
		}
		if timed {
			p.f("  %9s", "+"+short(s.After))
		}
		p.f("  %s", said(s))
		if s.Reply != "" {
			p.f("  ->  %s", clean(s.Reply))
		}
		if s.Delay > 0 {
			p.f("  (held back %s)", short(s.Delay))
		}
		p.f("\n")
		passed := 0
		for j := range s.Checks {
			if c := &s.Checks[j]; p.v.All || !c.plain() {
				p.check(c, c.Name == s.Check && !p.v.All)
			} else {
				passed++
			}
		}
		p.facts(s)
		if passed > 0 {
			counted = true
			p.f("             %d %s had nothing against it\n", passed, plural(passed, "check"))
		}
	}
	if counted {
		p.f("\nChecks that had nothing against it are only counted; --all lists them.\n")
	}
}

// facts lists what the rules could see in the step, when all is shown.
func (p *printer) facts(s *Step) {
	if !p.v.All || len(s.Facts) == 0 {
		return
	}
	var list []string
	for _, f := range s.Facts {
		if !s.shown(f) {
			list = append(list, f.phrase())
		}
	}
	if len(list) == 0 {
		return
	}
	p.f("             %-14s %s\n", "known", strings.Join(list, "; "))
}

// plain reports a check that was asked and had nothing to say, whatever its mode.
func (c *Check) plain() bool { return c.Action == "pass" && c.Skipped == "" }

// check tells one check's part; told: what it found stands above already.
func (p *printer) check(c *Check, told bool) {
	what, why := verb(c), clean(c.Reason)
	if c.Skipped != "" {
		what, why = "skipped", clean(c.Skipped)
	}
	p.f("             %-14s %s", what, c.Name)
	if told {
		p.f("\n")
		return
	}
	if why != "" {
		p.f(": %s", why)
	}
	if len(c.Inputs) > 0 {
		var list []string
		for _, in := range c.Inputs {
			if strings.Contains(in.Value, " ") && strings.Contains(c.Reason, in.Value) {
				continue // the reason has it in full
			}
			list = append(list, in.phrase())
		}
		if len(list) > 0 {
			p.f(" (%s)", strings.Join(list, "; "))
		}
	}
	if p.v.All && c.Skipped == "" {
		p.f(" [%s]", short(c.Cost))
	}
	p.f("\n")
}

// verb is what a check did, in a word.
func verb(c *Check) string {
	word := map[string]string{"pass": "passed", "discard": "discarded", "defer": "refused (4xx)", "reject": "refused", "drop": "hung up"}[c.Action]
	if word == "" {
		word = c.Action
	}
	if c.Mode == "observe" && c.Action != "pass" {
		word = "only observed"
	}
	return word
}

// said names the command with its argument.
func said(s *Step) string {
	verb := s.Verb
	switch verb {
	case "connect":
		verb = "The connection"
	case "greeting":
		verb = "The greeting"
	case "content":
		verb = "The content"
	case Command:
		if s.Argument != "" {
			return clean(s.Argument)
		}
		verb = "A line that is no command"
	case Timeout:
		verb = "The client's silence"
	case End, Stopped:
		verb = "The session"
	}
	if s.Argument == "" {
		return verb
	}
	return verb + " " + clean(s.Argument)
}

func orNone(reply string) string {
	if reply == "" {
		return "(nothing)"
	}
	return clean(reply)
}

func (p *printer) stamp(t time.Time) string {
	zone := p.v.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2006-01-02 15:04:05 MST")
}

// short writes a duration with three digits at most.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// clean keeps what strangers said from moving the cursor or ending the line.
func clean(s string) string {
	bad := func(c rune) bool {
		return c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069
	}
	if !strings.ContainsFunc(s, bad) {
		return s
	}
	return strings.Map(func(c rune) rune {
		if bad(c) {
			return '?'
		}
		return c
	}, s)
}

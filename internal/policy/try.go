package policy

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// Question asks what would happen to a mail that nobody has sent.
type Question struct {
	Listener string // "" is "smtp"
	Client   netip.Addr
	Helo     string
	TLS      bool
	Login    *store.AccountRow // nil: nobody logs in
	// AssumeTLS takes TLS for granted, because without it nobody could log in;
	// the answer says so.
	AssumeTLS  bool
	Sender     mail.Address
	Recipients []mail.Address
	// Size is the declared size, 0 for none.
	Size unit.Size
	// Message is the content; nil: the answer ends before it.
	Message *mime.Structure
	// Body reads the content; without it checks that look into it know nothing.
	Body io.ReaderAt
}

// World is what the house knows: where addresses lead, how full mailboxes
// are, who owns a sender and what the disk is like.
type World struct {
	Resolve func(ctx context.Context, addr mail.Address) (directory.Resolution, error)
	Room    func(ctx context.Context) (store.Room, error)
	// Sources must only look: what is tried has not happened.
	Sources
}

// Answer is what the rules say, step by step.
type Answer struct {
	Listener string     `json:"listener"`
	Client   netip.Addr `json:"client"`
	Kind     string     `json:"kind"`
	// Helo is the name that was judged; Assumed: the question gave none.
	Helo    string `json:"helo"`
	Assumed bool   `json:"helo_assumed,omitempty"`
	Trust   string `json:"trust"`
	Login   string `json:"login,omitempty"`
	// AssumedTLS: the question said nothing of TLS, without which the server
	// offers no login.
	AssumedTLS bool           `json:"tls_assumed,omitempty"`
	Outcome    record.Outcome `json:"outcome"`
	// Accepted lists the recipients who would get the mail.
	Accepted []mail.Address `json:"accepted,omitempty"`
	Steps    []record.Step  `json:"steps"`
}

// Try judges the mail of a question by the rules in force, as a session would
// be judged. It changes nothing. Checks that ask outside (DNS, scanners) do so.
func Try(ctx context.Context, p *Pipeline, w World, q Question) (Answer, error) {
	room, err := w.Room(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("policy: try: %w", err)
	}
	if q.Listener == "" {
		q.Listener = "smtp"
	}
	f := &Facts{
		Time: time.Now(), Listener: q.Listener, Client: q.Client.Unmap(), TLS: q.TLS || q.AssumeTLS, Helo: q.Helo, ESMTP: true, Login: q.Login,
		Sender: q.Sender, DeclaredSize: q.Size, Sources: w.Sources, Room: room,
	}
	p.Classify(f)
	if q.Login != nil {
		f.Kind = Submission
	}
	if q.Helo == "" {
		f.Helo = usualName(ctx, w, f.Client)
	}
	a := Answer{Listener: q.Listener, Client: f.Client, Kind: f.Kind.String(), Trust: f.Trust.String(), Helo: f.Helo, Assumed: q.Helo == "", AssumedTLS: q.AssumeTLS && !q.TLS}
	if q.Login != nil && len(q.Login.Addresses) > 0 {
		a.Login = q.Login.Addresses[0].String()
	}
	err = a.run(ctx, p, w, q, f)
	return a, err
}

// usualName is what a proper client calls itself: its name in DNS, or where it
// has none its address (RFC 5321 §4.1.3).
func usualName(ctx context.Context, w World, client netip.Addr) string {
	if w.Names != nil {
		if name := w.Names.Reverse(ctx, client).Verified(); name != "" {
			return name
		}
	}
	if client.Is6() {
		return "[IPv6:" + client.String() + "]"
	}
	return "[" + client.String() + "]"
}

// run asks one stage after the other until one refuses all.
func (a *Answer) run(ctx context.Context, p *Pipeline, w World, q Question, f *Facts) error {
	for _, stage := range []Stage{Connect, Greeting, Helo, Mail} {
		if stage == Greeting {
			p.Listed(ctx, f)
		}
		if d := a.judge(ctx, p, stage, f); d.Refuses() {
			a.Outcome = outcome(d.Action)
			return nil
		}
	}
	for _, rcpt := range q.Recipients {
		r, err := w.Resolve(ctx, rcpt)
		if err != nil {
			return fmt.Errorf("policy: try %s: %w", rcpt.Path(), err)
		}
		f.Recipient, f.Resolution = rcpt, r
		d := a.judge(ctx, p, Rcpt, f)
		a.Outcome = max(a.Outcome, outcome(d.Action))
		switch {
		case d.Action == Drop:
			return nil
		case d.Refuses():
			f.Refused++
			continue
		case d.Action == Pass:
			a.Accepted = append(a.Accepted, rcpt)
		}
		f.Accepted++
	}
	if f.Accepted > 0 {
		a.end(ctx, p, q, f)
	}
	return nil
}

// end judges what follows the recipients.
func (a *Answer) end(ctx context.Context, p *Pipeline, q Question, f *Facts) {
	d := a.judge(ctx, p, Data, f)
	if !d.Refuses() && q.Message != nil {
		f.ReadContent(q.Message)
		if q.Body != nil {
			f.Content = &Message{Structure: q.Message, Body: q.Body, Size: q.Message.Size}
		}
		d = a.judge(ctx, p, Content, f)
	}
	switch {
	case d.Action != Pass:
		a.Outcome, a.Accepted = outcome(d.Action), nil
	case len(a.Accepted) > 0:
		a.Outcome = record.Accepted
	default:
		a.Outcome = record.Discarded
	}
}

// outcome is the record's word for what an action leads to.
func outcome(a Action) record.Outcome {
	return [...]record.Outcome{Pass: record.Aborted, Discard: record.Discarded, Defer: record.Deferred, Reject: record.Refused, Drop: record.Refused}[a]
}

// verbs are the commands of the stages.
var verbs = [...]string{"connect", "greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"}

// judge asks one stage and keeps the step.
func (a *Answer) judge(ctx context.Context, p *Pipeline, stage Stage, f *Facts) Decision {
	d := p.Judge(ctx, stage, f)
	step := record.Step{Verb: verbs[stage]}
	switch stage {
	case Helo:
		step.Argument = f.Helo
	case Mail:
		step.Argument = f.Sender.Path()
	case Rcpt:
		step.Argument = f.Recipient.Path()
	}
	if d.Refuses() {
		step.Reply = d.Reply.String()
	}
	d.Record(&step)
	a.Steps = append(a.Steps, step)
	return d
}

// Text writes the answer for people; all shows the checks that had nothing to
// say as well.
func (a Answer) Text(w io.Writer, all bool) error {
	_, err := fmt.Fprintf(w, "%s\n%s\n", a.who(), a.sentence())
	if err == nil {
		err = record.View{All: all}.Steps(w, a.Steps)
	}
	return err
}

// who says who the client is to the rules.
func (a Answer) who() string {
	trust := map[string]string{Untrusted.String(): "not trusted", TrustedList.String(): "on the trusted list", LocalNetwork.String(): "in a local network that is trusted"}[a.Trust]
	if trust == "" {
		trust = a.Trust
	}
	login := "without a login"
	if a.Login != "" {
		login = "logged in as " + a.Login
	}
	mail := map[string]string{MX.String(): "mail from outside", Trusted.String(): "mail of a trusted client", Submission.String(): "mail of a user"}[a.Kind]
	text := fmt.Sprintf("The client %s (%s) on the listener %s, %s, is judged as %s.", a.Client, trust, a.Listener, login, mail)
	if a.Assumed {
		text += " No name was given with --helo, so it is taken to call itself " + a.Helo + "."
	}
	if a.AssumedTLS {
		text += " The connection is taken to be encrypted, for without TLS no login is offered (login.plaintext_needs_tls)."
	}
	return text
}

// refused lists the recipients whose mail would be refused, for now and for good.
func (a Answer) refused() (now, good []string) {
	for i := range a.Steps {
		switch s := &a.Steps[i]; {
		case s.Verb != verbs[Rcpt] || s.Reply == "":
		case s.Reply[0] == '4':
			now = append(now, s.Argument)
		default:
			good = append(good, s.Argument)
		}
	}
	return now, good
}

// parts says of each recipient what would become of their mail, where that differs.
func (a Answer) parts() string {
	var list []string
	for i, addr := range a.Accepted {
		if i == 0 {
			list = append(list, "accepted for "+addr.Path())
			continue
		}
		list[0] += ", " + addr.Path()
	}
	now, good := a.refused()
	if len(now) > 0 {
		list = append(list, "refused for now for "+strings.Join(now, ", "))
	}
	if len(good) > 0 {
		list = append(list, "refused for good for "+strings.Join(good, ", "))
	}
	if len(list) < 2 {
		return ""
	}
	return "Its mail would be " + strings.Join(list, "; ") + "."
}

func (a Answer) sentence() string {
	if n := len(a.Steps); n > 0 && (len(a.Accepted) > 0 || a.Steps[n-1].Verb == verbs[Rcpt]) {
		if text := a.parts(); text != "" {
			return text
		}
	}
	switch a.Outcome {
	case record.Accepted:
		list := make([]string, len(a.Accepted))
		for i, addr := range a.Accepted {
			list[i] = addr.Path()
		}
		return "Its mail would be accepted for " + strings.Join(list, ", ") + "."
	case record.Discarded:
		return "Its mail would be answered as if it were accepted, and thrown away."
	case record.Deferred:
		return "Its mail would be refused for now; a proper sender tries again by itself."
	case record.Refused:
		return "Its mail would be refused."
	}
	return "No recipient was given; nothing before that would be refused."
}

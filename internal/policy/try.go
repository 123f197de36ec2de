package policy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// Question asks what would happen to a mail that nobody has sent.
type Question struct {
	Listener   string // "" is "smtp"
	Client     netip.Addr
	Helo       string
	TLS        bool
	Login      *store.AccountRow // nil: nobody logs in
	Sender     mail.Address
	Recipients []mail.Address
	// Size is the declared size, 0 for none.
	Size unit.Size
	// Message is the content; nil: the answer ends before it.
	Message *mime.Structure
}

// World is what the house knows: where addresses lead, how full mailboxes
// are, who owns a sender and what the disk is like.
type World struct {
	Resolve func(ctx context.Context, addr mail.Address) (directory.Resolution, error)
	Usage   UsageReader
	Senders SenderOwner
	Room    func(ctx context.Context) (store.Room, error)
}

// Answer is what the rules say, step by step.
type Answer struct {
	Kind  Kind
	Trust Trust
	Steps []Step
	// Accepted lists the recipients who would get the mail.
	Accepted []mail.Address
}

// Step is one decision of an answer.
type Step struct {
	Decision
	// Recipient is set at stage Rcpt.
	Recipient mail.Address
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
		Time: time.Now(), Listener: q.Listener, Client: q.Client.Unmap(), TLS: q.TLS, Helo: q.Helo, ESMTP: true, Login: q.Login,
		Sender: q.Sender, DeclaredSize: q.Size, Usage: w.Usage, Senders: w.Senders, Room: room,
	}
	f.Kind, f.Trust = p.Classify(q.Listener, f.Client)
	if q.Login != nil {
		f.Kind = Submission
	}
	a := Answer{Kind: f.Kind, Trust: f.Trust}
	err = a.run(ctx, p, w, q, f)
	return a, err
}

// run asks one stage after the other until one refuses all.
func (a *Answer) run(ctx context.Context, p *Pipeline, w World, q Question, f *Facts) error {
	for _, stage := range []Stage{Connect, Helo, Mail} {
		if a.judge(ctx, p, stage, f).Refuses() {
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
		switch {
		case d.Action == Drop:
			return nil
		case d.Refuses():
			f.Refused++
		default:
			f.Accepted++
			if d.Action == Pass {
				a.Accepted = append(a.Accepted, rcpt)
			}
		}
	}
	if f.Accepted == 0 {
		return nil
	}
	end := a.judge(ctx, p, Data, f)
	if !end.Refuses() && q.Message != nil {
		f.ReadContent(q.Message)
		end = a.judge(ctx, p, Content, f)
	}
	if end.Action != Pass {
		a.Accepted = nil
	}
	return nil
}

func (a *Answer) judge(ctx context.Context, p *Pipeline, stage Stage, f *Facts) *Decision {
	d := p.Judge(ctx, stage, f)
	d.Results = slices.Clone(d.Results)
	for i := range d.Results {
		d.Results[i].Inputs = slices.Clone(d.Results[i].Inputs)
	}
	step := Step{Decision: d}
	if stage == Rcpt {
		step.Recipient = f.Recipient
	}
	a.Steps = append(a.Steps, step)
	return &a.Steps[len(a.Steps)-1].Decision
}

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"posthorn/internal/server/manage"
)

type queueCmd struct {
	List     queueListCmd     `cmd:"" help:"List waiting messages, and why they wait."`
	Show     queueShowCmd     `cmd:"" help:"Show one message with every recipient."`
	Retry    queueRetryCmd    `cmd:"" help:"Try to deliver now."`
	Hold     queueHoldCmd     `cmd:"" help:"Do not deliver until released."`
	Release  queueReleaseCmd  `cmd:"" help:"Deliver a held message."`
	Redirect queueRedirectCmd `cmd:"" help:"Send a message to another address instead."`
	Remove   queueRemoveCmd   `cmd:"" help:"Remove a message; nobody is told."`
}

type queueListCmd struct {
	From  string `help:"Only from this address or domain." placeholder:"SENDER"`
	To    string `help:"Only to this address or domain." placeholder:"RECIPIENT"`
	State string `help:"Only recipients in this state." enum:",queued,held" default:"" placeholder:"queued|held"`
	Limit int    `help:"Most messages to list." default:"100"`
}

func (c *queueListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.QueueListInput{Sender: c.From, Recipient: c.To, State: c.State, Limit: c.Limit}
	return show(ctx, w, s, "queue-list", in, func(p manage.QueuePage) error {
		switch {
		case p.Messages == 0:
			_, err := fmt.Fprintln(s.Out, "The queue is empty: nothing waits to be delivered.")
			return err
		case len(p.Items) == 0:
			_, err := fmt.Fprintf(s.Out, "None of the %s in the queue matches. All of them: posthorn queue list\n", plural(p.Messages, "message"))
			return err
		}
		t := newTable(s.Out, "ID", "AGE", "SIZE", "FROM", "TO", "STATE", "NEXT TRY", "WHY IT WAITS")
		for _, m := range p.Items {
			for i, r := range m.Recipients {
				id, old, size, from := m.ID, age(m.Accepted), human(m.Size), none(m.Sender, "<> (notification)")
				if i > 0 {
					id, old, size, from = "", "", "", ""
				}
				t.row(id, old, size, from, r.Address, r.State, next(r), why(r))
			}
		}
		if err := t.end(); err != nil {
			return err
		}
		shown := ""
		if n := int64(len(p.Items)); n < p.Messages {
			shown = fmt.Sprintf("%d shown of ", n)
		}
		_, err := fmt.Fprintf(s.Out, "\n%s%s for %s in the queue.\n", shown, plural(p.Messages, "message"), plural(p.Recipients, "recipient"))
		return err
	})
}

// age writes how long ago.
func age(t time.Time) string {
	return brief(time.Since(t))
}

// brief writes a time span in its largest unit.
func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func next(r manage.QueueRecipient) string {
	switch d := time.Until(r.NextTry); {
	case r.State == "held":
		return "when released"
	case d <= 0:
		return "now"
	case d < 24*time.Hour:
		return "in " + brief(d)
	}
	return when(r.NextTry)
}

func why(r manage.QueueRecipient) string {
	switch {
	case r.LastError != "":
		return r.LastError
	case r.State == "held":
		return "held by an administrator"
	case r.Attempts == 0:
		return "not tried yet"
	}
	return fmt.Sprintf("tried %d times", r.Attempts)
}

type queueShowCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
}

func (c *queueShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "queue-show", manage.QueueInput{ID: c.ID}, func(m manage.QueueItem) error {
		if err := facts(s.Out, "Message", m.ID, "From", none(m.Sender, "<> (notification)"), "Size", human(m.Size),
			"Accepted", when(m.Accepted)+" ("+age(m.Accepted)+" ago)", "Tried until", when(m.Expires)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(s.Out); err != nil {
			return err
		}
		t := newTable(s.Out, "TO", "STATE", "ATTEMPTS", "NEXT TRY", "WHY IT WAITS")
		for _, r := range m.Recipients {
			t.row(r.Address, r.State, fmt.Sprint(r.Attempts), next(r), why(r))
		}
		return t.end()
	})
}

// act runs an operation on one message and says what came of it.
func act(ctx context.Context, w *Where, s *Streams, verb, id, done string) error {
	return show(ctx, w, s, "queue-"+verb, manage.QueueInput{ID: id, Author: author()}, func(n manage.Count) error {
		_, err := fmt.Fprintf(s.Out, "%s: %s of message %s.\n", strings.ToUpper(done[:1])+done[1:], plural(int64(n.Count), "recipient"), id)
		return err
	})
}

type queueRetryCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
}

func (c *queueRetryCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return act(ctx, w, s, "retry", c.ID, "to be tried at once, or when released")
}

type queueHoldCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
}

func (c *queueHoldCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return act(ctx, w, s, "hold", c.ID, "held")
}

type queueReleaseCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
}

func (c *queueReleaseCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return act(ctx, w, s, "release", c.ID, "released")
}

type queueRedirectCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
	To string `arg:"" help:"Address that gets the message instead."`
}

func (c *queueRedirectCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.QueueRedirectInput{ID: c.ID, Author: author()}
	in.Body.To = c.To
	return show(ctx, w, s, "queue-redirect", in, func(n manage.Count) error {
		_, err := fmt.Fprintf(s.Out, "Redirected to %s: %s of message %s.\n", c.To, plural(int64(n.Count), "recipient"), c.ID)
		return err
	})
}

type queueRemoveCmd struct {
	ID  string `arg:"" help:"Identifier of the message."`
	Yes bool   `help:"Do not ask."`
}

func (c *queueRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if !c.Yes {
		return fmt.Errorf("this removes message %s for good and tells nobody; repeat the command with --yes", c.ID)
	}
	return act(ctx, w, s, "remove", c.ID, "removed")
}

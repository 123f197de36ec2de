package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
)

type quarantineCmd struct {
	List    quarantineListCmd    `cmd:"" help:"List the messages in quarantine."`
	Show    quarantineShowCmd    `cmd:"" help:"Show one message: why it is held back, and its header."`
	Release quarantineReleaseCmd `cmd:"" help:"Deliver a message to all its recipients."`
	Remove  quarantineRemoveCmd  `cmd:"" help:"Remove a message; nobody is told."`
}

type quarantineListCmd struct {
	From  string `field:"sender" help:"Only of this sender: an address or a domain." placeholder:"SENDER"`
	To    string `field:"recipient" help:"Only for this recipient: an address or a domain." placeholder:"RECIPIENT"`
	Limit int    `help:"Most messages to list." default:"100"`
	After string `help:"Go on after a page: what it said at its end." placeholder:"MARK"`
}

func (c *quarantineListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.QuarantineListInput{Sender: c.From, Recipient: c.To, Paging: manage.Paging{Limit: c.Limit, After: c.After}}
	return show(ctx, w, s, "quarantine-list", in, func(p manage.Page[manage.QuarantineItem]) error {
		if len(p.Items) == 0 {
			text := "Nothing is in quarantine."
			if c.From+c.To+c.After != "" {
				text = "No message matches. All of them: posthorn quarantine list"
			}
			_, err := fmt.Fprintln(s.Out, s.hint(text))
			return err
		}
		t := newTable(s.Out, "ID", "AGE", "SENDER", "TO", "SUBJECT", "REASON")
		for _, m := range p.Items {
			t.row(m.ID, age(m.Accepted), none(short(m.Sender, 32), "<>"), short(some(m.Recipients), 40), none(short(m.Subject, 40), "-"), m.Reason)
		}
		if err := t.end(); err != nil {
			return err
		}
		_, err := io.WriteString(s.Out, s.hint("\nLook at one: posthorn quarantine show ID. Deliver it: posthorn quarantine release ID\n"))
		if err == nil && p.Next != "" {
			_, err = fmt.Fprintf(s.Out, "There are more: --after %s\n", p.Next)
		}
		return err
	})
}

// some names the first of several.
func some(list []string) string {
	switch len(list) {
	case 0:
		return "-"
	case 1:
		return list[0]
	}
	return fmt.Sprintf("%s and %d more", list[0], len(list)-1)
}

type quarantineShowCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
}

func (c *quarantineShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "quarantine-show", manage.QuarantineShowInput{ID: c.ID}, func(m manage.QuarantineView) error {
		err := facts(s.Out, "Message", m.ID, "Held because", m.Reason, "Sender", none(m.Sender, "<>"), "Recipients", strings.Join(m.Recipients, ", "),
			"Client", none(m.Client, "-"), "Size", fmt.Sprintf("%d octets", m.Size), "Accepted", when(m.Accepted), "Removed", when(m.Removed)+", unless it is released")
		if err != nil {
			return err
		}
		var b strings.Builder
		b.WriteString("\n")
		for _, f := range m.Header {
			fmt.Fprintf(&b, "  %s: %s\n", clean(f.Name), clean(unfold(f.Value)))
		}
		b.WriteString("\n")
		for _, p := range m.Parts {
			fmt.Fprintf(&b, "  %s, %d octets%s\n", clean(p.Type), p.Size, fileNamed(p.Name))
		}
		if m.Cut {
			b.WriteString("  (and more)\n")
		}
		b.WriteString(s.hint("\nDeliver it: posthorn quarantine release " + shell.Word(m.ID) + "\n"))
		_, err = io.WriteString(s.Out, b.String())
		return err
	})
}

// unfold makes one line of a field's value (RFC 5322 §2.2.3).
func unfold(value string) string {
	return strings.NewReplacer("\r\n", "", "\r", "", "\n", "", "\t", " ").Replace(value)
}

func fileNamed(file string) string {
	if file == "" {
		return ""
	}
	return ", " + clean(file)
}

type quarantineReleaseCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
}

func (c *quarantineReleaseCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "quarantine-release", manage.QuarantineInput{ID: c.ID, Author: author()}, func(n manage.Count) error {
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("Released: message %s goes to %s. Where it is: posthorn trace %s\n", c.ID, plural(int64(n.Count), "recipient"), shell.Word(c.ID))))
		return err
	})
}

type quarantineRemoveCmd struct {
	ID  string `arg:"" help:"Identifier of the message."`
	Yes bool   `help:"Needed: nothing is asked, and what is removed does not come back."`
}

func (c *quarantineRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if !c.Yes {
		return fmt.Errorf("this removes message %s for good and tells nobody; repeat the command with --yes", c.ID)
	}
	return show(ctx, w, s, "quarantine-remove", manage.QuarantineInput{ID: c.ID, Author: author()}, func(manage.Count) error {
		_, err := fmt.Fprintf(s.Out, "Removed: message %s.\n", c.ID)
		return err
	})
}

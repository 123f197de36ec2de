package cli

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
)

type greylistCmd struct {
	List    greylistListCmd    `cmd:"" help:"List the clients that the greylist knows."`
	Show    greylistShowCmd    `cmd:"" help:"Show one client."`
	Confirm greylistConfirmCmd `cmd:"" help:"Let a client in now."`
	Except  greylistExceptCmd  `cmd:"" help:"Never greylist a client."`
	Remove  greylistRemoveCmd  `cmd:"" help:"Forget a client: it has to wait again."`
	Reset   greylistResetCmd   `cmd:"" help:"Forget all clients."`
}

type greylistListCmd struct {
	Match     string `arg:"" optional:"" help:"Part of client, sender, recipient or helo."`
	Confirmed bool   `help:"Only clients that are let through." xor:"state"`
	Waiting   bool   `help:"Only clients that are not." xor:"state"`
	Sort      string `help:"Order: last or first attempt, newest first, or key (the client)." enum:"last,first,key" default:"last"`
	Limit     int    `help:"Most clients to list." default:"100"`
	After     string `help:"Go on after a page: what it said at its end." placeholder:"MARK"`
}

func (c *greylistListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.GreylistListInput{Search: c.Match, Sort: c.Sort, Paging: manage.Paging{Limit: c.Limit, After: c.After}}
	switch {
	case c.Confirmed:
		in.Confirmed = "yes"
	case c.Waiting:
		in.Confirmed = "no"
	}
	return show(ctx, w, s, "greylist-list", in, func(p manage.GreylistPage) error {
		switch {
		case p.Total == 0:
			_, err := fmt.Fprintln(s.Out, "The greylist is empty: no client has had to wait.")
			return err
		case len(p.Items) == 0:
			_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("No client matches. All of them (%d): posthorn greylist list\n", p.Total)))
			return err
		}
		t := newTable(s.Out, "CLIENT", "STATE", "FIRST", "LAST", "PUT OFF", "PASSED", "LAST FROM", "LAST TO")
		for _, g := range p.Items {
			t.row(g.Client, greylistState(g), when(g.First), whenOr(g.Last, "-"), fmt.Sprint(g.Deferred), fmt.Sprint(g.Passed), none(short(g.Sender, 32), "-"), none(short(g.Recipient, 32), "-"))
		}
		if err := t.end(); err != nil {
			return err
		}
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("\n%s known, %d of them confirmed. Let one in now: posthorn greylist confirm CLIENT\n", plural(p.Total, "client"), p.Confirmed)))
		if err == nil && p.Next != "" {
			_, err = fmt.Fprintf(s.Out, "There are more: --after %s\n", shell.Word(p.Next))
		}
		return err
	})
}

func greylistState(g manage.GreylistClient) string {
	if g.Confirmed {
		return "confirmed"
	}
	return "waiting"
}

type greylistShowCmd struct {
	Client string `arg:"" help:"An address or a network."`
}

func (c *greylistShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "greylist-show", manage.GreylistInput{Client: c.Client}, func(g manage.GreylistClient) error {
		state := "waiting: it has not come back in time yet"
		if g.Confirmed {
			state = "confirmed: it is let through"
		}
		return facts(s.Out, "Client", g.Client, "State", state, "First attempt", when(g.First), "Confirmed", whenOr(g.Since, "not yet"), "Last attempt", whenOr(g.Last, "none"),
			"Put off", plural(g.Deferred, "attempt"), "Passed", plural(g.Passed, "attempt"), "Last from", none(g.Sender, "-"), "Last to", none(g.Recipient, "-"), "Last helo", none(g.Helo, "-"))
	})
}

type greylistConfirmCmd struct {
	Client string `arg:"" help:"An address or a network."`
}

func (c *greylistConfirmCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "greylist-confirm", manage.GreylistInput{Client: c.Client}, func(g manage.GreylistClient) error {
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("%s is let in from now on, until its confirmation lapses. For good: posthorn greylist except %s\n", g.Client, shell.Word(g.Client))))
		return err
	})
}

type greylistExceptCmd struct {
	Client string `arg:"" help:"An address or a network."`
}

func (c *greylistExceptCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.GreylistExceptInput{Client: c.Client, Author: author()}
	return show(ctx, w, s, "greylist-except", in, func(o manage.SettingOutcome) error {
		if len(o.Differences) == 0 {
			_, err := fmt.Fprintf(s.Out, "%s is exempt from greylisting already.\n", c.Client)
			return err
		}
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("%s is never greylisted from now on: a subnet rule of class no-greylisting in policy.classes.subnets.\nTake it back: posthorn setting undo %d\n", c.Client, o.Version)))
		return err
	})
}

type greylistRemoveCmd struct {
	Client string `arg:"" help:"An address or a network."`
}

func (c *greylistRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "greylist-remove", manage.GreylistInput{Client: c.Client}, "%s is forgotten: it has to wait again.", c.Client)
}

type greylistResetCmd struct {
	Yes bool `help:"Really forget all clients."`
}

func (c *greylistResetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if !c.Yes {
		return errors.New("every client would have to wait again, proper servers too; say --yes")
	}
	return show(ctx, w, s, "greylist-reset", manage.GreylistResetInput{Confirm: true}, func(f manage.GreylistForgotten) error {
		_, err := fmt.Fprintf(s.Out, "%s forgotten: all have to wait again.\n", plural(int64(f.Forgotten), "client"))
		return err
	})
}

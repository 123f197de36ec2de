package cli

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
)

type banCmd struct {
	List    banListCmd    `cmd:"" help:"List the client hosts that are not let in."`
	Add     banAddCmd     `cmd:"" help:"Ban a client host or network by hand."`
	Show    banShowCmd    `cmd:"" help:"Is an address banned, and why?"`
	Lift    banLiftCmd    `cmd:"" help:"Let a host in again."`
	LiftAll banLiftAllCmd `cmd:"" name:"lift-all" help:"Let all hosts in again."`
}

type banListCmd struct {
	Match string `arg:"" optional:"" help:"Part of host, reason or author."`
	Kind  string `help:"Only bans of this kind: failures, day or manual." enum:",failures,day,manual" default:"" placeholder:"KIND"`
	Ended bool   `help:"Bans that have ended, too; they are kept for a week."`
}

func (c *banListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	page := func(p manage.Paging) any {
		return manage.BanListInput{Search: c.Match, Kind: c.Kind, Ended: c.Ended, Paging: p}
	}
	return list(ctx, w, s, "ban-list", page, func(all []manage.Ban) error {
		if len(all) == 0 {
			text := "Nobody is banned."
			if c.Match+c.Kind != "" {
				text = "No ban matches. All of them: posthorn ban list"
			}
			_, err := fmt.Fprintln(s.Out, s.hint(text))
			return err
		}
		t := newTable(s.Out, "HOST", "KIND", "UNTIL", "FIRST ATTEMPT", "LAST ATTEMPT", "BY", "REASON")
		for _, b := range all {
			t.row(b.Host, b.Kind, banEnds(b), when(b.First), when(b.Last), none(b.Author, "the server"), none(b.Reason, "-"))
		}
		if err := t.end(); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.Out, s.hint("\nLet one in again: posthorn ban lift HOST"))
		return err
	})
}

func banEnds(b manage.Ban) string {
	switch {
	case b.Until == nil:
		return "no end"
	case !b.InForce:
		return "ENDED " + when(*b.Until)
	}
	return when(*b.Until)
}

type banAddCmd struct {
	Host   string `arg:"" help:"An address or a network; an IPv6 address means its /64."`
	For    string `field:"until" help:"How long, such as 7d (default: until it is lifted)." placeholder:"TIME"`
	Reason string `help:"Why, for the list." placeholder:"TEXT"`
}

func (c *banAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	end, err := until("--for", c.For)
	if err != nil {
		return err
	}
	in := manage.BanAddInput{Body: manage.NewBan{Host: c.Host, Reason: c.Reason, Until: end, Author: author()}}
	return show(ctx, w, s, "ban-add", in, func(b manage.Ban) error {
		end := "until " + whenOr(b.Until, "it is lifted (posthorn ban lift "+shell.Word(b.Host)+")")
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("%s is banned %s, whatever the allow list says. New connections are turned away on every port; open ones go on.\n", b.Host, end)))
		return err
	})
}

type banShowCmd struct {
	Host string `arg:"" help:"An address or a network."`
}

func (c *banShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "ban-show", manage.BanInput{Host: c.Host}, func(p manage.Page[manage.Ban]) error {
		for i, b := range p.Items {
			if i > 0 {
				if _, err := fmt.Fprintln(s.Out); err != nil {
					return err
				}
			}
			count := ""
			if b.Failures > 0 {
				count = fmt.Sprintf(" (%s counted)", plural(b.Failures, "failure"))
			}
			if err := facts(s.Out, "Host", b.Host, "Kind", b.Kind, "Until", banEnds(b), "Reason", none(b.Reason, "-")+count,
				"First attempt", when(b.First), "Last attempt", when(b.Last), "Set by", none(b.Author, "the server")); err != nil {
				return err
			}
		}
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("\nLet it in again: posthorn ban lift %s\n", shell.Word(p.Items[0].Host))))
		return err
	})
}

type banLiftCmd struct {
	Host string `arg:"" help:"An address or a network, as list shows it."`
}

func (c *banLiftCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "ban-lift", manage.BanInput{Host: c.Host}, func(l manage.BanLifted) error {
		text := l.Host + " is let in again."
		if len(l.Others) > 0 {
			text = fmt.Sprintf("The ban of %s is lifted, but it still stays out: %s around it is banned, too. Let that in: posthorn ban lift %s", l.Host, l.Others[0].Host, shell.Word(l.Others[0].Host))
		}
		_, err := fmt.Fprintln(s.Out, s.hint(text))
		return err
	})
}

type banLiftAllCmd struct {
	Kind string `help:"Only bans of this kind: failures, day or manual." enum:",failures,day,manual" default:"" placeholder:"KIND"`
	Yes  bool   `help:"Really lift bans of every kind, those set by hand too."`
}

func (c *banLiftAllCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if c.Kind == "" && !c.Yes {
		return errors.New("this lifts every ban, those set by hand too; say --yes, or name a kind with --kind")
	}
	return show(ctx, w, s, "ban-lift-all", manage.BanLiftAllInput{Kind: c.Kind, Confirm: c.Yes}, func(l manage.BansLifted) error {
		_, err := fmt.Fprintf(s.Out, "%s lifted.\n", plural(int64(l.Lifted), "ban"))
		return err
	})
}

package cli

import (
	"context"
	"fmt"
	"strings"

	"posthorn/internal/server/manage"
)

type aliasCmd struct {
	Add    aliasAddCmd    `cmd:"" help:"Lead an address to others, here or elsewhere."`
	List   aliasListCmd   `cmd:"" help:"List the aliases."`
	Show   aliasShowCmd   `cmd:"" help:"Show one alias."`
	Set    aliasSetCmd    `cmd:"" help:"Change an alias."`
	Remove aliasRemoveCmd `cmd:"" help:"Remove an alias."`
}

type aliasAddCmd struct {
	Address string   `arg:"" help:"Address of the alias."`
	Targets []string `arg:"" name:"target" field:"targets" help:"Addresses its mail goes to."`
}

func (c *aliasAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return saves(ctx, w, s, "alias-add", manage.AliasAddInput{Body: manage.NewAlias{Address: c.Address, Targets: c.Targets}},
		"Mail for %s now goes to %s.", c.Address, strings.Join(c.Targets, ", "))
}

// saves runs an operation on an alias and says what may surprise about it.
func saves(ctx context.Context, w *Where, s *Streams, id string, in any, sentence string, args ...any) error {
	return show(ctx, w, s, id, in, func(a manage.AliasSaved) error {
		if _, err := fmt.Fprintf(s.Out, sentence+"\n", args...); err != nil {
			return err
		}
		return warnAside(s, a.Warnings)
	})
}

// removes runs an operation that removes an address, and says what still leads
// to it.
func removes(ctx context.Context, w *Where, s *Streams, id string, in any, sentence string, args ...any) error {
	return show(ctx, w, s, id, in, func(r manage.Removed) error {
		if _, err := fmt.Fprintf(s.Out, sentence+"\n", args...); err != nil {
			return err
		}
		return warnAside(s, r.Warnings)
	})
}

// warnAside warns beside the answer, where a script does not read it.
func warnAside(s *Streams, warnings []string) error {
	for _, text := range warnings {
		if _, err := fmt.Fprintln(s.Err, "Warning:", s.hint(clean(text))); err != nil {
			return err
		}
	}
	return nil
}

// leadsTo lists the targets of an alias and marks those that get nothing.
func leadsTo(a manage.Alias, mark func(manage.Dangling) string) string {
	marks := map[string]string{}
	for _, d := range a.Dangling {
		marks[d.Address] = " (" + mark(d) + ")"
	}
	var list []string
	for _, t := range a.Targets {
		list = append(list, readable(t)+marks[t])
	}
	return none(strings.Join(list, ", "), "-")
}

type aliasListCmd struct {
	Domain string `help:"Only this domain." placeholder:"DOMAIN"`
}

func (c *aliasListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return listAliases(ctx, w, s, "alias", c.Domain)
}

func listAliases(ctx context.Context, w *Where, s *Streams, noun, domain string) error {
	page := func(p manage.Paging) any { return manage.AliasListInput{Domain: domain, Paging: p} }
	return list(ctx, w, s, noun+"-list", page, func(all []manage.Alias) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint(noneYet(noun, domain, "info@example.org you@example.org")))
			return err
		}
		t := newTable(s.Out, "ADDRESS", "LEADS TO")
		if noun == "group" {
			t = newTable(s.Out, "ADDRESS", "MEMBERS", "SEND AS", "TITLE")
		}
		for _, a := range all {
			cells := []string{readable(a.Address), leadsTo(a, func(manage.Dangling) string { return "leads nowhere" })}
			if a.Group {
				cells = append(cells, yes(a.SendAs), none(a.Title, "-"))
			}
			t.row(cells...)
		}
		return t.end()
	})
}

func showAlias(ctx context.Context, w *Where, s *Streams, noun, address string) error {
	return show(ctx, w, s, noun+"-show", manage.AliasInput{Address: address}, func(a manage.Alias) error {
		to := leadsTo(a, func(d manage.Dangling) string { return "gets nothing: " + d.Why })
		if !a.Group {
			return facts(s.Out, "Alias", readable(a.Address), "Leads to", to, "Since", when(a.Created))
		}
		return facts(s.Out, "Group", readable(a.Address), "Members", to, "Title", none(a.Title, "-"), "Members may send as it", yes(a.SendAs), "Since", when(a.Created))
	})
}

type aliasShowCmd struct {
	Address string `arg:"" help:"Address of the alias."`
}

func (c *aliasShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return showAlias(ctx, w, s, "alias", c.Address)
}

type aliasSetCmd struct {
	Address string   `arg:"" help:"Address of the alias."`
	Add     []string `field:"targets" help:"Addresses to add." placeholder:"ADDRESS"`
	Drop    []string `help:"Addresses to take away." placeholder:"ADDRESS"`
}

func (c *aliasSetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return saves(ctx, w, s, "alias-set", manage.AliasSetInput{Address: c.Address, Body: manage.AliasChange{Add: c.Add, Drop: c.Drop}},
		"Alias %s changed.", c.Address)
}

type aliasRemoveCmd struct {
	Address string `arg:"" help:"Address of the alias."`
}

func (c *aliasRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return removes(ctx, w, s, "alias-remove", manage.AliasInput{Address: c.Address}, "Alias %s removed.", c.Address)
}

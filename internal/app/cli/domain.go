package cli

import (
	"context"
	"fmt"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
)

type domainCmd struct {
	Add    domainAddCmd    `cmd:"" help:"Receive mail for a domain."`
	List   domainListCmd   `cmd:"" help:"List the domains."`
	Show   domainShowCmd   `cmd:"" help:"Show one domain."`
	Set    domainSetCmd    `cmd:"" help:"Change a domain."`
	Remove domainRemoveCmd `cmd:"" help:"Stop receiving mail for a domain that has no addresses left."`
}

// domainFields are what add and set can give.
type domainFields struct {
	CatchAll  *string `help:"Address that gets mail to unknown names (empty: refuse it)." placeholder:"ADDRESS"`
	Separator *string `help:"What divides a subaddress from the name, as in name+detail (empty: no subaddresses)." placeholder:"CHAR"`
	Disabled  *bool   `negatable:"" help:"Accept no mail for the domain, and no login, for now."`
	// Forwarding has no default: what is not given stays.
	Forwarding *string `enum:"yes,no,inherit" help:"Whether its accounts may forward mail (inherit: as directory.forwarding says)." placeholder:"yes|no|inherit"`
}

func (f domainFields) change() manage.DomainChange {
	return manage.DomainChange{CatchAll: f.CatchAll, Separator: f.Separator, Disabled: f.Disabled, Forwarding: f.Forwarding}
}

type domainAddCmd struct {
	Name string `arg:"" help:"Domain name."`
	domainFields
}

func (c *domainAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.DomainAddInput{Body: manage.NewDomain{Name: c.Name, DomainChange: c.change()}}
	return show(ctx, w, s, "domain-add", in, func(d manage.Domain) error {
		_, err := fmt.Fprintln(s.Out, s.hint(fmt.Sprintf("Domain %s added. Next: posthorn account add %s", d.Unicode, shell.Word("NAME@"+d.Unicode))))
		return err
	})
}

type domainListCmd struct{}

func (c *domainListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	page := func(p manage.Paging) any { return manage.DomainListInput{Paging: p} }
	return list(ctx, w, s, "domain-list", page, func(all []manage.Domain) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint("No domains yet. Add one: posthorn domain add example.org"))
			return err
		}
		t := newTable(s.Out, "DOMAIN", "CATCH-ALL", "SUBADDRESSES", "STATE", "SINCE")
		for _, d := range all {
			t.row(d.Unicode, none(readable(d.CatchAll), "-"), none(d.Separator, "off"), onOff(d.Disabled), when(d.Created))
		}
		return t.end()
	})
}

func onOff(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "active"
}

type domainShowCmd struct {
	Name string `arg:"" help:"Domain name."`
}

func (c *domainShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "domain-show", manage.DomainInput{Name: c.Name}, func(d manage.Domain) error {
		pairs := []string{"Domain", d.Unicode}
		if d.Name != d.Unicode {
			pairs = append(pairs, "In DNS and SMTP", d.Name)
		}
		subaddresses := "off"
		if d.Separator != "" {
			subaddresses = "name" + d.Separator + "detail leads to name"
		}
		return facts(s.Out, append(pairs, "State", onOff(d.Disabled), "Unknown names", catchAll(d.CatchAll),
			"Subaddresses", subaddresses, "Accounts may forward", inherited(d.Forwarding, "as directory.forwarding says"), "Since", when(d.Created))...)
	})
}

// inherited writes a choice.
func inherited(choice, above string) string {
	if choice == "inherit" {
		return above
	}
	return choice
}

func catchAll(address string) string {
	if address == "" {
		return "are refused"
	}
	return "go to " + readable(address)
}

type domainSetCmd struct {
	Name string `arg:"" help:"Domain name."`
	domainFields
}

func (c *domainSetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "domain-set", manage.DomainSetInput{Name: c.Name, Body: c.change()}, "Domain %s changed.", c.Name)
}

type domainRemoveCmd struct {
	Name string `arg:"" help:"Domain name."`
}

func (c *domainRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "domain-remove", manage.DomainInput{Name: c.Name}, "Domain %s removed.", c.Name)
}

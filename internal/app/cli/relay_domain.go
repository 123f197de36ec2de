package cli

import (
	"context"
	"fmt"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
)

type relayDomainCmd struct {
	Add        relayDomainAddCmd        `cmd:"" help:"Take mail for a domain and hand it on."`
	List       relayDomainListCmd       `cmd:"" help:"List the relay domains."`
	Show       relayDomainShowCmd       `cmd:"" help:"Show one relay domain."`
	Set        relayDomainSetCmd        `cmd:"" help:"Change a relay domain or its recipients."`
	Remove     relayDomainRemoveCmd     `cmd:"" help:"Stop relaying for a domain. What is queued for it goes the way of any other domain, and is bounced where that leads back here; to keep it waiting, disable the domain instead."`
	Recipients relayDomainRecipientsCmd `cmd:"" help:"List the recipients of a relay domain."`
}

// relayDomainFields are what add and set can give.
type relayDomainFields struct {
	relayHostFields
	Recipients *string  `enum:"all,listed" help:"Take mail for all names, or for those listed alone." placeholder:"all|listed"`
	Recipient  []string `field:"add_recipients" help:"Address to add to the list." placeholder:"ADDRESS"`
	Drop       []string `field:"drop_recipients" help:"Address to take off the list." placeholder:"ADDRESS"`
	Disabled   *bool    `negatable:"" help:"Take no mail from strangers for it for now. What is queued for it waits, until it is enabled or its time in the queue is over."`
}

func (f relayDomainFields) change() manage.RelayDomainChange {
	return manage.RelayDomainChange{RelayHostChange: f.relayHostFields.change(), Recipients: f.Recipients, AddRecipients: f.Recipient, DropRecipients: f.Drop, Disabled: f.Disabled}
}

type relayDomainAddCmd struct {
	Name   string `arg:"" help:"Name of the rule."`
	Domain string `arg:"" help:"Domain; .DOMAIN for its subdomains."`
	relayDomainFields
}

func (c *relayDomainAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.RelayDomainAddInput{Body: manage.NewRelayDomain{Name: c.Name, Domain: c.Domain, RelayDomainChange: c.change()}}
	return show(ctx, w, s, "relay-domain-add", in, func(d manage.RelayDomain) error {
		_, err := fmt.Fprintf(s.Out, "Mail for %s now goes on to %s.\n", d.Unicode, through(d.RelayHost, "the main server that DNS names inside"))
		if err == nil && d.Warning != "" {
			_, err = fmt.Fprint(s.Out, s.hint(fmt.Sprintf("Warning: %s (posthorn relay domain set %s --recipient ADDRESS).\n", d.Warning, shell.Word(d.Name))))
		}
		return err
	})
}

type relayDomainListCmd struct{}

func (c *relayDomainListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	page := func(p manage.Paging) any { return manage.RelayDomainListInput{Paging: p} }
	return list(ctx, w, s, "relay-domain-list", page, func(all []manage.RelayDomain) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint("No relay domains yet. Add one: posthorn relay domain add NAME example.org --host mx.inside.example.org"))
			return err
		}
		t := newTable(s.Out, "DOMAIN", "RULE", "MAIN SERVER", "RECIPIENTS", "STATE", "SINCE")
		for _, d := range all {
			t.row(d.Unicode, d.Name, through(d.RelayHost, "by DNS"), d.Recipients, onOff(d.Disabled), when(d.Created))
		}
		return t.end()
	})
}

type relayDomainShowCmd struct {
	Name string `arg:"" help:"Name of the rule."`
}

func (c *relayDomainShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "relay-domain-show", manage.RelayDomainInput{Name: c.Name}, func(d manage.RelayDomain) error {
		pairs := append([]string{"Relay domain", d.Unicode, "Rule", d.Name, "State", onOff(d.Disabled), "Main server", through(d.RelayHost, "by DNS, as it is seen inside")},
			certificate(d.RelayHost)...)
		pairs = append(pairs, "Recipients", d.Recipients, "Since", when(d.Created))
		if d.Warning != "" {
			pairs = append(pairs, "Warning", d.Warning)
		}
		return facts(s.Out, pairs...)
	})
}

type relayDomainSetCmd struct {
	Name string `arg:"" help:"Name of the rule."`
	relayDomainFields
	ByDNS bool `name:"by-dns" help:"No fixed main server any more: DNS names it."`
}

func (c *relayDomainSetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	change := c.change()
	if c.ByDNS {
		change.Hosts = &[]string{}
	}
	return does(ctx, w, s, "relay-domain-set", manage.RelayDomainSetInput{Name: c.Name, Body: change}, "Relay domain %s changed.", c.Name)
}

type relayDomainRemoveCmd struct {
	Name string `arg:"" help:"Name of the rule."`
}

func (c *relayDomainRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "relay-domain-remove", manage.RelayDomainInput{Name: c.Name}, "Relay domain %s removed.", c.Name)
}

type relayDomainRecipientsCmd struct {
	Name string `arg:"" help:"Name of the rule."`
}

func (c *relayDomainRecipientsCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	page := func(p manage.Paging) any { return manage.RelayRecipientsInput{Name: c.Name, Paging: p} }
	return list(ctx, w, s, "relay-domain-recipients", page, func(all []string) error {
		for _, a := range all {
			if _, err := fmt.Fprintln(s.Out, clean(a)); err != nil {
				return err
			}
		}
		return nil
	})
}

package manage

import (
	"context"
	"fmt"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Domain is a domain as administrators see it.
type Domain struct {
	Name       string    `json:"name" doc:"Name on the wire (A-labels)"`
	Unicode    string    `json:"unicode" doc:"Name as people read it"`
	CatchAll   string    `json:"catch_all" doc:"Address that gets mail to unknown names; empty: it is refused"`
	Separator  string    `json:"separator" doc:"What divides a subaddress from the name; empty: no subaddresses"`
	Disabled   bool      `json:"disabled" doc:"No mail is accepted for the domain, and nobody logs in with an address of it"`
	Forwarding string    `json:"forwarding" doc:"Whether its accounts may forward mail: yes, no or inherit, as directory.forwarding says"`
	Created    time.Time `json:"created"`
}

// NewDomain is a domain to host.
type NewDomain struct {
	Name string `json:"name" doc:"Domain name" example:"example.org"`
	DomainChange
}

// DomainChange sets the fields that are given.
type DomainChange struct {
	CatchAll   *string `json:"catch_all,omitempty" doc:"Address that gets mail to unknown names; empty: refuse it"`
	Separator  *string `json:"separator,omitempty" doc:"What divides a subaddress from the name; empty: no subaddresses"`
	Disabled   *bool   `json:"disabled,omitempty" doc:"Accept no mail for the domain, and no login"`
	Forwarding *string `json:"forwarding,omitempty" enum:"yes,no,inherit" doc:"Whether its accounts may forward mail; inherit: as directory.forwarding says"`
}

// The inputs of the domain operations.
type (
	DomainListInput struct{ Paging }
	DomainAddInput  struct{ Body NewDomain }
	DomainInput     struct {
		Name string `json:"name" path:"name"`
	}
	DomainSetInput struct {
		Name string `json:"name" path:"name"`
		Body DomainChange
	}
)

func domainOperations() []Operation {
	return []Operation{
		declare("domain-list", get, "/domains", reader, "List the domains", (*Service).domains),
		declare("domain-add", post, "/domains", administrator, "Receive mail for a domain", (*Service).addDomain),
		declare("domain-show", get, "/domains/{name}", reader, "Show a domain", (*Service).domain),
		declare("domain-set", patch, "/domains/{name}", administrator, "Change a domain", (*Service).setDomain),
		declare("domain-remove", remove, "/domains/{name}", administrator, "Remove a domain that has no addresses left", (*Service).removeDomain),
	}
}

func domainView(d store.DomainRow) Domain {
	return Domain{Name: d.Name, Unicode: mail.Unicode(d.Name), CatchAll: d.CatchAll.String(), Separator: d.Separator, Disabled: d.Disabled, Forwarding: choiceWord(d.Forwarding), Created: d.Created}
}

// apply puts the given fields into the row.
func (c DomainChange) apply(d *store.DomainRow) error {
	if c.CatchAll != nil {
		d.CatchAll = mail.Address{}
		if *c.CatchAll != "" {
			a, err := mail.ParseAddress(*c.CatchAll)
			if err != nil {
				return inField("catch_all", err)
			}
			d.CatchAll = a
		}
	}
	if c.Separator != nil {
		d.Separator = *c.Separator
	}
	if c.Disabled != nil {
		d.Disabled = *c.Disabled
	}
	return setChoice(&d.Forwarding, c.Forwarding)
}

func (s *Service) domains(ctx context.Context, in *DomainListInput) (Page[Domain], error) {
	rows, err := s.o.Directory.Domains(ctx)
	p := Page[Domain]{Items: []Domain{}}
	for _, d := range rows {
		if d.Name <= in.After {
			continue
		}
		if len(p.Items) == in.limit() {
			p.Next = p.Items[len(p.Items)-1].Name
			break
		}
		p.Items = append(p.Items, domainView(d))
	}
	return p, err
}

func (s *Service) domain(ctx context.Context, in *DomainInput) (Domain, error) {
	d, err := s.findDomain(ctx, in.Name)
	return domainView(d), err
}

func domainName(text string) (string, error) {
	name, err := mail.ParseDomain(text)
	if err != nil {
		return "", inField("name", fmt.Errorf("%q is not a domain name such as example.org", text))
	}
	return name, nil
}

func (s *Service) findDomain(ctx context.Context, text string) (store.DomainRow, error) {
	name, err := domainName(text)
	if err != nil {
		return store.DomainRow{}, err
	}
	return s.o.Directory.Domain(ctx, name)
}

func (s *Service) addDomain(ctx context.Context, in *DomainAddInput) (Domain, error) {
	name, err := domainName(in.Body.Name)
	if err != nil {
		return Domain{}, err
	}
	d := store.DomainRow{Name: name, Separator: "+", Created: time.Now()}
	if err := in.Body.apply(&d); err != nil {
		return Domain{}, err
	}
	if err := s.o.Directory.AddDomain(ctx, d); err != nil {
		return Domain{}, err
	}
	return domainView(d), nil
}

func (s *Service) setDomain(ctx context.Context, in *DomainSetInput) (None, error) {
	d, err := s.findDomain(ctx, in.Name)
	if err != nil {
		return None{}, err
	}
	if in.Body.CatchAll == nil && in.Body.Separator == nil && in.Body.Disabled == nil && in.Body.Forwarding == nil {
		return None{}, ErrNothing
	}
	return None{}, s.o.Directory.ChangeDomain(ctx, d.Name, in.Body.apply)
}

func (s *Service) removeDomain(ctx context.Context, in *DomainInput) (None, error) {
	d, err := s.findDomain(ctx, in.Name)
	if err != nil {
		return None{}, err
	}
	return None{}, s.o.Directory.RemoveDomain(ctx, d.Name)
}

package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

// RelayDomain is a domain whose mail is taken from everybody and handed on to
// its main server (M-REL-02).
type RelayDomain struct {
	Name    string `json:"name" doc:"What the rule is called"`
	Domain  string `json:"domain" doc:"Domain on the wire; with a dot before it, its subdomains"`
	Unicode string `json:"unicode" doc:"Domain as people read it"`
	RelayHost
	Recipients string    `json:"recipients" doc:"all, or listed: only those in the list exist"`
	Warning    string    `json:"warning,omitempty" doc:"What is risky about it"`
	Disabled   bool      `json:"disabled"`
	Created    time.Time `json:"created"`
}

// backscatter is the warning of M-REL-05.
const backscatter = "mail for any name is accepted; what the main server then refuses is bounced, mostly to forged senders. A list of recipients avoids that"

// NewRelayDomain is a relay domain to make.
type NewRelayDomain struct {
	Name   string `json:"name" doc:"What the rule is called" example:"branch office"`
	Domain string `json:"domain" doc:"Domain; with a dot before it, its subdomains" example:"example.org"`
	RelayDomainChange
}

// RelayDomainChange sets the fields that are given.
type RelayDomainChange struct {
	RelayHostChange
	Recipients     *string  `json:"recipients,omitempty" enum:"all,listed" doc:"Take mail for all names, or only for those in the list"`
	AddRecipients  []string `json:"add_recipients,omitempty" doc:"Addresses to add to the list"`
	DropRecipients []string `json:"drop_recipients,omitempty" doc:"Addresses to take off the list"`
	Disabled       *bool    `json:"disabled,omitempty" doc:"Take no mail from strangers for it for now; what is queued for it, and what users here send to it, waits in the queue until it is enabled or its time is over"`
}

// The inputs of the relay domain operations.
type (
	RelayDomainListInput struct{ Paging }
	RelayDomainAddInput  struct{ Body NewRelayDomain }
	RelayDomainInput     struct {
		Name string `json:"name" path:"name"`
	}
	RelayDomainSetInput struct {
		Name string `json:"name" path:"name"`
		Body RelayDomainChange
	}
	RelayRecipientsInput struct {
		Name string `json:"name" path:"name"`
		Paging
	}
)

func relayDomainOperations() []Operation {
	return []Operation{
		declare("relay-domain-list", get, "/relay/domains", reader, "List the relay domains", (*Service).relayDomains),
		declare("relay-domain-add", post, "/relay/domains", administrator, "Take mail for a domain and hand it on to its main server", (*Service).addRelayDomain),
		declare("relay-domain-show", get, "/relay/domains/{name}", reader, "Show a relay domain", (*Service).relayDomain),
		declare("relay-domain-set", patch, "/relay/domains/{name}", administrator, "Change a relay domain", (*Service).setRelayDomain),
		declare("relay-domain-remove", remove, "/relay/domains/{name}", administrator, "Remove a relay domain and its list of recipients; what is queued for it goes the way of any other domain, and is bounced where that leads back here", (*Service).removeRelayDomain),
		declare("relay-domain-recipients", get, "/relay/domains/{name}/recipients", reader, "List the recipients of a relay domain", (*Service).relayRecipients),
	}
}

func relayDomainView(d store.RelayDomain) RelayDomain {
	v := RelayDomain{Name: d.Name, Domain: d.Domain, Unicode: mail.Unicode(d.Domain), RelayHost: relayHostView(d.Next), Recipients: "listed",
		Disabled: d.Disabled, Created: d.Created}
	if !d.Listed {
		v.Recipients, v.Warning = "all", backscatter
	}
	return v
}

func (s *Service) relayDomains(ctx context.Context, in *RelayDomainListInput) (Page[RelayDomain], error) {
	rows, err := s.o.Directory.RelayDomains(ctx)
	p := Page[RelayDomain]{Items: []RelayDomain{}}
	for _, d := range rows {
		if d.Domain <= in.After {
			continue
		}
		if len(p.Items) == in.limit() {
			p.Next = p.Items[len(p.Items)-1].Domain
			break
		}
		p.Items = append(p.Items, relayDomainView(d))
	}
	return p, err
}

func (s *Service) relayDomain(ctx context.Context, in *RelayDomainInput) (RelayDomain, error) {
	d, err := s.o.Directory.RelayDomain(ctx, in.Name)
	return relayDomainView(d), err
}

func (s *Service) relayRecipients(ctx context.Context, in *RelayRecipientsInput) (Page[string], error) {
	p := Page[string]{Items: []string{}}
	d, err := s.o.Directory.RelayDomain(ctx, in.Name)
	if err != nil {
		return p, err
	}
	limit := in.limit()
	rows, err := s.o.Store.Directory().RelayRecipients(ctx, d.Name, in.After, limit)
	for _, a := range rows {
		p.Items = append(p.Items, a.String())
	}
	if len(rows) == limit {
		p.Next = p.Items[limit-1]
	}
	return p, err
}

// apply puts the given fields, but for the list, into a row.
func (c RelayDomainChange) apply(d *store.RelayDomain) error {
	if c.Disabled != nil {
		d.Disabled = *c.Disabled
	}
	switch {
	case c.Recipients == nil:
		d.Listed = d.Listed || len(c.AddRecipients) > 0
	case *c.Recipients == "all" || *c.Recipients == "listed":
		d.Listed = *c.Recipients == "listed"
	default:
		return inField("recipients", fmt.Errorf("%q is not one of all, listed", *c.Recipients))
	}
	if err := c.RelayHostChange.apply(&d.Next); err != nil {
		return err
	}
	return checkHost(&d.Next)
}

// changeList changes the recipients of a stored relay domain.
func (s *Service) changeList(ctx context.Context, d store.RelayDomain, c RelayDomainChange) error {
	if len(c.AddRecipients)+len(c.DropRecipients) == 0 {
		return nil
	}
	var lists [2][]mail.Address
	for i, texts := range [][]string{c.AddRecipients, c.DropRecipients} {
		for _, text := range texts {
			a, err := mail.ParseAddress(text)
			if err != nil {
				return inField([]string{"add_recipients", "drop_recipients"}[i], err)
			}
			lists[i] = append(lists[i], a)
		}
	}
	return s.o.Directory.ChangeRelayRecipients(ctx, d, lists[0], lists[1])
}

func (s *Service) addRelayDomain(ctx context.Context, in *RelayDomainAddInput) (RelayDomain, error) {
	rest, below := strings.CutPrefix(in.Body.Domain, ".")
	name, err := mail.ParseDomain(rest)
	if err != nil {
		return RelayDomain{}, inField("domain", fmt.Errorf("%q is not a domain name such as example.org, or .example.org for its subdomains", in.Body.Domain))
	}
	if below {
		name = "." + name
	}
	d := store.RelayDomain{Name: in.Body.Name, Domain: name, Created: time.Now()}
	if err := in.Body.apply(&d); err != nil {
		return RelayDomain{}, err
	}
	if len(in.Body.DropRecipients) > 0 {
		return RelayDomain{}, inField("drop_recipients", errors.New("a new list has nothing to drop"))
	}
	// Nobody is to be refused while the list is made.
	waiting := d
	waiting.Disabled = waiting.Disabled || len(in.Body.AddRecipients) > 0
	if err := s.o.Directory.AddRelayDomain(ctx, waiting); err != nil {
		return RelayDomain{}, err
	}
	if err := s.changeList(ctx, d, in.Body.RelayDomainChange); err != nil {
		return RelayDomain{}, errors.Join(err, s.o.Directory.RemoveRelayDomain(ctx, d.Name))
	}
	if waiting.Disabled == d.Disabled {
		return relayDomainView(d), nil
	}
	err = s.o.Directory.ChangeRelayDomain(ctx, d.Name, func(row *store.RelayDomain) error {
		row.Disabled = d.Disabled
		return nil
	})
	if err == nil {
		err = s.resume(ctx, d) // what came meanwhile
	}
	return relayDomainView(d), err
}

func (s *Service) setRelayDomain(ctx context.Context, in *RelayDomainSetInput) (None, error) {
	c := in.Body
	if c.RelayHostChange.empty() && c.Recipients == nil && c.Disabled == nil && slices.Concat(c.AddRecipients, c.DropRecipients) == nil {
		return None{}, ErrNothing
	}
	d, err := s.o.Directory.RelayDomain(ctx, in.Name)
	if err != nil {
		return None{}, err
	}
	if err := c.apply(&d); err != nil {
		return None{}, err
	}
	if err := s.changeList(ctx, d, c); err != nil { // first the list, then that it counts
		return None{}, err
	}
	enabled := false
	err = s.o.Directory.ChangeRelayDomain(ctx, d.Name, func(row *store.RelayDomain) error {
		waits := row.Disabled
		err := c.apply(row)
		enabled = waits && !row.Disabled
		return err
	})
	if err != nil || !enabled {
		return None{}, err
	}
	return None{}, s.resume(ctx, d)
}

func (s *Service) removeRelayDomain(ctx context.Context, in *RelayDomainInput) (None, error) {
	d, err := s.o.Directory.RelayDomain(ctx, in.Name)
	if err != nil {
		return None{}, err
	}
	if err := s.o.Directory.RemoveRelayDomain(ctx, d.Name); err != nil || !d.Disabled {
		return None{}, err
	}
	return None{}, s.resume(ctx, d)
}

// resume tries at once what has waited because a relay domain was disabled.
func (s *Service) resume(ctx context.Context, d store.RelayDomain) error {
	_, err := s.o.Store.Queue().Retry(ctx, store.QueueFilter{Destination: route.Suspended(d.Name).Key})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

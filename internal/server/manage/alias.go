package manage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/shell"
	"posthorn/internal/state/store"
)

// Alias is an address that leads to others; a group is one kept as a list of
// members, who may be allowed to send as the group.
type Alias struct {
	Address string    `json:"address"`
	Targets []string  `json:"targets" doc:"Addresses the mail goes to, or the group's members"`
	Group   bool      `json:"group"`
	Title   string    `json:"title"`
	SendAs  bool      `json:"send_as" doc:"Members may use the address as sender"`
	Created time.Time `json:"created"`
	// Dangling stands in answers about one, and in lists that are not too long.
	Dangling []Dangling `json:"dangling,omitempty" doc:"Targets that lead nowhere now and so get nothing"`
}

// NewAlias is an alias or group to make.
type NewAlias struct {
	Address string   `json:"address" example:"info@example.org"`
	Targets []string `json:"targets,omitempty" doc:"Addresses the mail goes to, or the group's members"`
	Title   string   `json:"title,omitempty" doc:"What it is for"`
	SendAs  bool     `json:"send_as,omitempty" doc:"Members may use the address as sender"`
}

// AliasChange sets the fields that are given.
type AliasChange struct {
	Targets *[]string `json:"targets,omitempty" doc:"All targets from now on"`
	Add     []string  `json:"add,omitempty" doc:"Targets to add"`
	Drop    []string  `json:"drop,omitempty" doc:"Targets to take away"`
	Title   *string   `json:"title,omitempty" doc:"What it is for"`
	SendAs  *bool     `json:"send_as,omitempty" doc:"Members may use the address as sender"`
}

// The inputs of the alias and group operations.
type (
	AliasAddInput struct{ Body NewAlias }
	AliasInput    struct {
		Address string `json:"address" path:"address"`
	}
	AliasSetInput struct {
		Address string `json:"address" path:"address"`
		Body    AliasChange
	}
	AliasListInput struct {
		Domain string `json:"domain" query:"domain" doc:"Only addresses in this domain"`
		Paging
	}
)

// aliasOperations are the same for aliases and groups.
func aliasOperations(noun, path string, group bool) []Operation {
	k := aliasKind{noun, group}
	return []Operation{
		declare(noun+"-list", get, path, reader, "List the "+noun+" addresses", k.list),
		declare(noun+"-add", post, path, administrator, "Add the "+noun, k.add),
		declare(noun+"-show", get, path+"/{address}", reader, "Show the "+noun, k.show),
		declare(noun+"-set", patch, path+"/{address}", administrator, "Change the "+noun, k.set),
		declare(noun+"-remove", remove, path+"/{address}", administrator, "Remove the "+noun, k.remove),
	}
}

// aliasKind is "alias" or "group".
type aliasKind struct {
	noun  string
	group bool
}

func aliasView(a store.AliasRow) Alias {
	v := Alias{Address: a.Address.String(), Group: a.Group, Title: a.Title, SendAs: a.SendAs, Created: a.Created, Targets: []string{}}
	for _, t := range a.Targets {
		v.Targets = append(v.Targets, t.String())
	}
	return v
}

func (k aliasKind) list(s *Service, ctx context.Context, in *AliasListInput) (Page[Alias], error) {
	limit, p, left := in.limit(), Page[Alias]{Items: []Alias{}}, maxChecked
	for after := in.After; len(p.Items) < limit; {
		rows, err := s.o.Store.Directory().ListAliases(ctx, in.Domain, after, limit)
		if err != nil {
			return p, err
		}
		for _, a := range rows {
			after = a.Address.Key()
			if a.Group == k.group && len(p.Items) < limit {
				v := aliasView(a)
				if left -= len(a.Targets); left >= 0 {
					if v.Dangling, err = s.dangling(ctx, a.Targets); err != nil {
						return p, err
					}
				}
				p.Items = append(p.Items, v)
			}
		}
		if len(rows) < limit {
			break
		}
	}
	if len(p.Items) == limit {
		p.Next = p.Items[limit-1].Address
	}
	return p, nil
}

func (k aliasKind) find(s *Service, ctx context.Context, text string) (store.AliasRow, error) {
	addr, err := mail.ParseAddress(text)
	if err != nil {
		return store.AliasRow{}, inField("address", err)
	}
	owner, err := s.o.Store.Directory().Owner(ctx, addr)
	if err != nil {
		return store.AliasRow{}, err
	}
	if owner.Alias == nil || owner.Alias.Group != k.group {
		return store.AliasRow{}, k.not(addr)
	}
	return *owner.Alias, nil
}

// not says that an address is something else.
func (k aliasKind) not(addr mail.Address) error {
	return said{fmt.Sprintf("address %s: it is no %s here", addr, k.noun), store.ErrNotFound}
}

func (k aliasKind) show(s *Service, ctx context.Context, in *AliasInput) (Alias, error) {
	a, err := k.find(s, ctx, in.Address)
	if err != nil {
		return Alias{}, err
	}
	v := aliasView(a)
	v.Dangling, err = s.dangling(ctx, a.Targets)
	return v, err
}

// apply puts the given fields into the row.
func (c AliasChange) apply(a *store.AliasRow) error {
	if c.Targets != nil {
		a.Targets = nil
		c.Add = append(*c.Targets, c.Add...)
	}
	drop := map[string]bool{}
	for _, text := range c.Drop {
		addr, err := mail.ParseAddress(text)
		if err != nil {
			return inField("drop", err)
		}
		if !slices.ContainsFunc(a.Targets, func(t mail.Address) bool { return t.Key() == addr.Key() }) {
			return inField("drop", fmt.Errorf("%s is not among the addresses of %s", addr, a.Address))
		}
		drop[addr.Key()] = true
	}
	var targets []mail.Address
	for _, t := range a.Targets {
		if !drop[t.Key()] {
			targets = append(targets, t)
			drop[t.Key()] = true // also from among those added
		}
	}
	for _, text := range c.Add {
		addr, err := mail.ParseAddress(text)
		if err != nil {
			return inField("targets", err)
		}
		if !drop[addr.Key()] {
			targets = append(targets, addr)
			drop[addr.Key()] = true
		}
	}
	a.Targets = targets
	if c.Title != nil {
		a.Title = *c.Title
	}
	if c.SendAs != nil {
		a.SendAs = *c.SendAs
	}
	return nil
}

func (k aliasKind) add(s *Service, ctx context.Context, in *AliasAddInput) (AliasSaved, error) {
	addr, err := mail.ParseAddress(in.Body.Address)
	if err != nil {
		return AliasSaved{}, inField("address", err)
	}
	a := store.AliasRow{Address: addr, Group: k.group, Created: time.Now()}
	b := in.Body
	if err := (AliasChange{Targets: &b.Targets, Title: &b.Title, SendAs: &b.SendAs}).apply(&a); err != nil {
		return AliasSaved{}, err
	}
	if err := s.o.Directory.AddAlias(ctx, a); err != nil {
		return AliasSaved{}, err
	}
	return k.saved(s, ctx, a)
}

func (k aliasKind) set(s *Service, ctx context.Context, in *AliasSetInput) (AliasSaved, error) {
	a, err := k.find(s, ctx, in.Address)
	if err != nil {
		return AliasSaved{}, err
	}
	c := in.Body
	if c.Targets == nil && len(c.Add)+len(c.Drop) == 0 && c.Title == nil && c.SendAs == nil {
		return AliasSaved{}, ErrNothing
	}
	err = s.o.Directory.ChangeAlias(ctx, a.Address, func(row *store.AliasRow) error {
		if row.Group != k.group {
			return k.not(row.Address)
		}
		if err := c.apply(row); err != nil {
			return err
		}
		if !k.group && len(row.Targets) == 0 {
			return inField("drop", fmt.Errorf("an alias leads somewhere; remove it instead (posthorn alias remove %s)", shell.Word(row.Address.String())))
		}
		a = *row
		return nil
	})
	if err != nil {
		return AliasSaved{}, err
	}
	return k.saved(s, ctx, a)
}

func (k aliasKind) remove(s *Service, ctx context.Context, in *AliasInput) (done Removed, err error) {
	a, err := k.find(s, ctx, in.Address)
	if err != nil {
		return done, err
	}
	if err := s.o.Directory.RemoveAlias(ctx, a.Address); err != nil {
		return done, err
	}
	done.Warnings, err = s.pointing(ctx, []mail.Address{a.Address})
	return done, err
}

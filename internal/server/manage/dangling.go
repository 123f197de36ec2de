package manage

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/shell"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// Dangling is an address that mail is to go to and that leads nowhere now.
type Dangling struct {
	Address string `json:"address"`
	Why     string `json:"why"`
}

// maxChecked bounds the targets of a page of a list that are looked up.
const maxChecked = 2000

// dangling finds the targets that lead nowhere. They are allowed, because
// people set addresses up in any order, but not passed over in silence.
func (s *Service) dangling(ctx context.Context, targets []mail.Address) ([]Dangling, error) {
	var list []Dangling
	for _, t := range targets {
		r, err := s.o.Directory.Resolve(ctx, t)
		why := ""
		switch {
		case errors.Is(err, directory.ErrExpansion):
			why = err.Error()
		case err != nil:
			return nil, err
		case r.Kind == directory.Disabled:
			why = "its account is disabled"
		case r.Kind == directory.DomainDisabled:
			why = "its domain is disabled"
		case r.Kind == directory.Unknown && r.Alias != nil:
			why = "it is an alias or a group that leads nowhere, or back to itself"
		case r.Kind == directory.Unknown:
			why = "nobody has this address"
		default:
			continue
		}
		list = append(list, Dangling{t.String(), why})
	}
	return list, nil
}

// saved is what was saved of an alias, and what may surprise about it.
func (k aliasKind) saved(s *Service, ctx context.Context, a store.AliasRow) (AliasSaved, error) {
	out := AliasSaved{Alias: aliasView(a)}
	var err error
	if out.Dangling, err = s.dangling(ctx, a.Targets); err != nil {
		return out, err
	}
	for _, d := range out.Dangling {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s gets nothing of it: %s", d.Address, d.Why))
	}
	if len(out.Dangling) == len(a.Targets) {
		out.Warnings = append(out.Warnings, fmt.Sprintf("mail for %s is refused (550), until there is somebody it leads to", a.Address))
	}
	return out, nil
}

// pointing warns of aliases, groups and catch-alls that lead to addresses that
// are gone.
func (s *Service) pointing(ctx context.Context, gone []mail.Address) ([]string, error) {
	var list []string
	lost := map[string]bool{}
	for _, a := range gone {
		lost[a.Key()] = true
	}
	const page = 1000
	for after := ""; ; {
		rows, err := s.o.Store.Directory().ListAliases(ctx, "", after, page)
		if err != nil {
			return nil, err
		}
		for _, a := range rows {
			after = a.Address.Key()
			noun := map[bool]string{true: "group", false: "alias"}[a.Group]
			for _, t := range a.Targets {
				if lost[t.Key()] {
					list = append(list, fmt.Sprintf("the %s %s still leads to %s (posthorn %[1]s set %[4]s --drop %[5]s)", noun, a.Address, t, shell.Word(a.Address.String()), shell.Word(t.String())))
				}
			}
		}
		if len(rows) < page {
			break
		}
	}
	domains, err := s.o.Directory.Domains(ctx)
	for _, d := range domains {
		if lost[d.CatchAll.Key()] && !d.CatchAll.IsNull() {
			list = append(list, fmt.Sprintf("mail for unknown names of %s still goes to %s (posthorn domain set %s --catch-all ADDRESS)", d.Name, d.CatchAll, shell.Word(d.Name)))
		}
	}
	return list, err
}

// AliasSaved is an alias or group as it was saved.
type AliasSaved struct {
	Alias
	Warnings []string `json:"warnings,omitempty" doc:"What is allowed and may still be a mistake"`
}

// Removed says what the removal of an address leaves behind.
type Removed struct {
	Warnings []string `json:"warnings,omitempty" doc:"What still leads to the address that is gone"`
}

package policy

import (
	"net/netip"
	"slices"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/access"
)

// Proposal is a change of the allow and block lists that nobody has saved: rules
// that are added, and others that are not there. It is for one goroutine; nil
// changes nothing.
type Proposal struct {
	added   *access.Table
	without map[string]bool // folded names, and whether such a rule was met
}

// NewProposal returns a change of the lists.
func NewProposal(added []*access.Rule, without []string) *Proposal {
	p := &Proposal{added: access.NewTable(added), without: map[string]bool{}}
	for _, name := range without {
		p.without[strings.ToLower(name)] = false
	}
	return p
}

// Met reports that a rule of the name would have been looked at.
func (p *Proposal) Met(name string) bool { return p.without[strings.ToLower(name)] }

// Over returns the lists with the change; nil lists have no rules.
func (p *Proposal) Over(lists Access) Access {
	if p == nil {
		return lists
	}
	return proposed{p, lists}
}

// proposed are lists with a change. What is only tried counts no hit.
type proposed struct {
	*Proposal
	lists Access
}

// Client implements Access.
func (p proposed) Client(ip netip.Addr) (rules []*access.Rule) {
	if p.lists != nil {
		rules = p.lists.Client(ip)
	}
	return p.mix(rules, p.added.Client(ip), func(t *access.Table) []*access.Rule { return t.Client(ip) })
}

// Sender implements Access.
func (p proposed) Sender(a mail.Address) (rules []*access.Rule) {
	if p.lists != nil {
		rules = p.lists.Sender(a)
	}
	return p.mix(rules, p.added.Sender(a), func(t *access.Table) []*access.Rule { return t.Sender(a) })
}

// Recipient implements Access.
func (p proposed) Recipient(a mail.Address) (rules []*access.Rule) {
	if p.lists != nil {
		rules = p.lists.Recipient(a)
	}
	return p.mix(rules, p.added.Recipient(a), func(t *access.Table) []*access.Rule { return t.Recipient(a) })
}

// Hit implements Access.
func (proposed) Hit(*access.Rule) {}

// mix takes rules away and puts others to them, in the order in which one list
// would find them.
func (p proposed) mix(have, added []*access.Rule, find func(*access.Table) []*access.Rule) []*access.Rule {
	kept := have
	if slices.ContainsFunc(have, p.gone) {
		kept = slices.DeleteFunc(slices.Clone(have), p.gone)
	}
	if len(added) == 0 || len(kept) == 0 {
		return append(kept[:len(kept):len(kept)], added...)
	}
	return find(access.NewTable(slices.Concat(kept, added)))
}

func (p proposed) gone(r *access.Rule) bool {
	name := strings.ToLower(r.Name)
	_, gone := p.without[name]
	if gone {
		p.without[name] = true
	}
	return gone
}

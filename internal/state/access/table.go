package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Table is a set of rules in indexes. It does not change and may be used by many
// goroutines; neither may what it returns be changed.
type Table struct {
	rules     []*Rule
	clients   map[netip.Addr][]*Rule
	networks  map[netip.Prefix][]*Rule
	masks     map[masked][]*Rule
	senders   map[person][]*Rule
	receivers map[person][]*Rule
	domains   map[string][]*Rule
	// lengths and shapes are the masks in use, the longest first.
	lengths []length
	shapes  []uint32
	version int64
	unread  error
}

// person is a mail address in the form it is compared in; building it allocates
// nothing when the local part is in lower case already.
type person struct{ local, domain string }

func personOf(a mail.Address) person { return person{mail.FoldLocal(a.Local), a.Domain} }

// length is a family and a length of prefixes.
type length struct {
	v6   bool
	bits int
}

// NewTable indexes rules. Those of one index entry keep their order.
func NewTable(rules []*Rule) *Table {
	t := &Table{rules: rules, clients: map[netip.Addr][]*Rule{}, networks: map[netip.Prefix][]*Rule{}, masks: map[masked][]*Rule{},
		senders: map[person][]*Rule{}, receivers: map[person][]*Rule{}, domains: map[string][]*Rule{}}
	for _, r := range rules {
		t.add(r)
	}
	slices.SortFunc(t.lengths, func(a, b length) int { return cmp.Compare(b.bits, a.bits) })
	slices.SortFunc(t.shapes, func(a, b uint32) int { return cmp.Compare(b, a) })
	return t
}

func (t *Table) add(r *Rule) {
	switch {
	case r.Kind == IP:
		put(t.clients, r.client, r)
	case r.Kind == Network && !r.masked.isZero():
		put(t.masks, r.masked, r)
		if !slices.Contains(t.shapes, r.masked.mask) {
			t.shapes = append(t.shapes, r.masked.mask)
		}
	case r.Kind == Network:
		put(t.networks, r.network, r)
		if l := (length{r.network.Addr().Is6(), r.network.Bits()}); !slices.Contains(t.lengths, l) {
			t.lengths = append(t.lengths, l)
		}
	case r.Kind == Sender:
		put(t.senders, personOf(r.address), r)
	case r.Kind == Recipient:
		put(t.receivers, personOf(r.address), r)
	case r.Kind == Domain:
		put(t.domains, r.Value, r)
	}
}

// put keeps lists without spare room: whoever appends to one gets a copy.
func put[K comparable](m map[K][]*Rule, key K, r *Rule) {
	m[key] = slices.Clip(append(m[key], r))
}

// Load reads the live rules. Rows that no version of this program would have
// written are left out; Unread tells which.
func Load(ctx context.Context, s store.Access, now time.Time) (*Table, error) {
	rows, version, err := s.All(ctx, now)
	if err != nil {
		return nil, err
	}
	rules, unread := make([]*Rule, 0, len(rows)), []error(nil)
	for _, row := range rows {
		r, err := New(row)
		if err != nil {
			unread = append(unread, fmt.Errorf("rule %q is not in force: %w", row.Name, err))
			continue
		}
		rules = append(rules, r)
	}
	t := NewTable(rules)
	t.version, t.unread = version, errors.Join(unread...)
	return t, nil
}

// Unread says which stored rules could not be read, nil for none.
func (t *Table) Unread() error { return t.unread }

// Len returns the number of rules.
func (t *Table) Len() int { return len(t.rules) }

// Client returns the rules by the client's address: exact ones first, then by
// network, the longest prefix first, then by other masks.
func (t *Table) Client(ip netip.Addr) []*Rule {
	ip = ip.Unmap()
	if ip.Zone() != "" {
		ip = ip.WithZone("")
	}
	found := t.clients[ip]
	for _, l := range t.lengths {
		if !ip.IsValid() || l.v6 != ip.Is6() {
			continue
		}
		if p, err := ip.Prefix(l.bits); err == nil {
			found = join(found, t.networks[p])
		}
	}
	if ip.Is4() {
		n := number(ip)
		for _, mask := range t.shapes {
			found = join(found, t.masks[masked{n & mask, mask}])
		}
	}
	return found
}

// Sender returns the rules by sender, then those by its domain, then those by
// the domains above it. The null sender matches none (M-SEC-BW-04).
func (t *Table) Sender(a mail.Address) []*Rule {
	if a.Domain == "" {
		return nil
	}
	var found []*Rule
	if len(t.senders) > 0 {
		found = t.senders[personOf(a)]
	}
	if len(t.domains) == 0 {
		return found
	}
	found = join(found, t.domains[a.Domain])
	for i := 1; i < len(a.Domain); i++ { // not the domain itself
		if a.Domain[i] == '.' {
			found = join(found, t.domains[a.Domain[i:]])
		}
	}
	return found
}

// Recipient returns the rules by recipient.
func (t *Table) Recipient(a mail.Address) []*Rule {
	if a.Domain == "" || len(t.receivers) == 0 {
		return nil
	}
	return t.receivers[personOf(a)]
}

// join allocates only when there is something on both sides.
func join(a, b []*Rule) []*Rule {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return append(a, b...) // lists have no spare room: put
}

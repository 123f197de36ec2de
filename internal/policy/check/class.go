package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
)

// Classes says to which connection class a client belongs (B1G-CLS). Who is
// named by no rule is untrusted.
type Classes struct {
	// Subnets give clients of a network a class: untrusted, trusted, dial-up,
	// reject, no-greylisting or no-greylisting-no-ban; each is written as
	// NETWORK=CLASS, such as 192.0.2.0/24=dial-up. Of several networks that
	// match, the longest prefix decides (B1G-NET).
	Subnets []SubnetRule `default:""`
	// Lists give clients that a DNS list names a class, when no subnet rule
	// matches. Each is written as ZONE=CLASS, or ZONE=CLASS:ipv4 or ZONE=CLASS:ipv6
	// to ask about such addresses only, as in zen.example.net=reject:ipv4; the
	// first list that names the client decides (B1G-BL).
	Lists []ListRule `default:""`
	// PublicTrusted confirms that connection class "trusted" may be given to
	// clients on the internet: to public networks, and by DNS lists. The class
	// lifts every check and limit, so without this confirmation such rules are
	// refused.
	PublicTrusted bool `default:"false"`
}

// SubnetRule is one subnet rule.
type SubnetRule struct {
	Network netip.Prefix
	Class   policy.Class
}

// SettingForm implements setting.Former.
func (SubnetRule) SettingForm() string { return "NETWORK=CLASS, such as 192.0.2.0/24=dial-up" }

// MarshalText implements encoding.TextMarshaler.
func (r SubnetRule) MarshalText() ([]byte, error) {
	return []byte(r.Network.String() + "=" + r.Class.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *SubnetRule) UnmarshalText(b []byte) error {
	words := ruleWords(b)
	if len(words) != 2 {
		return fmt.Errorf("%q is no subnet rule; write NETWORK=CLASS, such as 192.0.2.0/24=dial-up", b)
	}
	var err error
	if r.Network, err = setting.ParseNetwork(words[0]); err != nil {
		return err
	}
	return r.Class.UnmarshalText([]byte(words[1]))
}

// ruleWords takes NAME=VALUE and NAME=VALUE:DETAIL apart; spaces may stand for
// the signs.
func ruleWords(b []byte) []string {
	name, rest, ok := strings.Cut(string(b), "=")
	if !ok {
		return strings.Fields(name)
	}
	return strings.Fields(name + " " + strings.Replace(rest, ":", " ", 1))
}

// Family is which addresses a DNS list is asked about.
type Family uint8

// The families.
const (
	Both Family = iota
	IPv4
	IPv6
)

var familyNames = [...]string{"both", "ipv4", "ipv6"}

// has reports that the address belongs to the family.
func (f Family) has(ip netip.Addr) bool {
	return f == Both || (f == IPv4) == ip.Unmap().Is4()
}

// ListRule is one DNSBL rule (B1G-BL-01).
type ListRule struct {
	Zone   string
	Class  policy.Class
	Family Family
}

// SettingForm implements setting.Former.
func (ListRule) SettingForm() string {
	return "ZONE=CLASS, ZONE=CLASS:ipv4 or ZONE=CLASS:ipv6, such as zen.example.net=reject:ipv4"
}

// MarshalText implements encoding.TextMarshaler.
func (r ListRule) MarshalText() ([]byte, error) {
	text := r.Zone + "=" + r.Class.String()
	if r.Family != Both {
		text += ":" + familyNames[r.Family]
	}
	return []byte(text), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *ListRule) UnmarshalText(b []byte) error {
	words := ruleWords(b)
	if len(words) < 2 || len(words) > 3 {
		return fmt.Errorf("%q is no list rule; write ZONE=CLASS or ZONE=CLASS:ipv4|ipv6|both, such as zen.example.net=reject:ipv4", b)
	}
	zone, err := mail.ParseDomain(words[0])
	if err != nil {
		return fmt.Errorf("zone of a DNS list: %w", err)
	}
	*r = ListRule{Zone: zone}
	if len(words) == 3 {
		i := slices.Index(familyNames[:], words[2])
		if i < 0 {
			return fmt.Errorf("%q is no family; write ipv4, ipv6 or both", words[2])
		}
		r.Family = Family(i)
	}
	return r.Class.UnmarshalText([]byte(words[1]))
}

// Bounds of the tables, which are asked for every connection.
const (
	maxSubnets = 10_000
	maxLists   = 50
)

// Validate refuses tables that contradict themselves or trust the world.
func (c *Classes) Validate() error {
	var errs []error
	if len(c.Subnets) > maxSubnets {
		errs = append(errs, fmt.Errorf("policy.classes.subnets: %d rules; at most %d", len(c.Subnets), maxSubnets))
	}
	seen := map[netip.Prefix]policy.Class{}
	for _, r := range c.Subnets {
		if other, ok := seen[r.Network]; ok {
			errs = append(errs, fmt.Errorf("policy.classes.subnets: %s is there twice, as %s and %s; keep one", r.Network, other, r.Class))
		}
		seen[r.Network] = r.Class
		if r.Class != policy.ClassTrusted {
			continue
		}
		switch {
		case r.Network.Bits() == 0:
			errs = append(errs, fmt.Errorf("policy.classes.subnets: %s would trust everybody", r.Network))
		case !c.PublicTrusted && !Private(r.Network):
			errs = append(errs, fmt.Errorf("policy.classes.subnets: %s is no private network, and class trusted lifts every check; if its hosts are really yours, set policy.classes.public_trusted", r.Network))
		}
	}
	if len(c.Lists) > maxLists {
		errs = append(errs, fmt.Errorf("policy.classes.lists: %d lists; at most %d", len(c.Lists), maxLists))
	}
	for i, r := range c.Lists {
		if r.Class == policy.ClassTrusted && !c.PublicTrusted {
			errs = append(errs, fmt.Errorf("policy.classes.lists: %s would give whoever it names class trusted, which lifts every check; to do so all the same, set policy.classes.public_trusted", r.Zone))
		}
		if slices.ContainsFunc(c.Lists[:i], func(o ListRule) bool { return o.Zone == r.Zone && (o.Family == r.Family || o.Family == Both) }) {
			errs = append(errs, fmt.Errorf("policy.classes.lists: %s is there twice; keep one", r.Zone))
		}
	}
	return errors.Join(errs...)
}

// classifier says what a client is. It is made once for each change of the
// settings.
type classifier struct {
	s     *Settings
	local []netip.Prefix
	// subnets are the rules by length of their prefix, the longest first.
	subnets []map[netip.Prefix]policy.Class
	lengths []length
}

// length is a family and a length of prefixes.
type length struct {
	v6   bool
	bits int
}

func (s *Settings) classifier(machine []netip.Prefix) *classifier {
	c := &classifier{s: s, local: s.Trust.Networks(machine)}
	tables := map[length]map[netip.Prefix]policy.Class{}
	for _, r := range s.Classes.Subnets {
		l := length{r.Network.Addr().Is6(), r.Network.Bits()}
		if tables[l] == nil {
			tables[l] = map[netip.Prefix]policy.Class{}
			c.lengths = append(c.lengths, l)
		}
		tables[l][r.Network.Masked()] = r.Class
	}
	slices.SortFunc(c.lengths, func(a, b length) int { return cmp.Compare(b.bits, a.bits) })
	for _, l := range c.lengths {
		c.subnets = append(c.subnets, tables[l])
	}
	return c
}

// subnet returns the rule with the longest prefix (B1G-NET-02).
func (c *classifier) subnet(client netip.Addr) (SubnetRule, bool) {
	client = client.Unmap()
	if !client.IsValid() {
		return SubnetRule{}, false
	}
	for i, l := range c.lengths {
		if l.v6 != client.Is6() {
			continue
		}
		p, err := client.WithZone("").Prefix(l.bits)
		if err != nil {
			continue
		}
		if class, ok := c.subnets[i][p]; ok {
			return SubnetRule{p, class}, true
		}
	}
	return SubnetRule{}, false
}

// classify says what a client is before it has said a word (requirements.md
// 1.0): the listener makes submission, the address makes trust and class. A
// client of the trusted list still logs in on a submission port; one of the
// local networks, or of class trusted, need not (M-GEN-02, B1G-CLS-02).
func (c *classifier) classify(f *policy.Facts) {
	f.Class, f.ClassBy = policy.ClassUntrusted, ""
	f.Trust = c.s.Trust.of(f.Client, c.local)
	if r, ok := c.subnet(f.Client); ok {
		f.Class, f.ClassBy = r.Class, "subnet rule "+r.Network.String()
	}
	become(f)
}

// become sets trust and kind after the class is known.
func become(f *policy.Facts) {
	if f.Class == policy.ClassTrusted {
		f.Trust = policy.TrustedClass
	}
	submission := f.Listener == "submission" || f.Listener == "submissions"
	switch {
	case f.Trust >= policy.LocalNetwork, f.Trust != policy.Untrusted && !submission:
		f.Kind = policy.Trusted
	case submission:
		f.Kind = policy.Submission
	default:
		f.Kind = policy.MX
	}
}

// listed gives a client the class of the first DNS list that names it. All are
// asked at once; an allow rule that lifts the test of DNS lists lifts this too
// (B1G-BL-03).
func (c *classifier) listed(ctx context.Context, f *policy.Facts) {
	c.s.Names.prefetch(ctx, f)
	if f.ClassBy != "" || f.Trust != policy.Untrusted || Private(netip.PrefixFrom(f.Client.Unmap(), f.Client.Unmap().BitLen())) || f.Lifted(ctx, policy.TestDNSBL) != "" {
		return
	}
	var rules []ListRule
	for _, r := range c.s.Classes.Lists {
		if r.Family.has(f.Client) {
			rules = append(rules, r)
		}
	}
	if len(rules) == 0 {
		return
	}
	zones := make([]string, len(rules))
	for i, r := range rules {
		zones[i] = r.Zone
	}
	for i, l := range f.ListedBy(ctx, zones) {
		if l.Finding == policy.Found {
			f.Class, f.ClassBy = rules[i].Class, "DNS list "+rules[i].Zone
			become(f)
			return
		}
	}
}

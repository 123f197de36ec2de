package access

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// made makes a rule that can be.
func made(t interface {
	Helper()
	Fatal(...any)
}, kind Kind, value string, change func(*store.AccessRow)) *Rule {
	t.Helper()
	row := store.AccessRow{Name: value, Kind: string(kind), Value: value}
	if change != nil {
		change(&row)
	}
	r, err := New(row)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func names(rules []*Rule) string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func address(t testing.TB, text string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// M-SEC-BW-02, M-SEC-BW-03: the example of the source document among them.
func TestClientsMatchByAddressNetworkAndMask(t *testing.T) {
	t.Parallel()
	var rules []*Rule
	for _, value := range []string{"192.0.0.0/8", "192.0.2.0/24", "192.163.1.1/255.100.10.1", "2001:db8::/32"} {
		rules = append(rules, made(t, Network, value, nil))
	}
	rules = append(rules, made(t, IP, "192.0.2.7", nil), made(t, IP, "2001:db8::7", nil))
	table := NewTable(rules)
	for client, want := range map[string]string{
		"192.0.2.7":        "192.0.2.7 192.0.2.0/24 192.0.0.0/8",
		"::ffff:192.0.2.7": "192.0.2.7 192.0.2.0/24 192.0.0.0/8",
		"192.0.2.8":        "192.0.2.0/24 192.0.0.0/8",
		"192.163.1.1":      "192.0.0.0/8 192.163.1.1/255.100.10.1",
		"192.59.5.3":       "192.0.0.0/8 192.163.1.1/255.100.10.1", // 59 & 100 = 32, 5 & 10 = 0, 3 & 1 = 1
		"192.59.5.2":       "192.0.0.0/8",
		"192.59.8.3":       "192.0.0.0/8",
		"2001:db8::7":      "2001:db8::7 2001:db8::/32",
		"2001:db8::7%eth0": "2001:db8::7 2001:db8::/32",
		"203.0.113.1":      "",
	} {
		if got := names(table.Client(netip.MustParseAddr(client))); got != want {
			t.Errorf("%s: %q, want %q", client, got, want)
		}
	}
	if got := table.Client(netip.Addr{}); got != nil {
		t.Errorf("no address at all: %v", got)
	}
}

// M-SEC-BW-04..06.
func TestSendersMatchByAddressAndDomain(t *testing.T) {
	t.Parallel()
	table := NewTable([]*Rule{
		made(t, Sender, "Eve@Away.test", nil), made(t, Domain, "away.test", nil), made(t, Domain, ".away.test", nil), made(t, Domain, ".test", nil),
		made(t, Domain, "bücher.test", nil), made(t, Recipient, "info@ours.test", nil),
	})
	for sender, want := range map[string]string{
		"EVE@away.TEST":     "Eve@Away.test away.test .test",
		"adam@away.test":    "away.test .test",
		"eve@sub.away.test": ".away.test .test",
		"eve@far-away.test": ".test",
		"a@Bücher.test":     "bücher.test .test",
		"info@ours.test":    ".test",
		"eve@test":          "",
		"eve@[192.0.2.1]":   "",
	} {
		if got := names(table.Sender(address(t, sender))); got != want {
			t.Errorf("%s: %q, want %q", sender, got, want)
		}
	}
	if table.Sender(mail.Address{}) != nil || table.Recipient(mail.Address{Local: "postmaster"}) != nil {
		t.Error("the null sender or the bare postmaster matches")
	}
	if got := names(table.Recipient(address(t, "Info@OURS.test"))); got != "info@ours.test" {
		t.Errorf("recipient: %q", got)
	}
}

// Whoever appends to an answer must not change another's.
func TestAnswersCanBeAppendedTo(t *testing.T) {
	t.Parallel()
	var rules []*Rule
	for i := range 5 {
		rules = append(rules, made(t, IP, "192.0.2.1", func(r *store.AccessRow) { r.Name = fmt.Sprint(i) }))
	}
	table := NewTable(rules)
	ip := netip.MustParseAddr("192.0.2.1")
	a, b := append(table.Client(ip), rules[0]), append(table.Client(ip), rules[1])
	if names(a) != "0 1 2 3 4 0" || names(b) != "0 1 2 3 4 1" {
		t.Errorf("%q and %q", names(a), names(b))
	}
}

// naive says whether a rule matches, by the words of the requirement.
func naive(r *Rule, client netip.Addr, sender, recipient mail.Address) bool {
	host, mask, _ := strings.Cut(r.Value, "/")
	same := func(a mail.Address) bool { return strings.EqualFold(a.String(), r.Value) }
	switch {
	case r.Kind == IP:
		return client.String() == r.Value
	case r.Kind == Network && strings.Contains(mask, "."):
		if !client.Is4() {
			return false
		}
		a, b, m := netip.MustParseAddr(host).As4(), client.As4(), netip.MustParseAddr(mask).As4()
		for i := range m {
			if a[i]&m[i] != b[i]&m[i] {
				return false
			}
		}
		return true
	case r.Kind == Network:
		return netip.MustParsePrefix(r.Value).Contains(client)
	case r.Kind == Sender:
		return same(sender)
	case r.Kind == Recipient:
		return same(recipient)
	case strings.HasPrefix(r.Value, "."):
		return strings.HasSuffix(sender.Domain, r.Value)
	}
	return sender.Domain == r.Value
}

// The indexes find what looking at every rule finds.
func TestIndexesAgreeWithLookingAtEveryRule(t *testing.T) {
	t.Parallel()
	// A small world, so that rules meet.
	octet := rapid.SampledFrom([]byte{0, 1, 10, 100, 163, 192, 255})
	four := rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte{octet.Draw(t, "a"), octet.Draw(t, "b"), octet.Draw(t, "c"), octet.Draw(t, "d")})
	})
	client := rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "v4") {
			return four.Draw(t, "v4")
		}
		return netip.AddrFrom16([16]byte{0x20, 1, octet.Draw(t, "a"), 15: octet.Draw(t, "b")})
	})
	domain := rapid.SampledFrom([]string{"a.test", "b.a.test", "c.b.a.test", "test", "xa.test"})
	person := rapid.Custom(func(t *rapid.T) mail.Address {
		return mail.Address{Local: rapid.SampledFrom([]string{"eve", "Eve", "a b", "ö"}).Draw(t, "local"), Domain: domain.Draw(t, "domain")}
	})
	value := func(t *rapid.T, kind Kind) string {
		switch kind {
		case IP:
			return client.Draw(t, "client").String()
		case Network:
			ip := client.Draw(t, "network")
			if ip.Is4() && rapid.Bool().Draw(t, "any mask") {
				return ip.String() + "/" + four.Filter(func(m netip.Addr) bool { return m != netip.IPv4Unspecified() }).Draw(t, "mask").String()
			}
			return fmt.Sprintf("%s/%d", ip, rapid.IntRange(1, ip.BitLen()).Draw(t, "bits"))
		case Sender, Recipient:
			return person.Draw(t, "person").String()
		}
		return rapid.SampledFrom([]string{"", "."}).Draw(t, "below") + domain.Draw(t, "domain")
	}
	rapid.Check(t, func(t *rapid.T) {
		var rules []*Rule
		for i := range rapid.IntRange(0, 30).Draw(t, "rules") {
			kind := rapid.SampledFrom(Kinds()).Draw(t, "kind")
			rules = append(rules, made(t, kind, value(t, kind), func(r *store.AccessRow) { r.Name = fmt.Sprint(i) }))
		}
		table := NewTable(rules)
		for range 20 {
			c, s, r := client.Draw(t, "client"), person.Draw(t, "sender"), person.Draw(t, "recipient")
			got := slices.Concat(table.Client(c), table.Sender(s), table.Recipient(r))
			var want []*Rule
			for _, one := range rules {
				if naive(one, c, s, r) {
					want = append(want, one)
				}
			}
			byName := func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) }
			slices.SortFunc(got, byName)
			slices.SortFunc(want, byName)
			if names(got) != names(want) {
				t.Fatalf("%s %s %s: %q, want %q", c, s, r, names(got), names(want))
			}
		}
		conflicts(t, rules, client)
	})
}

// conflicts compares overlaps of rules by client with clients that both match.
func conflicts(t *rapid.T, rules []*Rule, clients *rapid.Generator[netip.Addr]) {
	for _, a := range rules {
		for _, b := range rules {
			if a.overlaps(b) != b.overlaps(a) {
				t.Fatalf("%s %s overlaps %s %s one way only", a.Kind, a.Value, b.Kind, b.Value)
			}
			c := clients.Draw(t, "shared")
			if a.byClient() && b.byClient() && naive(a, c, mail.Address{}, mail.Address{}) && naive(b, c, mail.Address{}, mail.Address{}) && !a.overlaps(b) {
				t.Fatalf("%s matches %s and %s, which do not overlap", c, a.Value, b.Value)
			}
		}
	}
}

// M-SEC-BW-03, M-SEC-BW-09, M-SEC-BW-11.
func TestWarningsSayWhatOneMayNotExpect(t *testing.T) {
	t.Parallel()
	now := time.Now()
	block := func(r *store.AccessRow) { r.Block = true }
	ended := func(r *store.AccessRow) { r.Block, r.Name, r.Expires = true, "old", now.Add(-time.Second) }
	table := NewTable([]*Rule{
		made(t, Network, "192.0.2.0/24", block), made(t, Network, "192.0.2.0/24", ended), made(t, Network, "192.163.1.1/255.100.10.1", block),
		made(t, Network, "2001:db8::/32", block), made(t, Sender, "eve@sub.away.test", block), made(t, Recipient, "info@ours.test", block),
		made(t, IP, "198.51.100.1", nil),
	})
	for _, c := range []struct {
		rule *Rule
		want []string // of each warning
	}{
		{made(t, IP, "192.0.2.7", nil), []string{`the block rule "192.0.2.0/24" (network 192.0.2.0/24): where both match, the allow rule wins`}},
		{made(t, IP, "203.0.113.7", nil), nil},
		{made(t, IP, "192.59.5.3", nil), []string{"192.163.1.1/255.100.10.1"}},
		{made(t, Network, "192.0.2.7/32", nil), []string{"still scanned for viruses", "overlaps"}},
		{made(t, Network, "192.0.2.7/32", block), nil},
		{made(t, Network, "198.51.0.0/16", block), []string{`allow rule "198.51.100.1"`}},
		{made(t, Network, "10.0.0.1/255.0.0.1", nil), []string{"has gaps"}},
		{made(t, IP, "2001:db8::1", nil), []string{"2001:db8::/32"}},
		{made(t, Network, "2001::/16", nil), []string{"2001:db8::/32"}},
		{made(t, Domain, ".away.test", nil), []string{"Anybody can write", "eve@sub.away.test"}},
		{made(t, Domain, "away.test", func(r *store.AccessRow) { r.Authenticated = true }), nil},
		{made(t, Domain, "sub.away.test", func(r *store.AccessRow) { r.Authenticated = true }), []string{"overlaps"}},
		{made(t, Sender, "eve@sub.away.test", func(r *store.AccessRow) { r.Name = "x" }), []string{"Anybody can write", "overlaps"}},
		{made(t, Recipient, "info@ours.test", func(r *store.AccessRow) { r.Name = "y" }), []string{"overlaps"}},
		{made(t, Sender, "info@ours.test", func(r *store.AccessRow) { r.Authenticated = true }), nil},
	} {
		got := table.Warnings(c.rule, now)
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.Contains(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q", c.rule.Describe(), got)
		}
	}
	many := make([]*Rule, 10)
	for i := range many {
		many[i] = made(t, IP, fmt.Sprintf("192.0.2.%d", i), block)
	}
	if got := NewTable(many).Warnings(made(t, Network, "192.0.2.0/24", nil), now); len(got) != 1 || !strings.Contains(got[0], "and 7 more") {
		t.Errorf("many conflicts: %q", got)
	}
}

// crowd is as many rules as there may be.
func crowd(t testing.TB) *Table {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	rules := make([]*Rule, Most)
	for i := range rules {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], r.Uint32())
		row := store.AccessRow{Name: fmt.Sprint(i), Block: true, Kind: "ip", Value: netip.AddrFrom4(ip).String()}
		switch i % 5 {
		case 1:
			row.Kind, row.Value = "network", fmt.Sprintf("%s/%d", row.Value, 20+r.IntN(13))
		case 2:
			row.Kind, row.Value = "sender", fmt.Sprintf("user%d@host%d.test", i, i)
		case 3:
			row.Kind, row.Value, row.Block = "domain", fmt.Sprintf(".host%d.test", i), false
		case 4:
			row.Kind, row.Value = "recipient", fmt.Sprintf("user%d@ours.test", i)
		}
		rule, err := New(row)
		if err != nil {
			t.Fatal(err)
		}
		rules[i] = rule
	}
	for _, mask := range []string{"192.163.1.1/255.100.10.1", "10.0.0.1/255.0.0.255"} {
		rules = append(rules, made(t, Network, mask, nil))
	}
	return NewTable(rules)
}

func TestNothingIsAllocatedWhenNothingMatches(t *testing.T) {
	table := NewTable([]*Rule{made(t, IP, "192.0.2.1", nil), made(t, Network, "192.0.2.0/24", nil), made(t, Network, "10.0.0.1/255.0.0.255", nil),
		made(t, Sender, "eve@away.test", nil), made(t, Domain, ".away.test", nil), made(t, Recipient, "info@ours.test", nil)})
	client, sender, recipient := netip.MustParseAddr("::ffff:203.0.113.1"), address(t, "bob@mail.example.test"), address(t, "ann@ours.test")
	if n := testing.AllocsPerRun(100, func() {
		if len(table.Client(client))+len(table.Sender(sender))+len(table.Recipient(recipient)) > 0 {
			t.Error("something matches")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLookups(b *testing.B) {
	table := crowd(b)
	client, sender := netip.MustParseAddr("203.0.113.77"), address(b, "bob@mail.example.test")
	known, listed := netip.MustParseAddr("192.163.1.1"), address(b, "user2@host2.test")
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Client(client)
		}
	})
	b.Run("client by mask", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Client(known)
		}
	})
	b.Run("sender", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Sender(sender)
		}
	})
	b.Run("listed sender", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Sender(listed)
		}
	})
	b.Run("warnings", func(b *testing.B) {
		r, now := made(b, Network, "203.0.113.0/24", nil), time.Now()
		for b.Loop() {
			table.Warnings(r, now)
		}
	})
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			NewTable(table.rules)
		}
	})
}

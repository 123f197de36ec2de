package spf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
	"go.yaml.in/yaml/v3"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
)

// zone answers from memory.
type zone map[string]*records

type records struct {
	txt, ptr []string
	mx       []dns.MX
	ip       []netip.Addr
	cname    string
	err      error
}

// texts makes a zone of names and their TXT records.
func texts(pairs ...string) zone {
	z := zone{}
	for i := 0; i < len(pairs); i += 2 {
		r := z.at(pairs[i])
		r.txt = append(r.txt, pairs[i+1])
	}
	return z
}

// hosts adds names and their addresses.
func (z zone) hosts(pairs ...string) zone {
	for i := 0; i < len(pairs); i += 2 {
		r := z.at(pairs[i])
		r.ip = append(r.ip, netip.MustParseAddr(pairs[i+1]))
	}
	return z
}

// at returns the records of a name, made if need be.
func (z zone) at(name string) *records {
	if z[name] == nil {
		z[name] = &records{}
	}
	return z[name]
}

// readZone reads the zone data of a scenario of the suite.
func readZone(t *testing.T, s scenario) zone {
	t.Helper()
	z := zone{}
	for name, nodes := range s.Zone {
		r := z.at(strings.ToLower(name))
		var old []string // records of type SPF, the TXT records too if there are none
		txt := false
		for _, n := range nodes {
			if n.Kind == yaml.ScalarNode { // TIMEOUT
				r.err = fmt.Errorf("%w: %s", dns.ErrTemporary, n.Value)
				continue
			}
			kind, value := n.Content[0].Value, n.Content[1]
			switch kind {
			case "SPF", "TXT":
				var l list
				if err := value.Decode(&l); err != nil {
					t.Fatal(err)
				}
				switch text := strings.Join(l, ""); {
				case kind == "SPF":
					old = append(old, text)
				case text != "NONE":
					r.txt, txt = append(r.txt, text), true
				default:
					txt = true
				}
			case "MX":
				r.mx = append(r.mx, dns.MX{Host: value.Content[1].Value})
			case "A", "AAAA":
				r.ip = append(r.ip, netip.MustParseAddr(value.Value))
			case "PTR":
				r.ptr = append(r.ptr, value.Value)
			case "CNAME":
				r.cname = value.Value
			case "TIMEOUT", "SERVFAIL", "CNAMELOOP":
				r.err = fmt.Errorf("%w: %s", dns.ErrTemporary, kind)
			default:
				t.Fatalf("record %s", kind)
			}
		}
		if !txt {
			r.txt = old
		}
	}
	return z
}

// find follows aliases to records; too many are a failure.
func (z zone) find(ctx context.Context, name string) (*records, error) {
	for range 8 {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%w: %w", dns.ErrTemporary, err)
		}
		r := z[strings.ToLower(strings.TrimSuffix(name, "."))]
		if r == nil {
			return nil, dns.ErrNoName
		}
		if r.cname == "" {
			return r, nil
		}
		name = r.cname
	}
	return nil, dns.ErrTemporary
}

// answer picks the records of one kind.
func answer[T any](ctx context.Context, z zone, name string, pick func(*records) []T) (a dns.Answer[T], err error) {
	r, err := z.find(ctx, name)
	if err != nil {
		return a, err
	}
	a.Records = pick(r)
	switch {
	case len(a.Records) > 0:
		return a, nil
	case r.err != nil:
		return a, r.err
	}
	return a, dns.ErrNotFound
}

func (z zone) TXT(ctx context.Context, name string) (dns.Answer[string], error) {
	return answer(ctx, z, name, func(r *records) []string { return r.txt })
}

func (z zone) MX(ctx context.Context, name string) (dns.Answer[dns.MX], error) {
	return answer(ctx, z, name, func(r *records) []dns.MX { return r.mx })
}

func (z zone) A(ctx context.Context, name string) (dns.Addrs, error) {
	return answer(ctx, z, name, func(r *records) []netip.Addr { return kind(r.ip, true) })
}

func (z zone) AAAA(ctx context.Context, name string) (dns.Addrs, error) {
	return answer(ctx, z, name, func(r *records) []netip.Addr { return kind(r.ip, false) })
}

func kind(ips []netip.Addr, v4 bool) (some []netip.Addr) {
	for _, ip := range ips {
		if ip.Is4() == v4 {
			some = append(some, ip)
		}
	}
	return some
}

func (z zone) PTR(ctx context.Context, ip netip.Addr) (dns.Answer[string], error) {
	return answer(ctx, z, reverseName(ip), func(r *records) []string { return r.ptr })
}

func reverseName(ip netip.Addr) string {
	parts := strings.Split(dotted(ip), ".")
	slices.Reverse(parts)
	suffix := "ip6"
	if ip.Is4() {
		suffix = "in-addr"
	}
	return fmt.Sprintf("%s.%s.arpa", strings.Join(parts, "."), suffix)
}

// serve tells a zone by name servers, asked through base/dns.
func serve(t *testing.T, z zone) *dns.Resolver {
	t.Helper()
	a := authority.New(t)
	for name, r := range z {
		owner := spelled(name)
		if r.cname != "" {
			a.Add(fmt.Sprintf("%s IN CNAME %s", owner, spelled(r.cname)))
		}
		for _, text := range r.txt {
			a.Add(fmt.Sprintf("%s IN TXT %s", owner, quoted(text)))
		}
		for _, mx := range r.mx {
			a.Add(fmt.Sprintf("%s IN MX 10 %s", owner, spelled(mx.Host)))
		}
		for _, ip := range r.ip {
			kind := "AAAA"
			if ip.Is4() {
				kind = "A"
			}
			a.Add(fmt.Sprintf("%s IN %s %s", owner, kind, ip))
		}
		for _, host := range r.ptr {
			a.Add(fmt.Sprintf("%s IN PTR %s", owner, spelled(host)))
		}
		if r.err != nil {
			a.Behave(owner, authority.Behaviour{Answer: func(m *mdns.Msg) {
				if len(m.Answer) == 0 {
					m.Rcode = mdns.RcodeServerFailure
				}
			}})
		}
	}
	return dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange})
}

// spelled is a name in a master file.
func spelled(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSuffix(name, ".")) {
		if strings.IndexByte(` "'();@\$`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String() + "."
}

// quoted is a text of many strings in a master file.
func quoted(text string) string {
	if text == "" {
		return `""`
	}
	var b strings.Builder
	for i, c := range []byte(text) {
		if i%20 == 0 {
			b.WriteString(`" "`)
		}
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, `\%03d`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()[2:] + `"`
}

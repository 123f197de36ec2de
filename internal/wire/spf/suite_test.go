package spf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"posthorn/internal/base/mail"
)

// unmet are the tests of the suite with another result here, and why.
var unmet = map[string]string{
	"a-colon-domain":            "the library takes no slash in a domain-spec; such names do not exist",
	"a-colon-domain-ip4mapped":  "as a-colon-domain",
	"p-macro-multiple":          "in mechanisms the library takes every client for unknown, as RFC 7208 §7.3 allows; publishing %{p} is discouraged",
	"mx-colon-domain":           "as a-colon-domain",
	"mx-colon-domain-ip4mapped": "as a-colon-domain",
}

// list is one text or several.
type list []string

func (l *list) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = list{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

type scenario struct {
	Description string
	Tests       map[string]struct {
		Helo, Host  string
		MailFrom    string `yaml:"mailfrom"`
		Result      list
		Explanation string
	}
	Zone map[string][]yaml.Node `yaml:"zonedata"`
}

// TestSuiteOfRFC7208 runs the official suite; its file carries the marks of
// the library's tests ("skip"), which are not heeded here.
func TestSuiteOfRFC7208(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/rfc7208-tests.yml")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var s scenario
		if err := dec.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		z := readZone(t, s)
		for name, c := range s.Tests {
			count++
			t.Run(s.Description+"/"+name, func(t *testing.T) {
				checker := Checker{Resolver: z, Receiver: "receiver.example"}
				at := strings.LastIndexByte(c.MailFrom, '@')
				sender := mail.Address{}
				if at >= 0 {
					sender = mail.Address{Local: c.MailFrom[:at], Domain: c.MailFrom[at+1:]}
				}
				client := Client{IP: netip.MustParseAddr(c.Host), Helo: c.Helo, Now: time.Unix(1400000000, 0)}
				o := checker.CheckMail(context.Background(), client, sender)
				good := slices.Contains(c.Result, string(o.Result))
				if good != (unmet[name] == "") {
					t.Errorf("%+v, want %v (unmet: %q)", o, c.Result, unmet[name])
				}
				want := strings.TrimPrefix(c.Explanation, "DEFAULT")
				if o.Result == Fail && c.Explanation != "" && !strings.EqualFold(o.Explanation, want) {
					t.Errorf("explanation %q, want %q", o.Explanation, want)
				}
				if decided := o.Err == nil; decided != (o.Mechanism != "") {
					t.Errorf("mechanism %q with error %v", o.Mechanism, o.Err)
				}
			})
		}
	}
	if count < 190 {
		t.Errorf("only %d tests in the suite", count)
	}
}

// zone answers from the suite's data.
type zone map[string]*records

type records struct {
	txt, ptr []string
	mx       []*net.MX
	ip       []net.IPAddr
	cname    string
	err      error
}

func readZone(t *testing.T, s scenario) zone {
	t.Helper()
	z := zone{}
	for name, nodes := range s.Zone {
		r := &records{}
		z[strings.ToLower(name)] = r
		var spf []string
		txt := false
		for _, n := range nodes {
			if n.Kind == yaml.ScalarNode { // TIMEOUT
				r.err = &net.DNSError{Err: n.Value, IsTemporary: true}
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
					spf = append(spf, text)
				case text != "NONE":
					r.txt, txt = append(r.txt, text), true
				default:
					txt = true
				}
			case "MX":
				r.mx = append(r.mx, &net.MX{Host: value.Content[1].Value})
			case "A", "AAAA":
				r.ip = append(r.ip, net.IPAddr{IP: net.ParseIP(value.Value)})
			case "PTR":
				r.ptr = append(r.ptr, value.Value)
			case "CNAME":
				r.cname = value.Value
			case "TIMEOUT", "SERVFAIL", "CNAMELOOP":
				r.err = &net.DNSError{Err: kind, IsTemporary: true}
			default:
				t.Fatalf("record %s", kind)
			}
		}
		if !txt {
			r.txt = spf
		}
	}
	return z
}

func (z zone) find(ctx context.Context, name string) (*records, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := z[strings.ToLower(strings.TrimSuffix(name, "."))]
	if r != nil && r.cname != "" {
		return z.find(ctx, r.cname)
	}
	if r == nil {
		return &records{}, nil
	}
	return r, nil
}

func some[T any](list []T, failed error, err error) ([]T, error) {
	if err = errors.Join(err); err == nil && len(list) > 0 {
		return list, nil
	}
	if failed != nil {
		return nil, failed
	}
	return nil, &net.DNSError{Err: "not found", IsNotFound: true}
}

func (z zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	r, err := z.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return some(r.txt, r.err, err)
}

func (z zone) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	r, err := z.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return some(r.mx, r.err, err)
}

func (z zone) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	r, err := z.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return some(r.ip, r.err, err)
}

func (z zone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	r, err := z.find(ctx, reverseName(netip.MustParseAddr(addr)))
	if err != nil {
		return nil, err
	}
	return some(r.ptr, r.err, err)
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

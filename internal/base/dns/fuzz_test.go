package dns

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// FuzzAnswer gives hostile octets to everything that reads an answer.
func FuzzAnswer(f *testing.F) {
	q := query("mx.example.test", mdns.TypeMX, true)
	q.Id = 0x1234
	for _, records := range [][]string{
		{"mx.example.test. 60 IN MX 10 a.example.test."},
		{"mx.example.test. 60 IN CNAME b.example.test.", "b.example.test. 60 IN MX 0 ."},
		{"mx.example.test. 60 IN CNAME mx.example.test."},
		{`mx.example.test. 60 IN MX 1 a\013\010b.test.`, `mx.example.test. 60 IN TXT "a\000\255"`},
		{"mx.example.test. 4294967295 IN TLSA 3 1 1 00ff", "mx.example.test. 0 IN PTR x."},
		nil,
	} {
		m := new(mdns.Msg).SetReply(q)
		for _, text := range records {
			rr, err := mdns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		soa, err := mdns.NewRR("example.test. 60 IN SOA ns. h. 1 1 1 1 60")
		if err != nil {
			f.Fatal(err)
		}
		m.Ns = append(m.Ns, soa)
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		f.Add(wire[:len(wire)-5])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > 1 {
			wire[0], wire[1] = 0x12, 0x34
		}
		m, err := parse(q, wire)
		if err != nil {
			return
		}
		for _, qtype := range []uint16{mdns.TypeMX, mdns.TypeA, mdns.TypeAAAA, mdns.TypeTXT, mdns.TypePTR, mdns.TypeTLSA} {
			c := newChain("mx.example.test", qtype)
			rrs, err := c.read(m)
			if len(c.names) > maxAliases+1 || c.ttl < 0 || c.ttl > maxTTL || len(rrs) > maxRecords || err != nil && len(rrs) > 0 {
				t.Fatalf("%d names, %s, %d records, %v", len(c.names), c.ttl, len(rrs), err)
			}
			if errors.Is(err, ErrNotFound) && c.ttl > maxNegative {
				t.Fatalf("an absence is believed for %s", c.ttl)
			}
			for _, name := range c.names {
				if again, err := normal(name); err != nil || again != name {
					t.Fatalf("%q would be asked for", name)
				}
			}
			for _, rr := range rrs {
				checkRecord(t, rr)
			}
		}
	})
}

// checkRecord sees that nothing but names that can be asked for comes out where
// hosts are named.
func checkRecord(t *testing.T, rr mdns.RR) {
	t.Helper()
	if mx, ok := readMX(rr); ok && mx.Host != "" {
		if again, err := normal(mx.Host); err != nil || again != mx.Host {
			t.Fatalf("%q is no name", mx.Host)
		}
	}
	if ptr, ok := readPTR(rr); ok {
		if again, ok := host(ptr + "."); !ok || again != ptr {
			t.Fatalf("%q is no host", ptr)
		}
	}
	if ip, ok := readA(rr); ok && !ip.Is4() {
		t.Fatal(ip)
	}
	if ip, ok := readAAAA(rr); ok && (!ip.Is6() || ip.Is4In6()) {
		t.Fatal(ip)
	}
	if tlsa, ok := readTLSA(rr); ok && len(tlsa.Data) == 0 {
		t.Fatal("an association with nothing")
	}
	readTXT(rr)
}

func TestTheSystemsServersAreReadAgainWhenTheyChange(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	s := &system{path: path}
	now := time.Now()
	expect := func(want ...string) {
		t.Helper()
		if got := s.servers(now); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	expect("127.0.0.1:53")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# comment\nsearch example.test\nnameserver 192.0.2.1\n nameserver\tfe80::1%eth0 # x\nnameserver name.test\nnameserver\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n")
	expect("127.0.0.1:53")
	now = now.Add(reread)
	expect("192.0.2.1:53", "[fe80::1%eth0]:53", "192.0.2.3:53")
	write("nameserver 192.0.2.9\n")
	now = now.Add(reread)
	expect("192.0.2.9:53")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(reread)
	expect("192.0.2.9:53")
}

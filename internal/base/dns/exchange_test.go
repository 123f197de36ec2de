package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
)

// wired asks the authority over real sockets.
func wired(t testing.TB, a *authority.Authority, timeout time.Duration) *dns.Resolver {
	t.Helper()
	return dns.New(dns.Options{Servers: authority.Names(a.Listen("")), Timeout: timeout})
}

func TestRealPacketsAreReadAndLargeAnswersComeOverTCP(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone, reverse)
	for i := range 200 {
		a.Add(fmt.Sprintf("large.example.test. IN A 10.0.0.%d", i))
	}
	a.Behave("cut.example.test", authority.Behaviour{Truncate: true})
	a.Add("cut.example.test. IN A 192.0.2.7")
	a.Behave("late.example.test", authority.Behaviour{Delay: 50 * time.Millisecond, Authentic: true})
	a.Add("late.example.test. IN A 192.0.2.6")
	r := wired(t, a, 5*time.Second)
	for name, want := range map[string]int{"mx1.example.test": 2, "large.example.test": 200, "cut.example.test": 1, "late.example.test": 1} {
		got, err := r.A(t.Context(), name)
		if err != nil || len(got.Records) != want || got.Authentic != (name == "late.example.test") {
			t.Errorf("%s: %d records, %v", name, len(got.Records), err)
		}
	}
	if got, err := r.MX(t.Context(), "example.test"); err != nil || len(got.Records) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := r.A(t.Context(), "nothing.test"); verdict(err) != "no name" {
		t.Error(err)
	}
}

func TestHostileServersCostNoMoreThanTheTimeout(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone)
	for name, b := range map[string]authority.Behaviour{
		"silent.test":   {Drop: true},
		"garbage.test":  {Garbage: true},
		"stranger.test": {Stranger: true},
		"endless.test":  {Endless: true},
		"drip.test":     {Truncate: true, Drip: true},
		"forged.test":   {Answer: func(m *mdns.Msg) { m.Id++ }},
	} {
		a.Behave(name, b)
	}
	r := wired(t, a, 100*time.Millisecond)
	for _, name := range []string{"silent.test", "garbage.test", "stranger.test", "endless.test", "drip.test", "forged.test"} {
		began := time.Now()
		_, err := r.A(t.Context(), name)
		if verdict(err) != "temporary" {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

// A blind attacker's answers come before the true one and change nothing.
func TestForgedAnswersDoNotEndTheWait(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(mdns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			for i, change := range []func(*mdns.Msg){
				func(m *mdns.Msg) { m.Id++ },
				func(m *mdns.Msg) { m.Question[0].Name = "evil.test." },
				func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeMX },
				func(m *mdns.Msg) { m.Response = false },
				func(m *mdns.Msg) {},
			} {
				m := new(mdns.Msg).SetReply(q)
				m.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: q.Question[0].Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, byte(i))}}
				change(m)
				if wire, err := m.Pack(); err == nil {
					_, _ = c.WriteTo(wire, from)
				}
			}
		}
	}()
	r := dns.New(dns.Options{Servers: authority.Names(c.LocalAddr().String()), Timeout: 5 * time.Second})
	got, err := r.A(t.Context(), "host.test")
	if err != nil || got.Records[0].String() != "192.0.2.4" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAServerWithoutEDNSIsAskedWithoutIt(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone)
	r := dns.New(dns.Options{Servers: authority.Names(server), Exchange: func(ctx context.Context, s string, q *mdns.Msg) (*mdns.Msg, error) {
		if q.IsEdns0() != nil { // RFC 6891 §7: such servers answer FORMERR, some without the question
			return &mdns.Msg{MsgHdr: mdns.MsgHdr{Id: q.Id, Response: true, Rcode: mdns.RcodeFormatError}}, nil
		}
		return a.Exchange(ctx, s, q)
	}})
	if got, err := r.A(t.Context(), "mx1.example.test"); err != nil || len(got.Records) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestErrorsNameTheServerAndItsFault(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := c.LocalAddr().String()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	r := dns.New(dns.Options{Servers: authority.Names(closed, "127.0.0.1:0"), Timeout: time.Second})
	_, err = r.A(t.Context(), "mx1.example.test")
	if verdict(err) != "temporary" || !strings.Contains(err.Error(), ": A mx1.example.test: "+closed+": ") || !strings.Contains(err.Error(), "connection refused; 127.0.0.1:0: ") || strings.Contains(err.Error(), "->") {
		t.Error(err)
	}
}

func TestServersAreAddressesNeverNames(t *testing.T) {
	t.Parallel()
	r := dns.New(dns.Options{Servers: authority.Names("localhost:53")})
	if _, err := r.A(t.Context(), "mx1.example.test"); verdict(err) != "temporary" || !strings.Contains(err.Error(), "address") {
		t.Error(err)
	}
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone, reverse)
	a.Behave("broken.example.test", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
	a.Behave("silent.example.test", authority.Behaviour{Drop: true})
	n := dns.New(dns.Options{Servers: authority.Names(server), Exchange: a.Exchange, Timeout: 10 * time.Millisecond}).Net()
	ctx := t.Context()
	for name, want := range map[string]net.DNSError{
		"mx9.example.test":    {IsNotFound: true},
		"mx1.example.test":    {IsNotFound: true},
		"a b":                 {IsNotFound: true},
		"broken.example.test": {IsTemporary: true},
		"silent.example.test": {IsTemporary: true, IsTimeout: true},
	} {
		_, err := n.LookupTXT(ctx, name)
		var got *net.DNSError
		if !errors.As(err, &got) || got.IsNotFound != want.IsNotFound || got.IsTemporary != want.IsTemporary || got.IsTimeout != want.IsTimeout {
			t.Errorf("%s: %+v", name, err)
		}
	}
	if got, err := n.LookupMX(ctx, "example.test"); err != nil || len(got) != 2 || *got[1] != (net.MX{Host: "mx1.example.test.", Pref: 10}) {
		t.Errorf("MX: %v, %v", got, err)
	}
	if got, err := n.LookupMX(ctx, "null.example.test"); err != nil || len(got) != 1 || got[0].Host != "." {
		t.Errorf("null MX: %v, %v", got, err)
	}
	if got, err := n.LookupIPAddr(ctx, "mx1.example.test"); err != nil || fmt.Sprint(got) != "[{2001:db8::1 } {192.0.2.1 } {192.0.2.2 }]" {
		t.Errorf("addresses: %v, %v", got, err)
	}
	if got, err := n.LookupIPAddr(ctx, "192.0.2.77"); err != nil || len(got) != 1 || got[0].String() != "192.0.2.77" {
		t.Errorf("an address: %v, %v", got, err)
	}
	if got, err := n.LookupAddr(ctx, "192.0.2.1"); err != nil || len(got) != 1 || got[0] != "mx1.example.test." {
		t.Errorf("PTR: %v, %v", got, err)
	}
	if _, err := n.LookupAddr(ctx, "example.test"); err == nil {
		t.Error("a name passed for an address")
	}
	if got, err := n.LookupTXT(ctx, "example.test"); err != nil || len(got) != 1 || got[0] != "v=spf1 -all" {
		t.Errorf("TXT: %v, %v", got, err)
	}
}

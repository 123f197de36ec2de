package dmarc

import (
	"fmt"
	"testing"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
)

// TestRecordsThroughTheResolver asks name servers by way of base/dns, whose
// errors must be understood.
func TestRecordsThroughTheResolver(t *testing.T) {
	t.Parallel()
	a := authority.New(t, `
$ORIGIN a.test.
_dmarc  300 IN TXT "v=DMARC1; p=none; sp=quaran" "tine; np=reject"
real    300 IN A   192.0.2.1
mailed  300 IN MX  10 real
text    300 IN TXT "hello"
$ORIGIN b.test.
_dmarc  300 IN CNAME _dmarc.a.test.
`)
	a.Behave("_dmarc.down.test.", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
	a.Behave("half.a.test.", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
	r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange}).Net()
	for _, tree := range []bool{false, true} {
		for author, want := range map[string]string{
			"a.test": "fail none", "real.a.test": "fail quarantine", "mailed.a.test": "fail quarantine", "gone.a.test": "fail reject",
			"text.a.test": "fail reject", "b.test": "fail none", "c.test": "none none", "down.test": "temperror none", "half.a.test": "temperror none",
		} {
			o := (&Checker{Resolver: r, TreeWalk: tree}).Check(t.Context(), Message{Authors: []string{author}})
			if got := fmt.Sprint(o.Result, " ", o.Policy); got != want {
				t.Errorf("%s, tree walk %v: %s (%v), want %s", author, tree, got, o.Err, want)
			}
		}
	}
}

package spf

import (
	"testing"
	"testing/synctest"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
)

// TestJudgementsThroughTheResolver asks name servers by way of base/dns, whose
// errors must be understood.
func TestJudgementsThroughTheResolver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := authority.New(t, `
$ORIGIN a.test.
@       300 IN TXT "v=spf1 a mx:null.a.test exists:%{l}.a.test " "ptr include:b.test -all exp=why.a.test"
@       300 IN A   192.0.2.1
null    300 IN MX  0 .
why     300 IN TXT "%{c} is %{p}"
broken  300 IN TXT "v=spf1 a:down.a.test -all"
silent  300 IN TXT "v=spf1 a:lost.a.test -all"
mute    300 IN A   192.0.2.9
text    300 IN TXT "hello"
$ORIGIN b.test.
@       300 IN TXT "v=spf1 ip4:192.0.2.7 ?all"
$ORIGIN 2.0.192.in-addr.arpa.
1       300 IN PTR a.test.
8       300 IN PTR a.test.
`)
		a.Behave("down.a.test.", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
		a.Behave("lost.a.test.", authority.Behaviour{Drop: true})
		a.Behave("gone.test.", authority.Behaviour{Rcode: mdns.RcodeRefused})
		r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange})
		for _, c := range []struct {
			ip, sender  string
			result      Result
			mechanism   string
			explanation string
		}{
			{"192.0.2.1", "u@a.test", Pass, "a", ""},
			{"192.0.2.7", "u@a.test", Pass, "include:b.test", ""},
			{"192.0.2.8", "ü@a.test", Fail, "-all", "192.0.2.8 is unknown"},
			{"2001:db8::1", "u@a.test", Fail, "-all", "2001:db8::1 is unknown"}, // two void look-ups; the null MX is an answer
			{"192.0.2.8", "u@broken.a.test", TempError, "", ""},
			{"192.0.2.8", "u@silent.a.test", TempError, "", ""},
			{"192.0.2.8", "u@gone.test", TempError, "", ""},
			{"192.0.2.8", "u@text.a.test", None, "", ""},
			{"192.0.2.8", "u@mute.a.test", None, "", ""},
			{"192.0.2.8", "u@nowhere.test", None, "", ""},
		} {
			o := ask(r, c.ip, c.sender)
			if o.Result != c.result || o.Mechanism != c.mechanism || o.Explanation != c.explanation {
				t.Errorf("%s from %s: %+v, want %+v", c.sender, c.ip, o, c)
			}
		}
	})
}

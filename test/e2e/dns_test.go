package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"posthorn/internal/testkit/authority"
	"posthorn/internal/testkit/daemon"
)

// The name servers given with --dns are the only ones asked, and the command
// says in plain words what they know (M-GEN-07, M-REL-04).
func TestDNSIsCheckedWithTheNamedServer(t *testing.T) {
	t.Parallel()
	a := authority.New(t, "$ORIGIN example.test.\n@ IN MX 10 mx\n@ IN MX 20 backup\nmx IN A 203.0.113.5\nbackup IN A 203.0.113.6\n$ORIGIN 113.0.203.in-addr.arpa.\n5 IN PTR mx.example.test.\n")
	silent := authority.New(t)
	silent.Behave("*", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
	s := start(t, "--dns", silent.Listen(""), "--dns", a.Listen(""))
	for _, tt := range []struct {
		args string
		say  []string
	}{
		{"dns check", []string{"mx.example.test, asked of 127.0.0.1:", "203.0.113.5: mx.example.test\n        Address and name lead to each other."}},
		{"dns check example.test", []string{"MX: 10 mx.example.test, 20 backup.example.test", "comes to this server, as mx.example.test", "Another server."}},
		{"dns check nowhere.test", []string{"red", "does not exist"}},
	} {
		out := s.do(strings.Fields(tt.args)...)
		for _, want := range tt.say {
			if !strings.Contains(out, want) {
				t.Errorf("posthorn %s does not say %q:\n%s", tt.args, want, out)
			}
		}
	}
	var report struct {
		State  string
		Checks []struct{ What, State, Say string }
	}
	if err := json.Unmarshal([]byte(s.do("dns", "check", "--json")), &report); err != nil || len(report.Checks) < 2 {
		t.Errorf("%+v, %v", report, err)
	}
	if silent.Queries("*", mdns.TypeANY) == 0 || a.Queries("example.test", mdns.TypeMX) != 1 {
		t.Error("the servers were not asked as named")
	}
	// The settings name the field that is wrong.
	if _, err := s.Run("", "setting", "set", "dns.preferred=ns.example.org"); err == nil || !strings.Contains(err.Error(), "preferred") {
		t.Errorf("a name passed for a server: %v", err)
	}
	r := run(t, nil, daemon.Binary(t, false), "dns", "check", "a..b", "--data", s.Data)
	if r.code != 2 || !strings.Contains(r.err, "not a domain name") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

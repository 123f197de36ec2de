package dkim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
	"posthorn/internal/wire/dkim"
)

// keyText writes a TXT record of strings as short as asked.
func keyText(name, s string, length int) string {
	var b strings.Builder
	b.WriteString(name + "._domainkey.example.org. 300 IN TXT")
	for len(s) > length {
		fmt.Fprintf(&b, " %q", s[:length])
		s = s[length:]
	}
	fmt.Fprintf(&b, " %q\n", s)
	return b.String()
}

// TestHostileKeyRecordsAreBoundedAndNeverMislead: what a key's name server does
// makes no signature pass that should not, costs few questions and not more
// time than the caller gives.
func TestHostileKeyRecordsAreBoundedAndNeverMislead(t *testing.T) {
	t.Parallel()
	good := record(ring().rsa, "")
	_, p, _ := strings.Cut(good, "p=")
	flood := keyText("flood", good, 255)
	twins := ""
	for i := range 200 {
		flood += keyText("flood", fmt.Sprintf("note=%d", i), 255)
		twins += keyText("twins", strings.Replace(good, "p=", fmt.Sprintf("n=%d; p=", i), 1), 255)
	}
	zone := strings.Join([]string{
		keyText("good", good, 255),
		keyText("crumbs", good, 3), // many strings
		keyText("*", good, 255),    // any selector
		keyText("huge", "v=DKIM1; p="+strings.Repeat("A", 60000), 255),
		keyText("notes", "v=DKIM1; n="+strings.Repeat("x", 30000)+"; p="+p, 255),
		keyText("tags", "v=DKIM1"+many(2000)+"; p="+p, 255),
		keyText("hashes", "v=DKIM1; h="+strings.Repeat("sha1:", 8000)+"sha256; p="+p, 255),
		keyText("latin", "v=DKIM1; n=", 255)[:len(keyText("latin", "v=DKIM1; n=", 255))-2] + `\195\164\000; p=` + p[:200] + "\" \"" + p[200:] + "\"\n",
		keyText("empty", "", 255),
		keyText("cut", good[:len(good)-40], 255),
		"loop._domainkey.example.org. 300 IN CNAME pool._domainkey.example.org.\npool._domainkey.example.org. 300 IN CNAME loop._domainkey.example.org.\n",
		"alias._domainkey.example.org. 300 IN CNAME good._domainkey.example.org.\n",
		flood, twins,
	}, "")
	for selector, c := range map[string]struct {
		status  dkim.Status
		reason  string
		queries int
		behave  authority.Behaviour
	}{
		"good":     {dkim.Pass, "", 1, authority.Behaviour{}},
		"crumbs":   {dkim.Pass, "", 1, authority.Behaviour{}},
		"whatever": {dkim.Pass, "", 1, authority.Behaviour{}},
		"alias":    {dkim.Pass, "", 1, authority.Behaviour{}},
		"notes":    {dkim.Pass, "", 1, authority.Behaviour{}},
		"hashes":   {dkim.Pass, "", 1, authority.Behaviour{}},
		"latin":    {dkim.Pass, "", 1, authority.Behaviour{}},
		"flood":    {dkim.Pass, "", 1, authority.Behaviour{}},
		"twins":    {dkim.PermError, "there are several keys", 1, authority.Behaviour{}},
		"huge":     {dkim.PermError, "no RSA key", 1, authority.Behaviour{}},
		"tags":     {dkim.PermError, "too many tags", 1, authority.Behaviour{}},
		"empty":    {dkim.PermError, "holds no key", 1, authority.Behaviour{}},
		"cut":      {dkim.PermError, "no RSA key", 1, authority.Behaviour{}},
		"loop":     {dkim.TempError, "could not be looked up", 6, authority.Behaviour{}},
		"gone":     {dkim.PermError, "there is no key", 1, authority.Behaviour{Rcode: mdns.RcodeNameError}},
		"down":     {dkim.TempError, "could not be looked up", 4, authority.Behaviour{Rcode: mdns.RcodeServerFailure}},
		"refused":  {dkim.TempError, "could not be looked up", 4, authority.Behaviour{Rcode: mdns.RcodeRefused}},
		"garbage":  {dkim.TempError, "could not be looked up", 4, authority.Behaviour{Garbage: true}},
		"stranger": {dkim.TempError, "could not be looked up", 4, authority.Behaviour{Stranger: true}},
		"endless":  {dkim.TempError, "could not be looked up", 4, authority.Behaviour{Truncate: true, Endless: true}},
		"silent":   {dkim.TempError, "could not be looked up", 4, authority.Behaviour{Drop: true}},
		"slow":     {dkim.TempError, "could not be looked up", 4, authority.Behaviour{Delay: time.Hour}},
		"late":     {dkim.Pass, "", 1, authority.Behaviour{Delay: time.Second}},
	} {
		t.Run(selector, func(t *testing.T) {
			t.Parallel()
			s := signer()
			s.Selector = selector
			signed := sign(t, s, sample)
			synctest.Test(t, func(t *testing.T) {
				a := authority.New(t, zone)
				a.Behave(selector+"._domainkey.example.org", c.behave)
				r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange}).Net()
				began := time.Now()
				results, err := dkim.Verify(t.Context(), strings.NewReader(signed), dkim.NewKeys(r, 0), now())
				if err != nil || len(results) != 1 {
					t.Fatalf("%+v, %v", results, err)
				}
				if got := results[0]; got.Status != c.status || !strings.Contains(got.Reason, c.reason) || len(got.Reason) > 300 {
					t.Errorf("%v, %q; want %v, %q", got.Status, got.Reason, c.status, c.reason)
				}
				if n := a.Queries("*", mdns.TypeANY); n > c.queries || n == 0 {
					t.Errorf("%d questions, want at most %d", n, c.queries)
				}
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

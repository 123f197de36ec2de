package evidence

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/policy"
	"posthorn/internal/testkit/authority"
)

// roundTrip writes an answer as records do, reads it into back, and returns the
// text.
func roundTrip[T encoding.TextMarshaler](t testing.TB, v T, back encoding.TextUnmarshaler) string {
	t.Helper()
	text, err := v.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := back.UnmarshalText(text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got := reflect.ValueOf(back).Elem().Interface(); !reflect.DeepEqual(got, any(v)) {
		t.Fatalf("%s is read as\n%+v, was\n%+v", text, got, v)
	}
	return string(text)
}

func TestListsAreAsked(t *testing.T) {
	t.Parallel()
	const entry = "1.2.0.192.bl.example.org. "
	const entry6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example.org. "
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "%sA 127.0.0.%d\n", entry, i+2)
	}
	for name, c := range map[string]struct {
		client     netip.Addr
		zone, want string
	}{
		"not listed":            {v4, "x.bl.example.org. A 127.0.0.2", "absent"},
		"listed":                {v4, entry + "A 127.0.0.2", "found 127.0.0.2"},
		"with text":             {v4, entry + "A 127.0.0.2\n" + entry + `TXT "see https://bl.example.org/?192.0.2.1"`, "found 127.0.0.2 see https://bl.example.org/?192.0.2.1"},
		"several codes":         {v4, entry + "A 127.0.0.10\n" + entry + "A 127.0.0.2", "found 127.0.0.2,127.0.0.10"},
		"several texts":         {v4, entry + "A 127.0.0.2\n" + entry + "TXT b\n" + entry + "TXT a", "found 127.0.0.2 a; b"},
		"hostile text":          {v4, entry + "A 127.0.0.2\n" + entry + `TXT " a\013\010550 b\009\000\195\188  c "`, "found 127.0.0.2 a 550 b ?? c"},
		"mapped":                {netip.MustParseAddr("::ffff:192.0.2.1"), entry + "A 127.0.0.2", "found 127.0.0.2"},
		"IPv6":                  {v6, entry6 + "A 127.0.0.2", "found 127.0.0.2"},
		"IPv6, not listed":      {v6, entry + "A 127.0.0.2", "absent"},
		"refused":               {v4, entry + "A 127.255.255.254\n" + entry + `TXT "open resolver"`, "failed its operator refuses to answer: 127.255.255.254 open resolver"},
		"refused, no text":      {v4, entry + "A 127.255.255.255", "failed its operator refuses to answer: 127.255.255.255"},
		"parked domain":         {v4, "*.bl.example.org. A 203.0.113.5", "failed the answer 203.0.113.5 is none of a DNS list"},
		"listed and an error":   {v4, entry + "A 127.255.255.252\n" + entry + "A 127.0.0.2", "found 127.0.0.2"},
		"last of 127.255.254.0": {v4, entry + "A 127.255.254.255", "found 127.255.254.255"},
		"no address":            {netip.Addr{}, entry + "A 127.0.0.2", "unknown"},
		"many codes":            {v4, many.String(), "found 127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6,127.0.0.7,127.0.0.8,127.0.0.9,127.0.0.10,127.0.0.11,127.0.0.12,127.0.0.13,127.0.0.14,127.0.0.15,127.0.0.16,127.0.0.17"},
		"alias to another name": {v4, entry + "CNAME x.example.net.\nx.example.net. A 127.0.0.4", "found 127.0.0.4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := names(authority.New(t, c.zone)).Listed(t.Context(), "BL.example.org.", c.client)
			if text := roundTrip(t, got, &policy.Listing{}); text != c.want {
				t.Errorf("%s\nwant %s", text, c.want)
			}
		})
	}
}

func TestTextsOfListsAreBounded(t *testing.T) {
	t.Parallel()
	a := authority.New(t, "1.2.0.192.bl.example.org. A 127.0.0.2\n1.2.0.192.bl.example.org. TXT"+strings.Repeat(` "`+strings.Repeat("long ", 50)+`"`, 20))
	got := names(a).Listed(t.Context(), "bl.example.org", v4)
	roundTrip(t, got, &policy.Listing{})
	if len(got.Text) > maxText || len(got.Text) < maxText/2 {
		t.Errorf("%d octets", len(got.Text))
	}
}

func TestListsWithoutAUsableNameFail(t *testing.T) {
	t.Parallel()
	a := authority.New(t)
	for _, zone := range []string{"", ".", "a b", "[192.0.2.1]", strings.Repeat("abcdefg.", 30) + "org"} {
		client := v6
		if got := names(a).Listed(t.Context(), zone, client); got.Finding != policy.Failed || got.Text == "" {
			t.Errorf("%q: %+v", zone, got)
		}
	}
	if n := a.Queries("*", mdns.TypeANY); n > 0 {
		t.Errorf("%d queries", n)
	}
}

// A list whose texts cannot be had lists all the same, and in time.
func TestASlowTextIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := authority.New(t, "1.2.0.192.bl.example.org. A 127.0.0.2\n1.2.0.192.bl.example.org. TXT why")
		slow := resolver(a)
		n := NewNames(NameOptions{Resolver: slow})
		a.Behave("1.2.0.192.bl.example.org", authority.Behaviour{Delay: 1800 * time.Millisecond})
		start := time.Now()
		got := n.Listed(t.Context(), "bl.example.org", v4)
		if took := time.Since(start); got.Finding != policy.Found || got.Text != "" || took > 3*time.Second {
			t.Errorf("%+v after %v", got, took)
		}
		time.Sleep(time.Minute)
	})
}

func TestListsAreCountedApart(t *testing.T) {
	t.Parallel()
	a := authority.New(t, "1.2.0.192.a.example.org. A 127.0.0.2")
	a.Behave("1.2.0.192.b.example.org", servfail)
	n := names(a)
	var all sync.WaitGroup
	for range 4 {
		for _, zone := range []string{"a.example.org", "A.example.org.", "b.example.org", "c.example.org"} {
			all.Go(func() { n.Listed(t.Context(), zone, v4) })
		}
	}
	all.Wait()
	got := map[string]ListCount{}
	for _, c := range n.Lists() {
		if c.Zone == "b.example.org" && c.Why == "" {
			t.Error("no reason for the failure")
		}
		c.Why = ""
		got[c.Zone] = c
	}
	want := map[string]ListCount{"a.example.org": {Zone: "a.example.org", Asked: 8, Listed: 8}, "b.example.org": {Zone: "b.example.org", Asked: 4, Failed: 4}, "c.example.org": {Zone: "c.example.org", Asked: 4}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for i := range 2 * maxZones {
		n.lists.count(fmt.Sprintf("%d.example.org", i), policy.Listing{})
	}
	if len(n.Lists()) != maxZones {
		t.Errorf("%d lists are counted", len(n.Lists()))
	}
}

func TestListsAreTriedBeforeTheyAreUsed(t *testing.T) {
	t.Parallel()
	const listed4, unlisted4 = "2.0.0.127.bl.example.org. A 127.0.0.2\n", "1.0.0.127.bl.example.org. A 127.0.0.2\n"
	zeros := strings.Repeat("0.", 20) + "bl.example.org. "
	listed6, unlisted6 := "2.0.0.0.0.0.f.7.f.f.f.f."+zeros+"A 127.0.0.2\n", "1.0.0.0.0.0.f.7.f.f.f.f."+zeros+"A 127.0.0.2\n"
	for name, c := range map[string]struct {
		zone   string
		v4, v6 ListState
		says   string
	}{
		"works":          {listed4 + listed6, ListWorks, ListWorks, "IPv4: it works; it lists its test address 127.0.0.2 and not 127.0.0.1. IPv6: it works"},
		"IPv4 only":      {listed4, ListWorks, ListSilent, "IPv6: it does not list its test address ::ffff:127.0.0.2"},
		"IPv6 only":      {listed6, ListSilent, ListWorks, "IPv4: it does not list its test address 127.0.0.2; its name may be misspelt"},
		"lists all":      {listed4 + unlisted4 + listed6 + unlisted6, ListsAll, ListsAll, "it would refuse everybody's mail"},
		"wildcard":       {"*.bl.example.org. A 127.0.0.2", ListsAll, ListsAll, "which no list may"},
		"parked":         {"*.bl.example.org. A 203.0.113.9", ListFails, ListFails, "203.0.113.9 is none of a DNS list"},
		"refuses":        {"*.bl.example.org. A 127.255.255.254\n*.bl.example.org. TXT \"register first\"", ListFails, ListFails, "refuses to answer: 127.255.255.254 register first"},
		"does not exist": {"", ListSilent, ListSilent, "misspelt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := names(authority.New(t, c.zone))
			r := n.CheckList(t.Context(), "bl.example.org")
			if r.V4.State != c.v4 || r.V6.State != c.v6 || !strings.Contains(r.String(), c.says) {
				t.Errorf("%d %d %s", r.V4.State, r.V6.State, r)
			}
			if works := c.v4 == ListWorks || c.v6 == ListWorks; r.Works() != works || r.Zone != "bl.example.org" {
				t.Errorf("%+v", r)
			}
			if len(n.Lists()) != 0 {
				t.Error("a trial is counted")
			}
		})
	}
}

func TestAListThatAnswersHalfTheTrialFails(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"1.0.0.127.bl.example.org", "2.0.0.127.bl.example.org"} {
		a := authority.New(t, "2.0.0.127.bl.example.org. A 127.0.0.2\n1.0.0.127.bl.example.org. TXT x")
		a.Behave(broken, servfail)
		if r := names(a).CheckList(t.Context(), "bl.example.org"); r.V4.State != ListFails || !strings.Contains(r.V4.Text, "no answer") {
			t.Errorf("%s: %v", broken, r)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("a\r\n550 b\x00ü \xff  c ")
	f.Fuzz(func(t *testing.T, text string) {
		got := plain(text)
		if len(got) > maxText || got != strings.TrimSpace(got) || plain(got) != got || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q becomes %q", text, got)
		}
		roundTrip(t, policy.Listing{Finding: policy.Found, Codes: []netip.Addr{v4}, Text: got}, &policy.Listing{})
		roundTrip(t, policy.Listing{Finding: policy.Failed, Text: got}, &policy.Listing{})
		roundTrip(t, policy.SPF{Result: "fail", Explanation: got}, &policy.SPF{})
	})
}

func TestTextOfStrangersBecomesOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "a b": "a b", "a  b": "a b", " a": "a", "a ": "a", "a\tb": "a b", "a\r\n b": "a b", "ü~": "?~", "a": "a", " ": "",
		strings.Repeat("x", maxText-1): strings.Repeat("x", maxText-1)} {
		if got := plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

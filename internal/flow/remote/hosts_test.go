package remote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
)

func TestAHostTakesAMessage(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one(hello + send + bye)
		j := job(text)
		results, err := w.d.Deliver(w.t.Context(), j)
		if err != nil || len(results) != 1 || results[0].Host != "mx.far.test [192.0.2.1]" || results[0].Reply.String() != "250 2.0.0 taken" || fate(results[0]) != "delivered 250 2.0.0" {
			t.Errorf("%+v %v", results, err)
		}
		if want := "Received: by me.test\r\n" + text + ".\r\n"; len(w.contents) != 1 || w.contents[0] != want {
			t.Errorf("sent %q, want %q", w.contents, want)
		}
	})
}

func TestHostsAreTriedInTheOrderOfTheirPreference(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.mx["far.test"] = "20 c.test,5 a.test,10 b.test"
		w.addr["a.test"], w.addr["b.test"], w.addr["c.test"] = "192.0.2.1", "192.0.2.2", "192.0.2.3"
		w.hosts["192.0.2.3:25"] = []string{hello + send + bye}
		w.want(job(text), false, "delivered 250 2.0.0")
		w.wantDialled("1 2 3")
	})
}

func TestEqualPreferencesShareTheLoad(t *testing.T) {
	t.Parallel()
	first := map[string]int{}
	for range 40 {
		inWorld(t, func(w *world) {
			w.mx["far.test"] = "10 a.test,10 b.test"
			w.addr["a.test"], w.addr["b.test"] = "192.0.2.1", "192.0.2.2"
			w.want(job(text), true, "deferred 451 4.4.1")
			first[w.dialled[0]]++
		})
	}
	if len(first) != 2 {
		t.Errorf("always the same host first: %v", first)
	}
}

func TestWhatDNSSaysDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mx, a, b any
		outage   bool
		want     string
		dialled  string
	}{
		"no domain":                          {mx: dns.ErrNoName, want: "failed 550 5.1.2"},
		"null MX":                            {mx: "0 ", want: "failed 556 5.1.10"},
		"DNS fails":                          {mx: dns.ErrTemporary, outage: true, want: "deferred 451 4.4.3"},
		"no MX, no address":                  {mx: dns.ErrNotFound, a: dns.ErrNotFound, want: "failed 550 5.4.4"},
		"no MX, an address":                  {mx: dns.ErrNotFound, a: "192.0.2.9", outage: true, want: "deferred 451 4.4.1", dialled: "9"},
		"no MX, DNS fails":                   {mx: dns.ErrNotFound, a: dns.ErrTemporary, outage: true, want: "deferred 451 4.4.3"},
		"hosts do not exist":                 {mx: "1 a.test,2 b.test", want: "failed 550 5.4.4"},
		"one host does not exist":            {mx: "1 a.test,2 b.test", b: "192.0.2.2", outage: true, want: "deferred 451 4.4.1", dialled: "2"},
		"one does not exist, one is unknown": {mx: "1 a.test,2 b.test", b: dns.ErrTemporary, outage: true, want: "deferred 451 4.4.3"},
		"one is unknown, one does not exist": {mx: "1 b.test,2 a.test", b: dns.ErrTemporary, outage: true, want: "deferred 451 4.4.3"},
		"half an answer":                     {mx: "1 b.test", b: half("192.0.2.2"), outage: true, want: "deferred 451 4.4.1", dialled: "2"},
		"half an answer, of no use":          {mx: "1 b.test", b: half("224.0.0.1"), outage: true, want: "deferred 451 4.4.3"},
		"nonsense addresses":                 {mx: "1 b.test", b: "224.0.0.1,255.255.255.255", want: "failed 550 5.4.4"},
		"a name that is none":                {mx: "1 b\x01.test", want: "failed 550 5.4.4"},
		"a literal for a name":               {mx: "1 [192.0.2.1]", want: "failed 550 5.4.4"},
		"we are the best":                    {mx: "1 me.test,2 b.test", b: "192.0.2.2", want: "failed 554 5.4.6"},
		"our address is the best":            {mx: "1 a.test,1 b.test", a: "192.0.2.7", b: "192.0.2.2", want: "failed 554 5.4.6"},
		"loopback is us":                     {mx: "1 b.test", b: "127.0.0.1", want: "failed 554 5.4.6"},
		"so is 0.0.0.0":                      {mx: "1 b.test", b: "0.0.0.0", want: "failed 554 5.4.6"},
		"mapped loopback":                    {mx: "1 b.test", b: "::ffff:127.0.0.1", want: "failed 554 5.4.6"},
		"we are a backup":                    {mx: "1 b.test,5 me.test,9 a.test", a: "192.0.2.1", b: "192.0.2.2", outage: true, want: "deferred 451 4.4.1", dialled: "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.own = []netip.Addr{netip.MustParseAddr("192.0.2.7")}
				w.mx["far.test"], w.addr["a.test"], w.addr["b.test"] = c.mx, c.a, c.b
				if c.mx == dns.ErrNotFound {
					w.addr["far.test"] = c.a
				}
				w.want(job(text), c.outage, c.want)
				w.wantDialled(c.dialled)
			})
		})
	}
}

func TestLiteralsNeedNoDNS(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]string{
		"[192.0.2.1]":        "deferred 451 4.4.1",
		"[IPv6:2001:db8::1]": "deferred 451 4.4.1",
		"[127.0.0.1]":        "failed 554 5.4.6",
		"[224.0.0.1]":        "failed 550 5.1.2",
	} {
		inWorld(t, func(w *world) {
			j := job(text)
			j.To.Domain = domain
			w.want(j, strings.HasPrefix(want, "deferred"), want)
			if len(w.looked) > 0 {
				t.Errorf("asked %q", w.looked)
			}
		})
	}
}

func TestBothFamiliesAreTried(t *testing.T) {
	t.Parallel()
	const six = "[2001:db8::1]:25"
	for family, want := range map[string][]string{
		"auto": {six, "192.0.2.1:25", "[2001:db8::2]:25", "192.0.2.2:25"},
		"ipv4": {"192.0.2.1:25", "192.0.2.2:25", six, "[2001:db8::2]:25"},
		"ipv6": {six, "[2001:db8::2]:25", "192.0.2.1:25", "192.0.2.2:25"},
	} {
		inWorld(t, func(w *world) {
			w.set.Family = family
			w.one()
			w.addr["mx.far.test"] = "2001:db8::1,2001:db8::2,192.0.2.1,192.0.2.2"
			w.want(job(text), true, "deferred 451 4.4.1")
			if !slices.Equal(w.dialled, want) {
				t.Errorf("%s: called %q, want %q", family, w.dialled, want)
			}
		})
	}
}

func TestAWalkIsBounded(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		var mx []string
		for i := range 200 {
			host := fmt.Sprintf("h%d.test", i)
			mx = append(mx, fmt.Sprintf("%d %s", i, host))
			w.addr[host] = fmt.Sprintf("198.51.%d.1", i)
		}
		w.mx["far.test"] = strings.Join(mx, ",")
		w.want(job(text), true, "deferred 451 4.4.1")
		if len(w.dialled) != maxHops {
			t.Errorf("%d addresses tried", len(w.dialled))
		}
	})
	inWorld(t, func(w *world) {
		w.set.ConnectTimeout = 5 * time.Minute
		w.mx["far.test"] = "1 a.test,2 b.test,3 c.test,4 d.test,5 e.test"
		for i, h := range []string{"a", "b", "c", "d", "e"} {
			w.addr[h+".test"] = fmt.Sprintf("192.0.2.%d", i)
			w.hosts[fmt.Sprintf("192.0.2.%d:25", i)] = []string{"silent"}
		}
		start := time.Now()
		w.want(job(text), true, "deferred 451 4.4.1")
		if d := time.Since(start); d > maxWalk+5*time.Minute {
			t.Errorf("took %v", d)
		}
	})
}

func TestAHostThatDidNotAnswerIsTriedLastForAWhile(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.mx["far.test"], w.addr["a.test"], w.addr["b.test"] = "1 a.test,2 b.test", "192.0.2.1", "192.0.2.2"
		w.hosts["192.0.2.1:25"] = []string{"silent"}
		w.hosts["192.0.2.2:25"] = []string{hello + send + bye, hello + send + bye}
		start := time.Now()
		w.want(job(text), false, "delivered 250 2.0.0")
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("waited %v", d)
		}
		time.Sleep(time.Minute) // what was kept is gone
		start = time.Now()
		w.want(job(text), false, "delivered 250 2.0.0")
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %v for a host known to be dead", d)
		}
		w.wantDialled("1 2 2")
		time.Sleep(deadTime)
		w.want(job(text), true, "deferred 451 4.4.1")
		w.wantDialled("1 2 2 1 2")
	})
}

func TestAHostThatAnswersAgainIsTriedFirstAgain(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.set.Reuse.Idle = 0
		w.mx["far.test"], w.addr["a.test"], w.addr["b.test"] = "1 a.test,2 b.test", "192.0.2.1", "192.0.2.2"
		w.hosts["192.0.2.1:25"] = []string{"stall", hello + send + bye, hello + send + bye} // accepts, and says nothing
		w.hosts["192.0.2.2:25"] = []string{hello + send + bye, "S: 421 busy"}
		for range 3 {
			w.want(job(text), false, "delivered 250 2.0.0")
		}
		w.wantDialled("1 2 2 1 1")
	})
}

func TestAStopLeavesTheRestUntried(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one("silent")
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		got, outage := w.deliver(ctx, job(text, "b", "c"))
		if !slices.Equal(got, []string{"untried", "untried"}) || outage {
			t.Errorf("%q %v", got, outage)
		}
		if w.d.dead.Len() > 0 {
			t.Error("the host is blamed for our stop")
		}
	})
}

// Behind an address translation this server has an address that it does not
// know; the name in the reply to EHLO tells.
func TestAHostWithOurOwnNameIsThisServer(t *testing.T) {
	t.Parallel()
	const mirror = "S: 220 me.test ESMTP\nC: EHLO me.test\nS: 250-ME.test greets\\n250 PIPELINING\n" + bye
	const ours, theirs, third = "192.0.2.7:25", "192.0.2.1:25", "192.0.2.2:25"
	behind := func(test func(w *world)) {
		inWorld(t, func(w *world) {
			w.mx["far.test"], w.addr["a.test"], w.addr["b.test"], w.addr["c.test"] = "1 a.test,5 b.test,9 c.test", "192.0.2.1", "192.0.2.7", "192.0.2.2"
			w.hosts[ours], w.hosts[third] = []string{mirror, mirror}, []string{hello + send + bye}
			test(w)
		})
	}
	behind(func(w *world) { // who is better may take it later, who is worse would send it back
		w.want(job(text), true, "deferred 451 4.4.1")
		w.wantDialled("1 7")
	})
	behind(func(w *world) { // the better one did not answer before: it is still asked
		w.hosts[theirs] = []string{"silent"}
		w.want(job(text), true, "deferred 451 4.4.1")
		w.hosts[theirs] = []string{hello + send + bye}
		w.want(job(text), false, "delivered 250 2.0.0")
		w.wantDialled("1 7 7 1")
	})
	behind(func(w *world) {
		w.mx["far.test"] = "5 b.test,9 c.test"
		results, err := w.d.Deliver(w.t.Context(), job(text))
		if err != nil || len(results) != 1 || fate(results[0]) != "failed 554 5.4.6" || !errors.Is(results[0].Reply.Cause, queue.ErrLoops) || results[0].Host != "b.test [192.0.2.7]" {
			t.Errorf("%+v, %v", results, err)
		}
		w.wantDialled("7")
	})
	behind(func(w *world) { // it takes nobody who has its own name
		w.mx["far.test"] = "5 b.test"
		w.hosts[ours] = []string{"S: 220 me.test ESMTP\nC: EHLO me.test\nS: 550 5.7.1 not you\nC: HELO me.test\nS: 550 5.7.1 not you\n"}
		w.want(job(text), false, "failed 554 5.4.6")
	})
	behind(func(w *world) { // a relay host is our own affair: its mail waits
		j := job(text)
		j.To = route.Destination{Key: "relay", Relay: &route.Relay{Hosts: []string{"b.test"}, Port: 25}}
		w.want(j, true, "deferred 451 4.4.6")
		j.To.Relay.Port = 587 // somebody else on this machine
		w.hosts["192.0.2.7:587"] = []string{"S: 220 me.test\nC: EHLO me.test\nS: 250 me.test\n" + send + bye}
		w.want(j, false, "delivered 250 2.0.0")
	})
}

// Machines that nobody named are called the same; mail for another of them is
// not to come back with its first delivery.
func TestANameThatNobodyGaveTellsNotWhoAHostIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		named bool
		fate  string
	}{
		{"localhost.localdomain", true, "delivered 250 2.0.0"},
		{"build", true, "delivered 250 2.0.0"},
		{"ip-10-0-0-5.internal", false, "delivered 250 2.0.0"},
		{"ip-10-0-0-5.internal", true, "failed 554 5.4.6"},
	} {
		inWorld(t, func(w *world) {
			w.d.o.Hostname, w.d.o.Named = func() string { return c.name }, func() bool { return c.named }
			rest := send
			if !strings.HasPrefix(c.fate, "delivered") {
				rest = ""
			}
			w.one("S: 220 " + c.name + " ESMTP\nC: EHLO " + c.name + "\nS: 250 " + strings.ToUpper(c.name) + ".\n" + rest + bye)
			w.want(job(text), false, c.fate)
		})
	}
}

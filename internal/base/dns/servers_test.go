package dns_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
)

const inner, outer = "10.0.0.53:53", "192.0.2.53:53"

// pair is a preferred server that sees the network's inside and an alternate
// one outside.
func pair(t *testing.T) (in, out *authority.Authority, o dns.Options) {
	in = authority.New(t, "$ORIGIN example.test.\n@ IN MX 5 inside\ninside IN A 10.0.0.1\n* IN A 10.0.0.9\n")
	out = authority.New(t, "$ORIGIN example.test.\n@ IN MX 10 outside\noutside IN A 192.0.2.1\n* IN A 192.0.2.9\n")
	return in, out, dns.Options{Servers: authority.Names(inner, outer),
		Exchange: authority.Servers(map[string]*authority.Authority{inner: in, outer: out})}
}

func TestTheAlternateServerAnswersWhenThePreferredFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		behaviour authority.Behaviour
		outside   bool
		took      time.Duration
	}{
		"sound":        {authority.Behaviour{}, false, 0},
		"servfail":     {authority.Behaviour{Rcode: mdns.RcodeServerFailure}, true, 0},
		"refused":      {authority.Behaviour{Rcode: mdns.RcodeRefused}, true, 0},
		"silent":       {authority.Behaviour{Drop: true}, true, 2 * time.Second},
		"slow":         {authority.Behaviour{Delay: 1900 * time.Millisecond}, false, 1900 * time.Millisecond},
		"garbage":      {authority.Behaviour{Garbage: true}, true, 0},
		"other answer": {authority.Behaviour{Stranger: true}, true, 0},
		"absent name":  {authority.Behaviour{Rcode: mdns.RcodeNameError}, false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			in, _, o := pair(t)
			in.Behave("*", c.behaviour)
			began := time.Now()
			got, err := dns.New(o).A(t.Context(), "host.example.test")
			if name == "absent name" {
				if verdict(err) != "no name" {
					t.Errorf("%s: %v, %v", name, got, err)
				}
				return
			}
			want := "10.0.0.9"
			if c.outside {
				want = "192.0.2.9"
			}
			if err != nil || got.Records[0].String() != want {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			if took := time.Since(began); took != c.took {
				t.Errorf("%s: took %s, want %s", name, took, c.took)
			}
		})
	}
}

func TestASilentServerIsAskedLastForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, _, o := pair(t)
		var switched []string
		o.Switched = func(s string) { switched = append(switched, s) }
		r := dns.New(o)
		look := func(name string) time.Duration {
			t.Helper()
			began := time.Now()
			if _, err := r.A(t.Context(), name); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		look("a.example.test")
		in.Behave("*", authority.Behaviour{Drop: true})
		if one, two, three := look("b.example.test"), look("c.example.test"), look("d.example.test"); one != 2*time.Second || two != 2*time.Second || three != 0 {
			t.Errorf("look-ups took %s, %s, %s", one, two, three)
		}
		time.Sleep(31 * time.Second)
		// Of those who ask at once then, one alone waits for it.
		var waited sync.WaitGroup
		var slow atomic.Int32
		for _, name := range []string{"e1.example.test", "e2.example.test", "e3.example.test"} {
			waited.Go(func() {
				if look(name) > 0 {
					slow.Add(1)
				}
			})
		}
		if waited.Wait(); slow.Load() != 1 {
			t.Errorf("%d probes", slow.Load())
		}
		if next := look("f.example.test"); next != 0 {
			t.Errorf("after the probe a look-up took %s", next)
		}
		in.Behave("*", authority.Behaviour{})
		time.Sleep(31 * time.Second)
		before := in.Queries("*", mdns.TypeANY)
		look("g.example.test")
		look("h.example.test")
		if n := in.Queries("*", mdns.TypeANY) - before; n != 2 {
			t.Errorf("the mended server was asked %d times", n)
		}
		if !slices.Equal(switched, []string{outer, inner}) {
			t.Errorf("switched to %v", switched)
		}
	})
}

// Whoever owns a name that nobody answers for must not make us leave a server
// that answers for all others.
func TestASilentNameIsNotTheServersFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out, o := pair(t)
		in.Behave("slow.example.test", authority.Behaviour{Drop: true})
		r := dns.New(o)
		var others sync.WaitGroup
		others.Go(func() {
			for i := range 20 {
				if _, err := r.A(t.Context(), fmt.Sprintf("n%d.example.test", i)); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
			}
		})
		for _, qtype := range []uint16{mdns.TypeA, mdns.TypeAAAA, mdns.TypeMX, mdns.TypeTXT} {
			time.Sleep(500 * time.Millisecond)
			var err error
			switch qtype {
			case mdns.TypeA:
				_, err = r.A(t.Context(), "slow.example.test")
			case mdns.TypeAAAA:
				_, err = r.AAAA(t.Context(), "slow.example.test")
			case mdns.TypeMX:
				_, err = r.MX(t.Context(), "slow.example.test")
			case mdns.TypeTXT:
				_, err = r.TXT(t.Context(), "slow.example.test")
			}
			if verdict(err) == "temporary" {
				t.Error(err)
			}
		}
		others.Wait()
		if n := out.Queries("*", mdns.TypeANY) - out.Queries("slow.example.test", mdns.TypeANY); n != 0 {
			t.Errorf("the alternate server was asked %d times for other names", n)
		}
	})
}

func TestAUselessAnswerIsNotTheServersFault(t *testing.T) {
	t.Parallel()
	many := func(m *mdns.Msg) {
		for len(m.Answer) > 0 && len(m.Answer) < 600 {
			m.Answer = append(m.Answer, m.Answer[0])
		}
	}
	for what, b := range map[string]authority.Behaviour{"too many records": {Answer: many}, "never whole": {Endless: true}, "another answer": {Stranger: true}} {
		synctest.Test(t, func(t *testing.T) {
			in, out, o := pair(t)
			for _, name := range []string{"a.example.test", "b.example.test", "c.example.test"} {
				in.Behave(name, b)
			}
			o.Switched = func(s string) { t.Errorf("%s: switched to %s", what, s) }
			r := dns.New(o)
			for _, name := range []string{"a.example.test", "b.example.test", "c.example.test"} {
				if got, err := r.A(t.Context(), name); err != nil || got.Records[0].String() != "192.0.2.9" {
					t.Errorf("%s: %v, %v", what, got, err)
				}
			}
			before := out.Queries("*", mdns.TypeANY)
			if got, err := r.A(t.Context(), "d.example.test"); err != nil || out.Queries("*", mdns.TypeANY) != before {
				t.Errorf("%s: the next name is asked elsewhere: %v, %v", what, got, err)
			}
		})
	}
}

func TestALostDatagramCostsASecondTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, lost := authority.New(t, zone), 0
		o := dns.Options{Servers: authority.Names(inner), Exchange: func(ctx context.Context, s string, q *mdns.Msg) (*mdns.Msg, error) {
			if lost++; lost == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return a.Exchange(ctx, s, q)
		}}
		began := time.Now()
		if got, err := dns.New(o).A(t.Context(), "mx1.example.test"); err != nil || len(got.Records) != 2 || time.Since(began) != 2*time.Second {
			t.Errorf("%v, %v after %s", got, err, time.Since(began))
		}
	})
}

func TestAServerThatRefusesConnectionsIsPassedOverAtOnce(t *testing.T) {
	t.Parallel()
	in, out, o := pair(t)
	var asked atomic.Int32
	under := authority.Servers(map[string]*authority.Authority{outer: out})
	o.Exchange = func(ctx context.Context, server string, q *mdns.Msg) (*mdns.Msg, error) {
		if server == inner {
			asked.Add(1)
		}
		return under(ctx, server, q)
	}
	r := dns.New(o)
	for _, name := range []string{"a.example.test", "b.example.test", "c.example.test"} {
		if _, err := r.A(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if n := asked.Load() + int32(in.Queries("*", mdns.TypeANY)); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// An outage of an hour: no permanent error, little traffic, recovery by itself
// (reliability row 14).
func TestAnOutageIsNeverAnAbsence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out, o := pair(t)
		told := 0
		o.Failed = func(err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			told++
		}
		in.Behave("*", authority.Behaviour{Drop: true})
		out.Behave("*", authority.Behaviour{Drop: true})
		r := dns.New(o)
		for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(time.Second) {
			start := time.Now()
			if _, err := r.MX(t.Context(), "example.test"); verdict(err) != "temporary" {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 12*time.Second {
				t.Fatalf("gave up after %s", took)
			}
		}
		if n := in.Queries("*", mdns.TypeANY) + out.Queries("*", mdns.TypeANY); n > 360 {
			t.Errorf("%d queries in an hour", n)
		}
		if told < 60 || told > 120 {
			t.Errorf("told %d times", told)
		}
		in.Behave("*", authority.Behaviour{})
		time.Sleep(30 * time.Second)
		if got, err := r.MX(t.Context(), "example.test"); err != nil || got.Records[0].Host != "inside.example.test" {
			t.Errorf("after the outage: %v, %v", got, err)
		}
	})
}

// M-REL-03.
func TestEachServerIsAskedForItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out, o := pair(t)
		r := dns.New(o)
		for range 2 {
			for i, want := range []string{"inside.example.test", "outside.example.test"} {
				if got, err := r.MXAt(t.Context(), i, "example.test"); err != nil || len(got.Records) != 1 || got.Records[0].Host != want {
					t.Errorf("server %d: %v, %v", i, got, err)
				}
			}
		}
		if a, b := in.Queries("*", mdns.TypeANY), out.Queries("*", mdns.TypeANY); a != 1 || b != 1 {
			t.Errorf("asked %d and %d times", a, b)
		}
		in.Behave("*", authority.Behaviour{Drop: true})
		if _, err := r.MXAt(t.Context(), 0, "other.example.test"); verdict(err) != "temporary" {
			t.Errorf("the other server answered for it: %v", err)
		}
		for _, i := range []int{-2, 2} {
			if _, err := r.MXAt(t.Context(), i, "example.test"); verdict(err) != "temporary" {
				t.Errorf("server %d: %v", i, err)
			}
		}
		if got := r.Servers(); !slices.Equal(got, []string{inner, outer}) {
			t.Errorf("servers %v", got)
		}
	})
}

func TestWhatAnEarlierServerSaidIsForgotten(t *testing.T) {
	t.Parallel()
	_, _, o := pair(t)
	list := []string{inner}
	o.Servers = func() []string { return list }
	r := dns.New(o)
	for _, want := range []string{"10.0.0.9", "192.0.2.9"} {
		if got, err := r.A(t.Context(), "host.example.test"); err != nil || got.Records[0].String() != want {
			t.Errorf("%v, %v; want %s", got, err, want)
		}
		list = []string{outer}
	}
}

func TestSettingsNameTheFieldAndTheRemedy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s       dns.Settings
		servers []string
		wrong   string
	}{
		{dns.Settings{}, nil, ""},
		{dns.Settings{Preferred: "192.0.2.53", Alternate: "[2001:db8::53]:5353"}, []string{"192.0.2.53:53", "[2001:db8::53]:5353"}, ""},
		{dns.Settings{Preferred: "2001:db8::53"}, []string{"[2001:db8::53]:53"}, ""},
		{dns.Settings{Preferred: "ns.example.org"}, nil, "preferred"},
		{dns.Settings{Preferred: "192.0.2.53:0"}, nil, "preferred"},
		{dns.Settings{Preferred: "192.0.2.53", Alternate: "192.0.2.53:x"}, []string{"192.0.2.53:53"}, "alternate"},
		{dns.Settings{Alternate: "192.0.2.53"}, []string{"192.0.2.53:53"}, "alternate"},
	} {
		err := c.s.Validate()
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || err.Error()[:len(c.wrong)] != c.wrong) {
			t.Errorf("%+v: %v", c.s, err)
		}
		if got := c.s.Servers(); !slices.Equal(got, c.servers) {
			t.Errorf("%+v: %v", c.s, got)
		}
	}
}

package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/event"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
)

const inner, outer = "10.0.0.53:53", "192.0.2.53:53"

// horizon is this server, mx.here.test at 192.0.2.1, between two name servers.
// An empty zone stands for a server that does not answer.
func horizon(t *testing.T, inside, outside string) *Horizon {
	servers := map[string]*authority.Authority{inner: authority.New(t, inside), outer: authority.New(t, outside)}
	for name, zone := range map[string]string{inner: inside, outer: outside} {
		if zone == "" {
			servers[name].Behave("*", authority.Behaviour{Drop: true})
		}
	}
	return &Horizon{Hostname: func() string { return "mx.here.test" }, Own: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.1")} },
		Resolver: dns.New(dns.Options{Servers: authority.Names(inner, outer), Exchange: authority.Servers(servers)})}
}

const (
	us    = "mx.here.test. IN A 192.0.2.1\nalso.test. IN A 192.0.2.1\n"
	mains = "main.test. IN A 10.0.0.1\nsecond.test. IN A 10.0.0.2\n"
)

func TestTheMainServerIsFoundBehindTheHorizon(t *testing.T) {
	t.Parallel()
	outside := us + "far.test. IN MX 10 mx.here.test.\n"
	for name, c := range map[string]struct{ inside, outside, want string }{
		"inside names the main server":      {mains + "far.test. IN MX 5 main.test.\n", outside, "main.test 5"},
		"two of them, in order":             {mains + "far.test. IN MX 7 second.test.\nfar.test. IN MX 5 main.test.\n", outside, "main.test 5, second.test 7"},
		"not better than we are":            {mains + "far.test. IN MX 10 main.test.\n", outside, "loops"},
		"a backup behind us":                {mains + "far.test. IN MX 5 main.test.\nfar.test. IN MX 20 second.test.\n", outside, "main.test 5"},
		"we, by our address":                {mains + "far.test. IN MX 5 main.test.\n" + us, us + "far.test. IN MX 5 also.test.\n", "loops"},
		"the domain itself":                 {mains + "far.test. IN A 10.0.0.1\n", outside, "far.test 0"},
		"both servers alike":                {mains + us + "far.test. IN MX 5 main.test.\nfar.test. IN MX 10 mx.here.test.\n", mains + us + "far.test. IN MX 5 main.test.\nfar.test. IN MX 10 mx.here.test.\n", "main.test 5"},
		"inside has never heard of it":      {"else.test. IN A 10.0.0.1\n", outside, "loops"},
		"inside does not answer":            {"", outside, "temporary"},
		"outside does not answer":           {mains + "far.test. IN MX 5 main.test.\n", "", "main.test 5"},
		"nobody answers":                    {"", "", "temporary"},
		"nobody knows the domain":           {"else.test. IN A 10.0.0.1\n", us, "no name"},
		"no host of it has an address":      {"far.test. IN MX 5 gone.test.\n", outside, "gone.test 5"},
		"a null MX names nobody":            {"far.test. IN MX 0 .\n", outside, "loops"},
		"the same host, better from inside": {mains + "far.test. IN MX 5 main.test.\n", mains + us + "far.test. IN MX 10 mx.here.test.\nfar.test. IN MX 9 main.test.\n", "main.test 5"},
	} {
		synctest.Test(t, func(t *testing.T) {
			answer, err := horizon(t, c.inside, c.outside).Exchangers(t.Context(), "far.test")
			var got []string
			for _, mx := range answer.Records {
				got = append(got, fmt.Sprint(mx.Host, " ", mx.Preference))
			}
			text := strings.Join(got, ", ")
			switch {
			case errors.Is(err, queue.ErrLoops):
				text += "loops"
			case errors.Is(err, dns.ErrNoName):
				text += "no name"
			case errors.Is(err, dns.ErrTemporary):
				text += "temporary"
			case err != nil:
				text += err.Error()
			}
			if text != c.want {
				t.Errorf("%s: %s, want %s", name, text, c.want)
			}
		})
	}
}

// talker takes everything and keeps where the mail went.
type talker struct {
	resolver Inside
	hosts    []string
	mirror   bool // the host turns out to be this server
}

func (n *talker) Deliver(ctx context.Context, j queue.Job) (all []queue.Result, err error) {
	answer, err := n.resolver.MX(ctx, j.To.Domain)
	if err != nil {
		return nil, err
	}
	for _, mx := range answer.Records {
		n.hosts = append(n.hosts, mx.Host)
	}
	for _, r := range j.Claim.Message.Recipients {
		res := queue.Result{Recipient: r.ID, Fate: queue.Delivered}
		if n.mirror {
			res.Fate, res.Host = queue.Failed, "main.test"
			res.Reply = reply.New(554, reply.E(5, 4, 6), "loops").Because(queue.ErrLoops)
		}
		all = append(all, res)
	}
	return all, nil
}

// recipient is one whose last attempt, an hour ago, ended with a reply.
func recipient(last string) store.QueueRecipient {
	r := store.QueueRecipient{ID: 3, Address: mail.Address{Local: "x", Domain: "far.test"}, LastError: last}
	if last != "" {
		r.LastTry = time.Now().Add(-time.Hour)
	}
	return r
}

func deliver(t *testing.T, h *Horizon, to route.Destination, last string) (queue.Result, *talker, string) {
	t.Helper()
	n := &talker{resolver: Inside{h.Resolver, h}}
	r, log := deliverBy(t, n, to, last)
	return r, n, log
}

func deliverBy(t *testing.T, n *talker, to route.Destination, last string) (queue.Result, string) {
	t.Helper()
	var log bytes.Buffer
	d := &Deliverer{Next: n, Horizon: n.resolver.Horizon, Log: event.New(slog.NewTextHandler(&log, nil))}
	m := store.QueueMessage{Accepted: time.Now().Add(-100 * time.Hour), Recipients: []store.QueueRecipient{recipient(last)}}
	results, err := d.Deliver(t.Context(), queue.Job{Claim: store.Claim{Message: m}, To: to})
	if err != nil || len(results) != 1 || results[0].Recipient != 3 {
		t.Fatalf("%+v, %v", results, err)
	}
	return results[0], log.String()
}

// The day begins when the mail first finds nobody but us, not when it was
// accepted: the domain may have been right until now.
func TestMailThatWouldComeBackWaitsADayWithAnAlarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		loop := horizon(t, us+"far.test. IN MX 10 mx.here.test.\n", us+"far.test. IN MX 10 mx.here.test.\n")
		inside := route.Destination{Key: "far.test (inside)", Domain: "far.test", Inside: true}
		const waits = "451 4.4.6 mail for far.test loops back to myself, for "
		for last, want := range map[string]string{
			"":                                    waits + "0s; " + remedy,
			"451 4.4.1 main.test does not answer": waits + "0s; " + remedy,
			waits + "0s; " + remedy:               waits + "1h0m0s; " + remedy,
			waits + "22h30m0s; " + remedy:         waits + "23h30m0s; " + remedy,
			waits + "nonsense":                    waits + "0s; " + remedy,
			waits + "23h0m0s; " + remedy:          "554 5.4.6 mail for far.test loops back to myself",
		} {
			r, n, log := deliver(t, loop, inside, last)
			if (r.Fate == queue.Deferred) != (r.Reply.Code == 451) || r.Reply.String() != want || len(n.hosts) != 0 {
				t.Errorf("after %q: %+v, asked %v", last, r, n.hosts)
			}
			if r.Fate == queue.Deferred && (!strings.Contains(log, event.QueueError.String()) || !strings.Contains(log, "loops back") || !strings.Contains(log, "fixed next hop")) {
				t.Errorf("no alarm: %s", log)
			}
		}
		nobody := horizon(t, us, us)
		if r, _, _ := deliver(t, nobody, inside, waits+"23h0m0s; "+remedy); r.Fate != queue.Deferred ||
			r.Reply.String() != "451 4.4.4 no name server knows the domain far.test, for 0s; "+remedy {
			t.Errorf("a domain that is gone: %+v", r)
		}
	})
}

// Behind an address translation no look-up shows that a host is this server.
func TestAHostThatTurnsOutToBeUsIsWaitedForTheSameWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := horizon(t, mains+"far.test. IN MX 5 main.test.\n", us)
		inside := route.Destination{Key: "far.test (inside)", Domain: "far.test", Inside: true}
		n := &talker{resolver: Inside{h.Resolver, h}, mirror: true}
		r, log := deliverBy(t, n, inside, "")
		if r.Fate != queue.Deferred || r.Host != "main.test" || !strings.Contains(r.Reply.String(), "fixed next hop") || !strings.Contains(log, event.QueueError.String()) {
			t.Errorf("%+v, %s", r, log)
		}
		if r, _ = deliverBy(t, n, inside, "451 4.4.6 mail for far.test loops back to myself, for 23h0m1s; x"); r.Fate != queue.Failed || r.Reply.Enhanced.String() != "5.4.6" {
			t.Errorf("after a day: %+v", r)
		}
		if r, _ = deliverBy(t, n, route.Destination{Key: "far.test", Domain: "far.test"}, ""); r.Fate != queue.Failed {
			t.Errorf("no relay domain: %+v", r)
		}
	})
}

// A domain is seen from inside only when mail is relayed to it.
func TestOnlyRelayDomainsAreSeenFromInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := horizon(t, mains+"far.test. IN MX 10 mx.here.test.\nfar.test. IN MX 5 main.test.\n"+us, us+"far.test. IN MX 10 mx.here.test.\n")
		to := route.Destination{Key: "far.test", Domain: "far.test"}
		if _, n, _ := deliver(t, h, to, ""); len(n.hosts) != 2 {
			t.Errorf("sent to %v", n.hosts)
		}
		to.Inside = true
		if r, n, _ := deliver(t, h, to, ""); r.Fate != queue.Delivered || strings.Join(n.hosts, " ") != "main.test" {
			t.Errorf("%+v, sent to %v", r, n.hosts)
		}
	})
}

func TestMailForADisabledRelayDomainWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, n, _ := deliver(t, horizon(t, us, us), route.Suspended("main"), "")
		if r.Fate != queue.Deferred || r.Reply.String() != "450 4.3.2 mail for far.test waits here while its relay domain is disabled" || len(n.hosts) != 0 {
			t.Errorf("%+v, asked %v", r, n.hosts)
		}
	})
}

func TestMailWhoseWayIsInDoubtWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, n, log := deliver(t, horizon(t, us, us), route.Doubted("relay.password cannot be used: /secret/key is another key"), "")
		if r.Fate != queue.Deferred || r.Reply.String() != "450 4.3.5 mail for far.test waits here, for relay.password cannot be used (posthorn status tells why)" || len(n.hosts) != 0 {
			t.Errorf("%+v, asked %v", r, n.hosts)
		}
		if !strings.Contains(log, "/secret/key") {
			t.Errorf("the administrator is not told: %s", log)
		}
	})
}

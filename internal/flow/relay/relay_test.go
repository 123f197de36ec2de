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
			case errors.Is(err, ErrLoops):
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
		all = append(all, queue.Result{Recipient: r.ID, Fate: queue.Delivered})
	}
	return all, nil
}

func deliver(t *testing.T, h *Horizon, to route.Destination, accepted time.Time) (queue.Result, *talker, string) {
	t.Helper()
	var log bytes.Buffer
	n := &talker{resolver: Inside{h.Resolver, h}}
	d := &Deliverer{Next: n, Horizon: h, Log: event.New(slog.NewTextHandler(&log, nil))}
	m := store.QueueMessage{Accepted: accepted, Recipients: []store.QueueRecipient{{ID: 3, Address: mail.Address{Local: "x", Domain: "far.test"}}}}
	results, err := d.Deliver(t.Context(), queue.Job{Claim: store.Claim{Message: m}, To: to})
	if err != nil || len(results) != 1 || results[0].Recipient != 3 {
		t.Fatalf("%+v, %v", results, err)
	}
	return results[0], n, log.String()
}

func TestMailThatWouldComeBackWaitsADayWithAnAlarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		loop := horizon(t, us+"far.test. IN MX 10 mx.here.test.\n", us+"far.test. IN MX 10 mx.here.test.\n")
		inside := route.Destination{Key: "far.test (inside)", Domain: "far.test", Inside: true}
		r, n, log := deliver(t, loop, inside, time.Now().Add(-23*time.Hour))
		if r.Fate != queue.Deferred || r.Reply.String() != "451 4.4.6 mail for far.test loops back to myself" || len(n.hosts) != 0 {
			t.Errorf("%+v, asked %v", r, n.hosts)
		}
		if !strings.Contains(log, event.QueueError.String()) || !strings.Contains(log, "loops back") {
			t.Errorf("no alarm: %s", log)
		}
		if r, _, _ = deliver(t, loop, inside, time.Now().Add(-24*time.Hour)); r.Fate != queue.Failed || r.Reply.String() != "554 5.4.6 mail for far.test loops back to myself" {
			t.Errorf("after a day: %+v", r)
		}
		nobody := horizon(t, us, us)
		if r, _, _ = deliver(t, nobody, inside, time.Now()); r.Fate != queue.Deferred || r.Reply.String() != "451 4.4.4 no name server knows the domain far.test" {
			t.Errorf("a domain that is gone: %+v", r)
		}
	})
}

// A domain is seen from inside only when mail is relayed to it.
func TestOnlyRelayDomainsAreSeenFromInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := horizon(t, mains+"far.test. IN MX 10 mx.here.test.\nfar.test. IN MX 5 main.test.\n"+us, us+"far.test. IN MX 10 mx.here.test.\n")
		to := route.Destination{Key: "far.test", Domain: "far.test"}
		if _, n, _ := deliver(t, h, to, time.Now()); len(n.hosts) != 2 {
			t.Errorf("sent to %v", n.hosts)
		}
		to.Inside = true
		if r, n, _ := deliver(t, h, to, time.Now()); r.Fate != queue.Delivered || strings.Join(n.hosts, " ") != "main.test" {
			t.Errorf("%+v, sent to %v", r, n.hosts)
		}
	})
}

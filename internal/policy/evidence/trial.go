package evidence

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"posthorn/internal/policy"
)

// maxZones bounds the lists that are counted apart; there are as many as rules.
const maxZones = 256

// ListCount is how a DNS list has answered since the start.
type ListCount struct {
	Zone                  string
	Asked, Listed, Failed uint64
	// Why is the reason of the last failure.
	Why string
}

// counters counts by zone.
type counters struct {
	mu    sync.Mutex
	zones map[string]*ListCount
}

func (c *counters) count(zone string, l policy.Listing) {
	zone = strings.ToLower(strings.TrimSuffix(zone, "."))
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.zones[zone]
	if z == nil {
		if len(c.zones) >= maxZones {
			return
		}
		z = &ListCount{Zone: zone}
		c.zones[zone] = z
	}
	z.Asked++
	switch l.Finding {
	case policy.Found:
		z.Listed++
	case policy.Failed:
		z.Failed++
		z.Why = l.Text
	}
}

// Lists returns the counts of all lists asked so far, in no order.
func (n *Names) Lists() []ListCount {
	n.lists.mu.Lock()
	defer n.lists.mu.Unlock()
	all := make([]ListCount, 0, len(n.lists.zones))
	for _, z := range n.lists.zones {
		all = append(all, *z)
	}
	return all
}

// ListState is how a DNS list stands the test of RFC 5782 §5 for one kind of
// addresses.
type ListState uint8

// The states.
const (
	ListWorks  ListState = iota // it lists its test address, and not the other
	ListSilent                  // it does not list its test address
	ListsAll                    // it lists what no list may
	ListFails                   // it does not answer, or not us
)

// Trial is the test for one kind of addresses.
type Trial struct {
	State ListState
	// Text says it in plain words.
	Text string
}

// Report is what CheckList finds out.
type Report struct {
	Zone   string
	V4, V6 Trial
}

// Works reports a list that can be used for some clients.
func (r Report) Works() bool { return r.V4.State == ListWorks || r.V6.State == ListWorks }

// String says it in plain words.
func (r Report) String() string { return "IPv4: " + r.V4.Text + ". IPv6: " + r.V6.Text + "." }

// CheckList asks a DNS list about the addresses that RFC 5782 §5 sets aside for
// tests, for when a rule is saved. It counts nothing.
func (n *Names) CheckList(ctx context.Context, zone string) Report {
	r := Report{Zone: zone}
	var both sync.WaitGroup
	both.Go(func() {
		r.V4 = n.try(ctx, zone, netip.AddrFrom4([4]byte{127, 0, 0, 2}), netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	})
	both.Go(func() {
		listed, unlisted := netip.MustParseAddr("::ffff:127.0.0.2"), netip.MustParseAddr("::ffff:127.0.0.1")
		r.V6 = n.try(ctx, zone, listed, unlisted)
	})
	both.Wait()
	return r
}

// try tells a panic like any other failure: it runs beside the request.
func (n *Names) try(ctx context.Context, zone string, in, out netip.Addr) (t Trial) {
	defer func() {
		if x := recover(); x != nil {
			t = Trial{ListFails, fmt.Sprint("it gives no answer that can be used: ", x)}
		}
	}()
	has := n.list(ctx, zone, in)
	hasNot := n.list(ctx, zone, out)
	switch {
	case hasNot.Finding == policy.Found:
		return Trial{ListsAll, "it lists " + out.String() + ", which no list may; it would refuse everybody's mail"}
	case has.Finding == policy.Failed:
		return Trial{ListFails, "it gives no answer that can be used: " + has.Text}
	case hasNot.Finding == policy.Failed:
		return Trial{ListFails, "it gives no answer that can be used: " + hasNot.Text}
	case has.Finding != policy.Found:
		return Trial{ListSilent, "it does not list its test address " + in.String() +
			"; its name may be misspelt, it may be closed, or not be made for such addresses"}
	}
	return Trial{ListWorks, "it works; it lists its test address " + in.String() + " and not " + out.String()}
}

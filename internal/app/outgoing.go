package app

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/bounce"
	"posthorn/internal/flow/local"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/relay"
	"posthorn/internal/flow/remote"
	"posthorn/internal/flow/route"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// queues move accepted mail on: into mailboxes here, and to other servers.
type queues struct {
	local, remote *queue.Runner
	sender        *remote.Deliverer
}

// newQueues builds both. Notices to senders, and what addresses here send on,
// come through the same door as mail.
func (h *House) newQueues(door *accept.Door, idents *ident.Source) queues {
	notices := bounce.New(bounce.Options{Settings: h.handles.bounce.Get, Recipients: h.Directory, Drafts: h.Store, Planner: door, Idents: idents,
		Host: h.handles.hostname, Zone: h.zone, Log: h.Log})
	horizon := &relay.Horizon{Resolver: h.Resolver, Hostname: h.handles.hostname, Own: ownAddresses}
	sender := remote.New(remote.Options{Resolver: relay.Inside{Resolver: h.Resolver, Horizon: horizon}, Hostname: h.handles.hostname,
		Named: h.handles.named, Settings: h.handles.delivery.Get, Own: ownAddresses, Log: h.Log})
	h.Service.Watch("relay settings", func() string {
		if s, unused := h.handles.relay.Checked(); s.Doubt(unused) != "" {
			return "they cannot be used; mail to other servers waits"
		}
		return ""
	})
	o := queue.Options{Queue: h.Store.Queue(), Notices: notices, Settings: h.handles.queue.Get, Changed: h.Settings.Registry().Changed, Done: h.settled, Log: h.Log}
	here, elsewhere := o, o
	here.Local, here.Owner = true, h.node+"/local"
	here.Deliverer = &local.Deliverer{Accounts: h.Store.Directory(), Usage: h, Filter: h.sifter}
	elsewhere.Owner, elsewhere.Route = h.node+"/remote", h.newWays().destination
	elsewhere.Deliverer = onward{ours: h.newForwarder(door), others: &relay.Deliverer{Next: sender, Horizon: horizon, Log: h.Log}}
	return queues{local: queue.New(here), remote: queue.New(elsewhere), sender: sender}
}

// onward delivers to other servers; what addresses of ours send on is made a
// message of its own first.
type onward struct{ ours, others queue.Deliverer }

// Deliver implements queue.Deliverer.
func (o onward) Deliver(ctx context.Context, j queue.Job) ([]queue.Result, error) {
	if j.To.Ours {
		return o.ours.Deliver(ctx, j)
	}
	return o.others.Deliver(ctx, j)
}

// newForwarder also lets bounces of forwarded mail come in.
func (h *House) newForwarder(door *accept.Door) *local.Forwarder {
	returns := &local.Returns{}
	if key, err := h.box.Derive("srs"); err != nil {
		h.Log.Log(event.QueueError, event.Err(err)) // forwarded mail waits
	} else {
		returns.Keys = [][]byte{key}
	}
	h.Directory.TakeReturns(returns.Read)
	return &local.Forwarder{People: h.Directory, Drafts: h.Store, Door: door, Returns: returns, Hostname: h.handles.hostname}
}

// ways say where a recipient elsewhere goes, by the settings and the stored
// rules in force.
type ways struct {
	h      *House
	router *route.Router
	rules  atomic.Pointer[storedRules]
}

// storedRules are rules and the rows they were made of.
type storedRules struct {
	from  *directory.Routes
	rules []route.Rule
}

func (h *House) newWays() *ways {
	w := &ways{h: h}
	w.router = route.NewRouter(h.handles.relay.Checked, func() *[]route.Rule { return &w.rules.Load().rules })
	return w
}

// table returns the table in force.
func (w *ways) table(ctx context.Context) (*route.Table, error) {
	now, err := w.h.Directory.Routes(ctx)
	if err != nil {
		return nil, err
	}
	if r := w.rules.Load(); r == nil || r.from != now {
		rules, err := route.Stored(now.Domains, now.Rules, w.h.openRelayPassword)
		if err != nil { // the rule stays, and its mail waits at the relay host
			w.h.Log.Log(event.SettingInvalid, event.Err(err))
		}
		w.rules.Store(&storedRules{from: now, rules: rules})
	}
	return w.router.Table()
}

func (h *House) openRelayPassword(rule, sealed string) (string, error) {
	plain, err := h.box.Open(manage.RelaySecret(rule), sealed)
	return string(plain), err
}

// patience is how long the directory may take to say where mail goes.
const patience = 5 * time.Second

// destination is where a recipient goes. Where that cannot be said, mail waits
// and an administrator is told: it must not go another way.
func (w *ways) destination(m *store.QueueMessage, rcpt *store.QueueRecipient) route.Destination {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ours, err := w.ours(ctx, rcpt)
	if err == nil && ours {
		return route.Ours()
	}
	var table *route.Table
	if err == nil {
		table, err = w.table(ctx)
	}
	if err != nil {
		w.h.Log.Message(m.ID).Log(event.QueueError, event.Err(err))
		return route.Destination{Key: "no route", Relay: new(route.Relay)}
	}
	return table.For(m, *rcpt)
}

// ours reports an address that is taken apart here. Expansions that fail are
// the forwarder's to tell of.
func (w *ways) ours(ctx context.Context, rcpt *store.QueueRecipient) (bool, error) {
	if rcpt.Local != 0 {
		return false, nil
	}
	to, err := w.h.Directory.Resolve(ctx, rcpt.Address)
	if errors.Is(err, directory.ErrExpansion) || errors.Is(err, directory.ErrNoPostmaster) {
		return true, nil
	}
	return to.Hosted(), err
}

// run delivers to other servers until ctx ends.
func (q *queues) run(ctx context.Context) {
	q.remote.Run(ctx)
	q.sender.Close()
}

// ownAddresses are all addresses of this machine.
func ownAddresses() []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr())
		}
	}
	return own
}

package app

import (
	"context"
	"net"
	"net/netip"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/bounce"
	"posthorn/internal/flow/local"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/remote"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

// queues move accepted mail on: into mailboxes here, and to other servers.
type queues struct {
	local, remote *queue.Runner
	sender        *remote.Deliverer
}

// newQueues builds both. Notices to senders come through the same door as mail.
func (h *House) newQueues(door *accept.Door, idents *ident.Source) queues {
	notices := bounce.New(bounce.Options{Settings: h.handles.bounce.Get, Recipients: h.Directory, Drafts: h.Store, Planner: door, Idents: idents,
		Host: h.handles.hostname, Zone: h.zone, Log: h.Log})
	sender := remote.New(remote.Options{Resolver: h.Resolver, Hostname: h.handles.hostname, Settings: h.handles.delivery.Get, Own: ownAddresses, Log: h.Log})
	o := queue.Options{Queue: h.Store.Queue(), Notices: notices, Settings: h.handles.queue.Get, Done: h.settled, Log: h.Log}
	here, elsewhere := o, o
	here.Local, here.Owner = true, h.node+"/local"
	here.Deliverer = &local.Deliverer{Accounts: h.Store.Directory(), Usage: h}
	elsewhere.Owner, elsewhere.Deliverer, elsewhere.Route = h.node+"/remote", sender, h.router()
	return queues{local: queue.New(here), remote: queue.New(elsewhere), sender: sender}
}

// router says where a recipient elsewhere goes, by the settings in force.
func (h *House) router() func(*store.QueueMessage, *store.QueueRecipient) route.Destination {
	r := route.NewRouter(h.handles.relay.Get, nil)
	return func(m *store.QueueMessage, rcpt *store.QueueRecipient) route.Destination {
		table, err := r.Table()
		if err != nil {
			// Settings are checked when they are saved; what passed and cannot
			// be used must not send mail another way.
			h.Log.Message(m.ID).Log(event.QueueError, event.Err(err))
			return route.Destination{Key: "no route", Relay: new(route.Relay)} // waits, and an administrator is told
		}
		return table.For(m, *rcpt)
	}
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

// zone is the one that times are shown in.
func (h *House) zone() *time.Location {
	if name := h.handles.server.Get().TimeZone; name != "" {
		if z, err := time.LoadLocation(name); err == nil {
			return z
		}
	}
	return time.Local
}

// Package remote hands queued messages to the next host: the hosts that the
// recipients' domain names in DNS, or a relay (M-DEL-01, M-DEL-02). It is the
// last step of a message's way through the house.
//
//	Deliver ── attempt ─┬─ hosts       which hosts, in which order (RFC 5321 §5.1)
//	                    ├─ connection  kept from before, or opened: TLS, login
//	                    ├─ transaction MAIL, RCPT, content; up to 100 recipients
//	                    └─ conclude    a result for each recipient
//
// It does not know when to try again, what a sender is told, or why a message
// goes where it goes: flow/queue, flow/bounce and flow/route do.
package remote

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/event"
	"posthorn/internal/base/limit"
	"posthorn/internal/flow/queue"
)

// Resolver looks names up; base/dns has one. Its errors match dns.ErrNotFound
// or dns.ErrTemporary.
type Resolver interface {
	MX(ctx context.Context, name string) (dns.Answer[dns.MX], error)
	Addrs(ctx context.Context, name string) (dns.Addrs, error)
}

// Options of a Deliverer. Resolver, Hostname and Settings are needed.
type Options struct {
	Resolver Resolver
	// Hostname is how this server introduces itself (RFC 5321 §4.1.1.1).
	Hostname func() string
	// Named reports whether somebody gave this server that name, so that a host
	// with the same is this server; nil for yes.
	Named    func() bool
	Settings func() *Settings
	// Own are the addresses this server takes mail at, so that it does not send
	// mail to itself; nil for none. Loopback addresses are always its own.
	Own func() []netip.Addr
	// Dial opens a connection to an address "192.0.2.1:25"; nil uses the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// RootCAs verify certificates; nil takes those of the machine.
	RootCAs *x509.CertPool
	Log     *event.Logger
	// Port is where the hosts of a domain listen; 0 is 25.
	Port uint16
}

// Deliverer delivers jobs; it implements queue.Deliverer's contract and may be
// used by many goroutines. Close it.
type Deliverer struct {
	o    Options
	pool pool
	// dead are addresses that did not answer lately, with the time until which
	// they are tried last.
	dead *limit.Table[netip.AddrPort, time.Time]
}

const (
	smtpPort = 25
	// deadTime is how long an address that did not answer is tried last: less
	// than the shortest usual pause between two attempts.
	deadTime = 4 * time.Minute
	deadHost = 10_000
)

// New returns a Deliverer.
func New(o Options) *Deliverer {
	if o.Port == 0 {
		o.Port = smtpPort
	}
	return &Deliverer{o: o, pool: newPool(), dead: limit.NewTable[netip.AddrPort, time.Time](deadHost, deadTime)}
}

// Deliver tries the job's recipients and returns a result for each. The error
// is nil or a *queue.Outage, which says that no host of the destination could
// be reached; the results are there even then. When ctx ends, what was not yet
// handed over is Untried; a host that already has the whole message gets a
// moment to say so.
func (d *Deliverer) Deliver(ctx context.Context, j queue.Job) ([]queue.Result, error) {
	a := newAttempt(d, j)
	defer a.close()
	return a.run(ctx)
}

// Close says goodbye on the connections kept open and waits for that, half a
// second at most. Deliveries that still run keep theirs until they end.
func (d *Deliverer) Close() { d.pool.close() }

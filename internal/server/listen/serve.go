package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"

	"posthorn/internal/base/event"
)

// enter admits one accepted connection and starts its goroutine.
func (d *door) enter(raw net.Conn) {
	info := Info{
		Session:  d.o.Sessions.New(),
		Listener: d.socket.Name.Name,
		Client:   addrPort(raw.RemoteAddr()),
		Local:    addrPort(raw.LocalAddr()),
	}
	if d.o.Tight != nil && d.o.Tight() {
		d.refuse(raw, info, Memory)
		return
	}
	limits := d.limits()
	l := newLink(raw, info)
	ctx, cancel := context.WithCancelCause(d.ctx)
	t, evicted := d.admitted.admit(d.socket.Name, limits, l, cancel)
	if t == nil {
		cancel(nil)
		d.refuse(raw, info, Full)
		return
	}
	if evicted != nil {
		d.evict(evicted)
	}
	d.accepted.Add(1)
	d.sessions.Go(func() {
		defer cancel(nil)
		defer t.leave()
		d.serve(ctx, &Conn{Info: info, Conn: l, link: l, login: t.login}, limits)
	})
}

// evict ends a connection for a newcomer: its session may still say goodbye,
// because only its reads fail.
func (d *door) evict(t *ticket) {
	d.o.Log.Log(event.ConnectionEvicted, slog.String("listener", t.name.Name), slog.String("client", t.link.Conn.RemoteAddr().String()))
	t.end(ErrEvicted)
}

// serve runs one connection to its end.
func (d *door) serve(ctx context.Context, c *Conn, limits Limits) {
	defer func() { _ = c.Close() }() // the session is over, nobody is left to tell
	log := d.o.Log.Session(c.Session)
	if d.o.Proxies != nil && listed(d.o.Proxies(), c.Client.Addr()) {
		if err := c.unproxy(); err != nil {
			log.Log(event.ProxyRefused, slog.String("listener", c.Listener), slog.String("proxy", c.Proxy.String()), event.Err(err))
			return
		}
	}
	most := limits.PerHost
	if d.o.Exempt != nil && c.Client.IsValid() && d.o.Exempt(c.Client.Addr()) {
		most = 0
	}
	leave, ok := d.admitted.enterHost(c.Client.Addr(), most)
	if !ok {
		d.refuse(c.link, c.Info, HostFull)
		return
	}
	defer leave()
	if d.config != nil {
		if err := c.StartTLS(ctx, d.config, d.o.HandshakeTimeout); err != nil {
			log.Log(event.TLSFailed, slog.String("listener", c.Listener), slog.String("client", c.From()), event.Err(err))
			return
		}
	}
	defer d.catch(c)
	d.server.Serve(ctx, c)
}

// catch keeps a broken invariant in one session from ending all others.
func (d *door) catch(c *Conn) {
	if p := recover(); p != nil {
		d.o.Log.Session(c.Session).Log(event.ServerPanic, slog.String("listener", c.Listener),
			slog.String("client", c.From()), slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	}
}

// unproxy puts the original client in the proxy's place.
func (c *Conn) unproxy() error {
	proxy := c.Client
	c.Proxy = proxy
	client, local, err := readProxy(c.link)
	if err != nil {
		return err
	}
	if !client.IsValid() {
		c.Proxy = netip.AddrPort{} // the proxy itself, a health check
		return nil
	}
	c.Client = client
	c.link.client = net.TCPAddrFromAddrPort(client)
	if local.IsValid() {
		c.Local = local
		c.link.local = net.TCPAddrFromAddrPort(local)
	}
	return nil
}

// Stopping reports whether the session ends because the server stops.
func Stopping(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrStopping) }

// Revoked reports whether the session ends because its login no longer holds.
func Revoked(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrRevoked) }

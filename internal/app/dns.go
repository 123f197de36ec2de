package app

import (
	"log/slog"
	"net"
	"net/netip"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/event"
)

// newResolver makes the one resolver of the house.
func (h *House) newResolver() *dns.Resolver {
	return dns.New(dns.Options{Servers: h.nameServers,
		Switched: func(server string) { h.Log.Log(event.DNSSwitched, slog.String("server", server)) },
		Failed:   func(err error) { h.Log.Log(event.DNSFailed, event.Err(err)) }})
}

// nameServers are those of posthorn.toml or --dns alone, where given, else
// those of the settings; none means the system's.
func (h *House) nameServers() []string {
	if d := h.Config.DNS; d.Preferred != "" || d.Alternate != "" {
		return h.servers.Of(dns.Settings{Preferred: d.Preferred, Alternate: d.Alternate})
	}
	return h.servers.Of(*h.handles.dns.Get())
}

// machineAddresses are the addresses that mail can leave this machine by.
func machineAddresses() []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap().IsGlobalUnicast() {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}

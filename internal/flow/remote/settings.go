package remote

import (
	"errors"
	"net/netip"
	"time"
)

// Settings are how mail is handed to other servers.
type Settings struct {
	// ConnectTimeout is how long a host may take to answer a connection before
	// the next one is tried.
	ConnectTimeout time.Duration `default:"30s" min:"1s" max:"5m"`
	// ClearFallback sends without TLS to a host that offers STARTTLS and then
	// fails at it, unless the message, the relay or the destination demands TLS.
	// Off leaves such mail in the queue.
	ClearFallback bool `default:"true"`
	// Family is which addresses of a host are tried first: "auto" takes IPv6 and
	// IPv4 in turn.
	Family string `default:"auto" oneof:"auto,ipv4,ipv6"`
	// SourceIPv4 is the address of this machine from which connections to the
	// IPv4 addresses of other servers are made; empty leaves the choice to the
	// system.
	SourceIPv4 string `name:"source_ipv4" default:""`
	// SourceIPv6 is the address of this machine from which connections to the
	// IPv6 addresses of other servers are made; empty leaves the choice to the
	// system.
	SourceIPv6 string `name:"source_ipv6" default:""`
	// Connections is the most connections to other servers at once, those kept
	// for reuse included.
	Connections int `default:"200" min:"1" max:"10000"`
	Reuse       Reuse
}

// Reuse is how long a connection is kept for further messages.
type Reuse struct {
	// Idle is how long a connection is kept open after a message; 0 closes it at
	// once.
	Idle time.Duration `default:"30s" min:"0s" max:"4m"`
	// Connections is the most connections kept open that nobody uses.
	Connections int `default:"50" min:"0" max:"1000"`
	// Messages is the most messages sent over one connection.
	Messages int `default:"100" min:"1" max:"10000"`
}

// Validate refuses source addresses that cannot work.
func (s *Settings) Validate() error {
	if _, err := source(s.SourceIPv4, netip.Addr.Is4); err != nil {
		return errors.New("source_ipv4: give an IPv4 address of this machine such as 192.0.2.1, or leave it empty")
	}
	if _, err := source(s.SourceIPv6, netip.Addr.Is6); err != nil {
		return errors.New("source_ipv6: give an IPv6 address of this machine such as 2001:db8::1, or leave it empty")
	}
	if s.Reuse.Connections > s.Connections {
		return errors.New("reuse.connections: must not be more than connections, which counts them too")
	}
	return nil
}

// source reads a source address of one family; "" is the zero address.
func source(s string, family func(netip.Addr) bool) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(s)
	if err == nil && (!family(ip) || ip.Is4In6() || ip.IsMulticast()) {
		err = errors.New("another family")
	}
	return ip, err
}

// sourceFor returns the address to connect from, the zero one for any.
func (s *Settings) sourceFor(to netip.Addr) netip.Addr {
	text, family := s.SourceIPv6, netip.Addr.Is6
	if to.Is4() {
		text, family = s.SourceIPv4, netip.Addr.Is4
	}
	ip, err := source(text, family)
	if err != nil {
		return netip.Addr{} // Validate has refused it
	}
	return ip
}

package check

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
)

// Trust says which clients may send to anywhere without a login.
type Trust struct {
	// Clients is the trusted list: servers that relay their outgoing mail
	// through this one (M-REL-01). They are exempt from greylisting and from
	// checks of names and senders; size, hops and number of recipients still
	// count. Each is written as NETWORK or NAME=NETWORK, such as
	// office=192.0.2.0/255.255.255.0. Networks of length 0 are refused.
	Clients []TrustedClient `default:""`
	// Local lets clients of the local networks send without a login, on every
	// port (M-GEN-02).
	Local bool `default:"false"`
	// LocalNetworks are local networks besides those of this machine's
	// interfaces. The machine itself always counts as local.
	LocalNetworks []netip.Prefix `default:""`
	// PublicNetworks confirms that local networks may be public ones, those of
	// this machine's interfaces among them.
	PublicNetworks bool `default:"false"`
}

// TrustedClient is one entry of the trusted list.
type TrustedClient struct {
	Name    string // for people, "" for none
	Network netip.Prefix
}

// SettingForm implements setting.Former.
func (TrustedClient) SettingForm() string {
	return "NETWORK or NAME=NETWORK, such as office=192.0.2.0/24"
}

// MarshalText implements encoding.TextMarshaler.
func (c TrustedClient) MarshalText() ([]byte, error) {
	if c.Name == "" {
		return []byte(c.Network.String()), nil
	}
	return []byte(c.Name + "=" + c.Network.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *TrustedClient) UnmarshalText(b []byte) (err error) {
	name, network, named := strings.Cut(string(b), "=")
	if !named {
		name, network = "", name
	} else if name == "" || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == ',' || r == '"' }) {
		return fmt.Errorf("%q is no name; write one word before the =", name)
	}
	c.Name = name
	c.Network, err = setting.ParseNetwork(network)
	return err
}

// Validate refuses networks that would trust the world.
func (t *Trust) Validate() error {
	var errs []error
	names := map[string]bool{}
	for _, p := range t.Clients {
		if p.Network.Bits() == 0 {
			errs = append(errs, fmt.Errorf("policy.trust.clients: %s would trust everybody", p.Network))
		}
		if p.Name != "" && names[p.Name] {
			errs = append(errs, fmt.Errorf("policy.trust.clients: the name %s is there twice", p.Name))
		}
		names[p.Name] = true
	}
	for _, p := range t.LocalNetworks {
		switch {
		case p.Bits() == 0:
			errs = append(errs, fmt.Errorf("policy.trust.local_networks: %s would trust everybody", p))
		case !t.PublicNetworks && !Private(p):
			errs = append(errs, fmt.Errorf("policy.trust.local_networks: %s is not a private network; if its hosts are really yours, set policy.trust.public_networks", p))
		}
	}
	return errors.Join(errs...)
}

// privateNetworks are the ranges that cannot arrive from the Internet.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), // RFC 1918 §3
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("100.64.0.0/10"), // RFC 6598
	netip.MustParsePrefix("fc00::/7"),      // RFC 4193
}

// Private reports that every address of the network is a private one.
func Private(p netip.Prefix) bool {
	for _, q := range privateNetworks {
		if q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// Networks lists what counts as local: the loopback networks, the private ones
// of this machine's interfaces (public ones when confirmed) and those added.
func (t *Trust) Networks(machine []netip.Prefix) []netip.Prefix {
	list := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, p := range machine {
		if p = p.Masked(); p.Bits() > 0 && (t.PublicNetworks || Private(p)) {
			list = append(list, p)
		}
	}
	list = append(list, t.LocalNetworks...)
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
	})
	return slices.Compact(list)
}

// of returns how far the client is trusted.
func (t *Trust) of(client netip.Addr, local []netip.Prefix) policy.Trust {
	client = client.Unmap()
	if t.Local && contains(local, client) {
		return policy.LocalNetwork
	}
	for _, c := range t.Clients {
		if c.Network.Contains(client) {
			return policy.TrustedList
		}
	}
	return policy.Untrusted
}

func contains(list []netip.Prefix, ip netip.Addr) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

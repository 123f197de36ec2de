package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
)

// Settings are the name servers this server asks. Both empty: those of the
// system. posthorn.toml and --dns, where given, stand above these settings.
type Settings struct {
	// Preferred is the DNS server that is asked first: its address, with a port
	// if that is not 53, such as 192.0.2.53 or [2001:db8::53]:5353. It must look
	// up names for others, and should check DNSSEC. Where the network inside has
	// its own records, this is the inner server. Empty asks the servers of the
	// system.
	Preferred string `default:""`
	// Alternate is the DNS server that is asked when dns.preferred fails: its
	// address, with a port if that is not 53. For relay domains both are asked,
	// each for itself.
	Alternate string `default:""`
}

// Validate names the field that is no address.
func (s *Settings) Validate() error {
	for _, f := range []struct{ field, text string }{{"preferred", s.Preferred}, {"alternate", s.Alternate}} {
		if _, err := parseServer(f.text); f.text != "" && err != nil {
			return fmt.Errorf("%s: %q is no address of a DNS server; write ADDRESS or ADDRESS:PORT, such as 192.0.2.53 or [2001:db8::53]:53 (a name cannot stand here)", f.field, f.text)
		}
	}
	if s.Preferred == "" && s.Alternate != "" {
		return errors.New("alternate: needs a preferred server before it; give preferred too, or leave both empty")
	}
	return nil
}

// Servers returns the servers as ADDR:PORT, the preferred one first; none when
// the system's are meant.
func (s *Settings) Servers() []string {
	var list []string
	for _, text := range []string{s.Preferred, s.Alternate} {
		if a, err := parseServer(text); err == nil {
			list = append(list, a.String())
		}
	}
	return list
}

// ServerList remembers what Servers of the last settings returned, because every
// look-up asks. Its zero value is ready; many goroutines may use it.
type ServerList struct{ last atomic.Pointer[servers] }

type servers struct {
	of   Settings
	list []string
}

// Of returns the servers of the settings. The list must not be changed.
func (l *ServerList) Of(s Settings) []string {
	if last := l.last.Load(); last != nil && last.of == s {
		return last.list
	}
	list := s.Servers()
	l.last.Store(&servers{s, list})
	return list
}

func parseServer(text string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, port), nil
	}
	a, err := netip.ParseAddrPort(text)
	if err == nil && a.Port() == 0 {
		err = errors.New("port 0")
	}
	return a, err
}

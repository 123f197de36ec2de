package listen

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"posthorn/internal/testkit/memconn"
)

// loopback lists everything the tests connect from.
func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func header(t *testing.T, version byte, from, to string) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version,
		net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestListedProxyNamesTheClient(t *testing.T) {
	t.Parallel()
	srv := &echo{}
	_, addr := openOn(t, "smtp", srv, Options{Proxies: loopback})
	for _, c := range []struct{ name, header, client string }{
		{"v1", header(t, 1, "192.0.2.1:4321", "192.0.2.2:25"), "192.0.2.1:4321"},
		{"v2", header(t, 2, "192.0.2.1:4321", "192.0.2.2:25"), "192.0.2.1:4321"},
		{"v2 IPv6", header(t, 2, "[2001:db8::1]:4321", "[2001:db8::2]:25"), "[2001:db8::1]:4321"},
		{"v1 mapped", "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.2 99 25\r\n", "192.0.2.7:99"},
	} {
		conn := dial(t, addr)
		conn.say(c.header + "hello at once") // the octets behind the header are the session's
		conn.expect("220 " + c.client + "\r\n")
		conn.expect("hello at once")
		seen := srv.last()
		if !seen.Proxied() || seen.Proxy.String() != conn.LocalAddr().String() || seen.RemoteAddr().String() != c.client || seen.Local.Port() != 25 {
			t.Errorf("%s: %+v", c.name, seen.Info)
		}
	}
}

func TestProxyMaySpeakForItself(t *testing.T) {
	t.Parallel()
	srv := &echo{}
	_, addr := openOn(t, "smtp", srv, Options{Proxies: loopback})
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{string(local), "PROXY UNKNOWN\r\n"} {
		c := dial(t, addr)
		if _, err := io.WriteString(c, header); err != nil {
			t.Fatal(err)
		}
		c.expect("220 " + c.LocalAddr().String())
		if srv.last().Proxied() {
			t.Error("a health check counts as proxied")
		}
	}
}

func TestBadProxyHeadersEndTheConnection(t *testing.T) {
	t.Parallel()
	srv := &echo{}
	_, addr := openOn(t, "smtp", srv, Options{Proxies: loopback})
	for name, junk := range map[string]string{
		"none":     "EHLO me\r\n",
		"endless":  "PROXY TCP4 " + string(make([]byte, 200)),
		"datagram": udp(t),
		"bad port": "PROXY TCP4 192.0.2.1 192.0.2.2 70000 25\r\n",
	} {
		c := dial(t, addr)
		c.say(junk)
		if line, err := c.r.ReadString('\n'); err == nil {
			t.Errorf("%s: got %q", name, line)
		}
	}
	if len(srv.seen) != 0 {
		t.Error("a session began")
	}
}

func udp(t *testing.T) string {
	t.Helper()
	b, err := proxyproto.HeaderProxyFromAddrs(2, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 2}).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStrangersCannotNameTheClient(t *testing.T) {
	t.Parallel()
	_, addr := openOn(t, "smtp", &echo{}, Options{Proxies: func() []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}})
	c := dial(t, addr)
	c.expect("220 " + c.LocalAddr().String())
	c.say("PROXY TCP4 192.0.2.1 192.0.2.2 1 25")
	c.expect("PROXY TCP4") // it is a line like any other, for the protocol to refuse
}

func TestSilentProxyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		raw, peer := memconn.Pair(netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("127.0.0.1:25"))
		defer peer.Close() //nolint:errcheck // only held
		if _, err := io.WriteString(peer, "\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, _, err := readProxy(newLink(raw, Info{})); err == nil || time.Since(start) != proxyDeadline {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO"))
	f.Add([]byte("PROXY TCP6 ::1 ::2 1 25\r\n"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x19EHLO"))
	f.Fuzz(func(t *testing.T, in []byte) {
		raw, peer := memconn.Pair(netip.AddrPort{}, netip.AddrPort{})
		if _, err := peer.Write(in); err != nil {
			t.Fatal(err)
		}
		_ = peer.Close()
		l := newLink(raw, Info{})
		client, _, err := readProxy(l)
		if err == nil && client.IsValid() && client.Addr().Is4In6() {
			t.Errorf("mapped address %s", client)
		}
	})
}

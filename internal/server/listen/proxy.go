package listen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	// proxyDeadline is how long a listed proxy has for its header; it sends it
	// before anything else and at once.
	proxyDeadline = 5 * time.Second
	// proxyRead bounds what is read for a header, addresses and TLVs.
	proxyRead = 4096
)

var errProxy = errors.New("listen: a listed proxy sent no PROXY header for a TCP connection")

// listed reports whether the peer may name the client. From others a PROXY
// header is not looked for: the protocol server sees it as the junk it is.
func listed(proxies []netip.Prefix, peer netip.Addr) bool {
	for _, p := range proxies {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// readProxy reads the header and returns who the client is and where it
// connected to; both are zero when the proxy speaks for itself (LOCAL).
// Octets behind the header stay for the session.
func readProxy(l *link) (client, local netip.AddrPort, err error) {
	if err := l.Conn.SetReadDeadline(time.Now().Add(proxyDeadline)); err != nil {
		return client, local, err
	}
	r := bufio.NewReaderSize(io.LimitReader(l.Conn, proxyRead), 512)
	header, err := proxyproto.Read(r)
	if err != nil {
		return client, local, fmt.Errorf("%w: %w", errProxy, err)
	}
	if l.ahead, err = r.Peek(r.Buffered()); err != nil {
		return client, local, err
	}
	l.ahead = append([]byte(nil), l.ahead...)
	// Under the link's lock, so that a stop in between is not undone.
	if err := l.SetReadDeadline(time.Time{}); err != nil {
		return client, local, err
	}
	if header.Command.IsLocal() {
		return client, local, nil
	}
	from, to, ok := header.TCPAddrs()
	if !ok {
		return client, local, errProxy
	}
	client, local = addrPort(net.Addr(from)), addrPort(net.Addr(to))
	if !client.Addr().IsValid() {
		return client, local, errProxy
	}
	return client, local, nil
}

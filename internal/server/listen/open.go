package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// Spec is one socket to open.
type Spec struct {
	Name string // one of Names
	// Addr is "192.0.2.1:25", "[2001:db8::1]:25", ":25" for all addresses of
	// both families, "192.0.2.1" for the standard port, or the path of a Unix
	// socket, absolute or after "unix:". Port 0 lets the system choose.
	Addr string
}

// ParseSpec reads NAME=ADDR, as --listen takes it.
func ParseSpec(s string) (Spec, error) {
	name, addr, ok := strings.Cut(s, "=")
	spec := Spec{Name: strings.TrimSpace(name), Addr: strings.TrimSpace(addr)}
	if !ok {
		return spec, fmt.Errorf("listen: %q is not NAME=ADDR, for example smtp=127.0.0.1:2525", s)
	}
	_, _, err := spec.resolve()
	return spec, err
}

// resolve returns network and address for net.Listen.
func (s Spec) resolve() (network, addr string, err error) {
	name, ok := Lookup(s.Name)
	if !ok {
		return "", "", fmt.Errorf("listen: %q is not a listener; use one of %s", s.Name, AllNames())
	}
	if path, ok := strings.CutPrefix(s.Addr, "unix:"); ok || strings.HasPrefix(s.Addr, "/") {
		if path == "" {
			return "", "", fmt.Errorf("listen: %s: the path of the Unix socket is missing", s.Name)
		}
		return "unix", path, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(s.Addr, "[]")); err == nil {
		return family(ip), netip.AddrPortFrom(ip, name.Port).String(), nil
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return "", "", fmt.Errorf("listen: %s: %q is not ADDRESS:PORT, :PORT or a path", s.Name, s.Addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("listen: %s: %q is not a port number", s.Name, port)
	}
	switch host {
	case "":
		return "tcp", s.Addr, nil
	case "localhost":
		return "tcp4", net.JoinHostPort("127.0.0.1", port), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", "", fmt.Errorf("listen: %s: %q is a name; sockets are opened by IP address", s.Name, host)
	}
	return family(ip), net.JoinHostPort(host, port), nil
}

// family keeps [::] to IPv6, so that 0.0.0.0 and [::] can be listed together.
func family(ip netip.Addr) string {
	if ip.Unmap().Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// Socket is an open socket.
type Socket struct {
	net.Listener
	Name Name

	file string // the file of a Unix socket that Open made
}

// give lets the server's user and group reach a Unix socket that root opened.
// What systemd handed over stays as its unit says.
func (s *Socket) give(uid, gid int) error {
	if s.file == "" {
		return nil
	}
	if err := os.Lchown(s.file, uid, gid); err != nil {
		return fmt.Errorf("listen: %s: give the socket to the server's user: %w", s.Name.Name, err)
	}
	return nil
}

// Address returns where the socket listens in fact: with the port the system
// chose, or as "unix:" and the path.
func (s *Socket) Address() string {
	if s.Addr().Network() == "unix" {
		return "unix:" + s.Addr().String()
	}
	return s.Addr().String()
}

// Open opens all sockets, or none and says which one failed and what to do.
func Open(ctx context.Context, specs []Spec) ([]*Socket, error) {
	var open []*Socket
	for _, spec := range specs {
		s, err := openOne(ctx, spec)
		if err != nil {
			for _, s := range open {
				_ = s.Close() // the first error is the one to report
			}
			return nil, err
		}
		open = append(open, s)
	}
	return open, nil
}

func openOne(ctx context.Context, spec Spec) (*Socket, error) {
	network, addr, err := spec.resolve()
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		if err := removeStale(addr); err != nil {
			return nil, fmt.Errorf("listen: %s: %w", spec.Name, err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, addr)
	if err != nil {
		return nil, explain(spec, addr, err)
	}
	name, _ := Lookup(spec.Name)
	open := &Socket{Listener: l, Name: name}
	if network == "unix" {
		open.file = addr
		// Owner and group may deliver, others not.
		if err := os.Chmod(addr, 0o660); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("listen: %s: %w", spec.Name, err)
		}
	}
	return open, nil
}

// explain says what an administrator can do about the two usual causes.
func explain(spec Spec, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen: %s: no permission for %s; ports below 1024 need CAP_NET_BIND_SERVICE, "+
			"a systemd socket, or a start as root with a user to change to: %w", spec.Name, addr, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen: %s: another program listens at %s already: %w", spec.Name, addr, err)
	}
	return fmt.Errorf("listen: %s: %w", spec.Name, err)
}

// removeStale removes a socket file nobody listens at, left by a process that
// was killed. It never removes anything else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("another program listens at %s already", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// Inherited returns the sockets systemd opened for this process (sd_listen_fds),
// none if there are none. FileDescriptorName= of each socket unit must be a
// listener name. Call it once: the environment is cleared, so that children do
// not take the sockets for theirs.
func Inherited() ([]*Socket, error) {
	byName, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("listen: sockets of systemd: %w", err)
	}
	var open []*Socket
	for given, listeners := range byName {
		name, ok := Lookup(given)
		if !ok {
			return nil, fmt.Errorf("listen: systemd hands over a socket named %q; set FileDescriptorName= to one of %s", given, AllNames())
		}
		for _, l := range listeners {
			open = append(open, &Socket{Listener: l, Name: name})
		}
	}
	return open, nil
}

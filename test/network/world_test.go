package network

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthorn/internal/testkit/authority"
	"posthorn/internal/testkit/need"
)

// world is an Internet of a few hosts: each in a network of its own, joined by
// the router on which the tests and the name server run.
//
//	a 10.77.1.2 ── 10.77.1.1 ┐
//	                         router, name server 10.77.0.1
//	b 10.77.2.2 ── 10.77.2.1 ┘
type world struct {
	t     *testing.T
	dir   string
	hosts int
	names *authority.Authority
}

// nameServer answers for every domain there is, nameServer6 to hosts without
// IPv4.
const (
	nameServer  = "10.77.0.1"
	nameServer6 = "fd77::53"
)

// Addresses nobody has: packets to silent vanish, those to closed come back as
// unreachable.
const (
	silent = "10.77.99.1"
	closed = "10.77.98.1"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv(inside) == "" {
		need.Missing(t, "root, to make network namespaces")
	}
	w := &world{t: t, dir: t.TempDir()}
	must(t, os.Chmod(w.dir, 0o755))
	must(t, os.Chmod(filepath.Dir(w.dir), 0o755)) // Postfix's users look in
	w.run("mount", "--make-rprivate", "/")
	w.run("sh", "-c", `grep ^/dev/loop /proc/self/mounts | cut -d' ' -f2 | xargs -r umount -l`) // others' file systems may end
	w.run("mount", "-t", "tmpfs", "tmpfs", "/run")
	resolv := filepath.Join(w.dir, "resolv.conf")
	must(t, os.WriteFile(resolv, []byte("nameserver "+nameServer+"\noptions timeout:2\n"), 0o644))
	w.run("mount", "--bind", resolv, "/etc/resolv.conf")
	t.Cleanup(func() {
		w.run("umount", "-l", "/etc/resolv.conf")
		w.run("umount", "-l", "/run")
	})
	w.run("ip", "link", "set", "lo", "up")
	w.run("ip", "addr", "add", nameServer+"/32", "dev", "lo")
	w.run("ip", "route", "add", "blackhole", silent+"/32")
	w.run("ip", "route", "add", "unreachable", closed+"/32")
	w.run("ip", "addr", "add", nameServer6+"/128", "dev", "lo", "nodad")
	w.names = authority.New(t)
	w.names.Listen(nameServer + ":53")
	w.names.Listen("[" + nameServer6 + "]:53")
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		w.run("sh", "-c", "echo 1 > /proc/sys/"+strings.ReplaceAll(name, ".", "/"))
	}
	return w
}

// run runs a command of the machine.
func (w *world) run(name string, args ...string) {
	w.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// host is a place with addresses of its own.
type host struct {
	w      *world
	name   string // of the namespace
	v4, v6 string
}

// host makes a host; kinds names the families it has, "4", "6" or "46".
func (w *world) host(name, kinds string) *host {
	w.t.Helper()
	w.hosts++
	h := &host{w: w, name: name}
	w.run("ip", "netns", "add", name)
	w.t.Cleanup(func() { w.run("ip", "netns", "delete", name) })
	w.run("ip", "link", "add", "to-"+name, "type", "veth", "peer", "name", "eth0", "netns", name)
	w.run("ip", "link", "set", "to-"+name, "up")
	in := func(args ...string) { w.t.Helper(); w.run("ip", append([]string{"-n", name}, args...)...) }
	in("link", "set", "lo", "up")
	in("link", "set", "eth0", "up")
	if strings.Contains(kinds, "4") {
		net := fmt.Sprintf("10.77.%d.", w.hosts)
		h.v4 = net + "2"
		w.run("ip", "addr", "add", net+"1/24", "dev", "to-"+name)
		in("addr", "add", h.v4+"/24", "dev", "eth0")
		in("route", "add", "default", "via", net+"1")
	}
	if strings.Contains(kinds, "6") {
		net := fmt.Sprintf("fd77:%d::", w.hosts)
		h.v6 = net + "2"
		w.run("ip", "addr", "add", net+"1/64", "dev", "to-"+name, "nodad")
		in("addr", "add", h.v6+"/64", "dev", "eth0", "nodad")
		in("route", "add", "default", "via", net+"1")
	}
	return h
}

// known publishes the host as mail.DOMAIN, which is the domain's only MX.
func (h *host) known(domain string) {
	zone := "$ORIGIN " + domain + ".\n@ 60 IN MX 10 mail\n"
	if h.v4 != "" {
		zone += "mail 60 IN A " + h.v4 + "\n"
	}
	if h.v6 != "" {
		zone += "mail 60 IN AAAA " + h.v6 + "\n"
	}
	h.w.names.Add(zone)
}

// cut and mend break the host's line and repair it.
func (h *host) cut()  { h.w.run("ip", "link", "set", "to-"+h.name, "down") }
func (h *host) mend() { h.w.run("ip", "link", "set", "to-"+h.name, "up") }

// addr is the host's address on which tests reach it.
func (h *host) addr(port int) string {
	if h.v4 == "" {
		return fmt.Sprintf("[%s]:%d", h.v6, port)
	}
	return fmt.Sprintf("%s:%d", h.v4, port)
}

// script writes a program that runs another one on the host.
func (h *host) script(program string) string {
	path := filepath.Join(h.w.dir, h.name+"-"+filepath.Base(program))
	text := fmt.Sprintf("#!/bin/sh\nexec ip netns exec %s %s \"$@\"\n", h.name, program)
	must(h.w.t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

// command is a program on the host that ends with the test.
func (h *host) command(name string, args ...string) *exec.Cmd {
	return exec.CommandContext(h.w.t.Context(), "ip", append([]string{"netns", "exec", h.name, name}, args...)...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

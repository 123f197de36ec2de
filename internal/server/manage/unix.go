package manage

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxSocketPath is what sun_path holds.
const maxSocketPath = 104

// listenUnix opens the socket with mode 0600 from its first moment: it is
// bound in a fresh private folder and then moved to its place.
func listenUnix(name string) (net.Listener, error) {
	private, err := os.MkdirTemp(filepath.Dir(name), ".control-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	temp := filepath.Join(private, "s")
	var l *net.UnixListener
	err = short(temp, func(path string) error {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(temp, 0o600); err != nil {
		return nil, err
	}
	return l, os.Rename(temp, name)
}

func dialUnix(name string) (c net.Conn, err error) {
	err = short(name, func(path string) error {
		c, err = net.Dial("unix", path)
		return err
	})
	return c, err
}

// short calls f with a path that fits sun_path: a long one goes through the
// folder's descriptor.
func short(name string, f func(path string) error) error {
	if len(name) < maxSocketPath {
		return f(name)
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(name)))
}

package sqlstore

import (
	"net"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), in milliseconds.
const tcpUserTimeout = 18

// noticeSilence bounds how long sent octets may stay unconfirmed.
func noticeSilence(t *net.TCPConn) error {
	c, err := t.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = c.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unheard/time.Millisecond))
	})
	if err != nil {
		return err
	}
	return set
}

//go:build !linux

package sqlstore

import "net"

// noticeSilence leaves it to the time the system has for it.
func noticeSilence(*net.TCPConn) error { return nil }

// Package listen is the first room a message enters: it opens the sockets,
// accepts connections within their limits, reads the PROXY header of listed
// proxies, starts TLS where it is implicit, and hands each connection to the
// protocol server of its listener on a goroutine of its own.
//
//	Open ─► Group.Start ─► accept ─► admission ─► PROXY ─► TLS ─► Server.Serve
//	                          │          └ no room: Server.Refuse, close
//	                          └ no descriptor: spare, back off
//
// It deliberately knows no protocol: what a client is told is the protocol
// server's word, and who may do what is policy's.
package listen

import (
	"context"
	"errors"
	"net/netip"

	"posthorn/internal/base/ident"
)

// Server speaks one protocol.
type Server interface {
	// Serve owns the connection until it returns; the caller closes it then.
	// When the context is done the session says goodbye (421 4.3.2, BYE) and
	// returns: from that moment reads fail with os.ErrDeadlineExceeded, unless
	// Conn.Shield is on, while writes still work. context.Cause tells why:
	// ErrStopping, ErrEvicted or ErrRevoked.
	Serve(ctx context.Context, c *Conn)
	// Refuse returns what a client in plain text is told before the
	// connection is closed without a session; empty for nothing.
	Refuse(reason Reason, info Info) []byte
}

// Causes of a session's context being done.
var (
	ErrStopping = errors.New("listen: the server is stopping")
	ErrEvicted  = errors.New("listen: closed to make room, nobody had logged in")
	ErrRevoked  = errors.New("listen: the login no longer holds")
)

// Reason is why a connection gets no session.
type Reason uint8

// The reasons. All of them pass by themselves: an SMTP server answers 421.
const (
	// Full: the server or this listener has as many connections as it may.
	Full Reason = iota
	// HostFull: this client host has as many as one host may.
	HostFull
	// Memory: the memory bound is nearly reached.
	Memory
	// Descriptors: the process can open no more files.
	Descriptors
)

var reasonNames = [...]string{"connection limit", "connection limit of one host", "memory", "file descriptors"}

// String returns the reason for the log.
func (r Reason) String() string { return reasonNames[r] }

// Info is what is known about a connection before its first octet.
type Info struct {
	// Session is the identifier of the session to come.
	Session ident.ID
	// Listener is the name the socket was opened by: "smtp", "imaps", …
	Listener string
	// Client is who connected, behind a listed proxy the original client;
	// never an IPv4-mapped address. It is zero on a Unix socket.
	Client netip.AddrPort
	// Local is the address the client connected to.
	Local netip.AddrPort
	// Proxy is the listed proxy that handed the connection on, else zero.
	Proxy netip.AddrPort
}

// Proxied reports whether a listed proxy named the client.
func (i Info) Proxied() bool { return i.Proxy.IsValid() }

// From names the client for the log.
func (i Info) From() string {
	if !i.Client.IsValid() {
		return "unix"
	}
	return i.Client.String()
}

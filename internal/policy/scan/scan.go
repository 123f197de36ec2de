// Package scan asks what a message's content is worth: ClamAV about viruses,
// rspamd about spam, milters about anything, and its own rules about the names
// and types of attachments.
//
// It stands behind the last octet of a message and before its acceptance, the
// milters at the session's earlier steps too. What programs outside answer is
// bounded and validated here: nothing they say can hold a session longer than
// its deadline, fill the memory or put a line into a message or reply. The
// package knows no settings, checks or verdicts, and dials through the caller,
// who alone knows how names are looked up.
package scan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"
)

// Dial opens a connection to a scanner, whose address may be a name.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Why a scanner gave no answer. Errors of this package wrap one of them, the
// context's error, or that of the message's reader.
var (
	// ErrDown: the scanner cannot be reached, or went away.
	ErrDown = errors.New("the scanner is not reachable")
	// ErrAnswer: what it said makes no sense, or is too long.
	ErrAnswer = errors.New("the scanner's answer makes no sense")
	// ErrScanner: it said that it cannot judge.
	ErrScanner = errors.New("the scanner reports an error")
	// ErrTooLarge: the message is larger than the scanner takes.
	ErrTooLarge = errors.New("the message is larger than the scanner takes")
)

// Endpoint is where a scanner listens.
type Endpoint struct {
	Network string // "tcp" or "unix"
	Address string // host:port, or a path
}

// ParseEndpoint reads host:port, unix:/path or a path, and what milters write:
// inet:port@host and local:/path.
func ParseEndpoint(s string) (Endpoint, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return Endpoint{}, fmt.Errorf("%q is no address of a scanner: a socket needs its whole path", s)
		}
		s = rest
	case "tcp":
		return tcpEndpoint(rest)
	case "inet", "inet6":
		port, host, ok := strings.Cut(rest, "@")
		if !ok {
			return tcpEndpoint(rest)
		}
		return tcpEndpoint(net.JoinHostPort(strings.Trim(host, "[]"), port))
	}
	if strings.HasPrefix(s, "/") {
		return Endpoint{Network: "unix", Address: s}, nil
	}
	return tcpEndpoint(s)
}

func tcpEndpoint(s string) (Endpoint, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" {
		return Endpoint{}, fmt.Errorf("%q is no address of a scanner; write host:port or unix:/path", s)
	}
	return Endpoint{Network: "tcp", Address: s}, nil
}

// String writes the endpoint in the form ParseEndpoint reads.
func (e Endpoint) String() string {
	if e.Network == "unix" {
		return "unix:" + e.Address
	}
	return e.Address
}

// dial opens a connection that ends with the context: its deadline applies to
// every read and write, and an early end interrupts them. release undoes that
// and closes the connection.
func dial(ctx context.Context, d Dial, e Endpoint) (conn net.Conn, release func(), err error) {
	conn, err = d(ctx, e.Network, e.Address)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", e, down(ctx, err))
	}
	stop := bind(ctx, conn)
	return conn, func() {
		stop()
		_ = conn.Close() // nothing is left to be said
	}, nil
}

// past is a deadline that ends reads and writes at once.
var past = time.Unix(1, 0)

// bind makes the connection's deadline that of the context until stop.
func bind(ctx context.Context, conn net.Conn) (stop func()) {
	deadline, _ := ctx.Deadline()  // none is the zero time, which lifts one
	_ = conn.SetDeadline(deadline) // fails on closed connections, as the next read tells
	end := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	return func() { end() }
}

// down says why a connection failed: the context's end, or ErrDown.
func down(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return fmt.Errorf("%w: %w", ErrDown, err)
}

// within bounds a context; 0 is no bound of its own.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// maxWord bounds names and reasons taken over from a scanner.
const maxWord = 200

// word makes one line of bounded length of what a scanner said.
func word(s string) string { return line(s, maxWord) }

// line replaces what is not printable and cuts at most octets.
func line(s string, most int) string {
	s = strings.ToValidUTF8(s[:min(len(s), most)], "")
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return r
	}, s)
}

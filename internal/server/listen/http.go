package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"posthorn/internal/base/event"
)

// HTTP lets net/http serve connections of a Group: it sees the original
// client's address, and a stop lets running requests finish. Use NewHTTP.
type HTTP struct {
	server *http.Server
	feed   *feed
	done   chan struct{}
}

// NewHTTP starts the server on connections to come. It takes over
// server.ConnState and server.ErrorLog. Close it after the Group has stopped.
func NewHTTP(server *http.Server, log *event.Logger) *HTTP {
	h := &HTTP{server: server, feed: &feed{conns: make(chan net.Conn), closed: make(chan struct{})}, done: make(chan struct{})}
	server.ConnState, server.ErrorLog = connState, log.Lines(event.APIFailed, "http")
	go func() {
		defer close(h.done)
		if err := server.Serve(h.feed); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			log.Log(event.APIFailed, slog.String("what", "serve"), event.Err(err))
		}
	}()
	return h
}

// connState shields a connection while a request runs.
func connState(c net.Conn, state http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if l, ok := c.(*link); ok {
		l.shield(state == http.StateActive)
	}
}

// Serve implements Server.
func (h *HTTP) Serve(ctx context.Context, c *Conn) {
	select {
	case h.feed.conns <- c.Conn:
		<-c.link.closed
	case <-h.feed.closed:
	case <-ctx.Done():
	}
}

// Refuse implements Server.
func (h *HTTP) Refuse(Reason, Info) []byte {
	return []byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

// Close ends the server and returns when it has ended.
func (h *HTTP) Close() error {
	err := h.server.Close()
	<-h.done
	return err
}

// feed is a net.Listener of connections accepted elsewhere. Only the
// http.Server closes it, once.
type feed struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

func (f *feed) Close() error   { close(f.closed); return nil }
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }

package app

import (
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/api"
	"posthorn/internal/server/auth"
	"posthorn/internal/server/listen"
)

// web are the HTTP servers: the API, and metrics on a listener of its own.
type web struct{ api, metrics *listen.HTTP }

// Times of a request: a body is at most 1 MB, and no answer takes long.
const (
	headerTime = 10 * time.Second
	readTime   = 30 * time.Second
	writeTime  = 2 * time.Minute
	idleTime   = 2 * time.Minute
	maxHeader  = 32 << 10
)

func (d *doors) newWeb(who *auth.Authenticator) web {
	deps := api.Deps{Service: d.h.Service, Log: d.h.Log, Metrics: d.metrics(), Hostname: d.h.handles.hostname,
		Clear: func() bool { return who.Offer().PlaintextWithoutTLS },
		Guard: func(client netip.Addr, listener string, log *event.Logger) api.Guard {
			return who.Guard(client, listener, log)
		}}
	return web{api: d.serveHTTP(api.New(deps)), metrics: d.serveHTTP(api.NewMetrics(deps))}
}

func (d *doors) serveHTTP(h http.Handler) *listen.HTTP {
	return listen.NewHTTP(&http.Server{Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime,
		WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader}, d.h.Log)
}

// alive makes a worker's life part of the server's health: a queue that nobody
// works on is found out at once.
func (d *doors) alive(part string, run func()) func() {
	var ended atomic.Bool
	d.h.Service.Watch(part, func() string {
		if ended.Load() {
			return "it has ended; restart the server"
		}
		return ""
	})
	return func() {
		defer ended.Store(true)
		run()
	}
}

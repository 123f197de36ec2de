package api

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"posthorn/internal/base/event"
	"posthorn/internal/server/manage"
)

const (
	// metricsTimeout bounds a scrape.
	metricsTimeout = 10 * time.Second
	// metricsAtOnce is how many scrapes run; another one is told 503.
	metricsAtOnce = 4
)

// metrics answers with the figures, in the format the client asks for, to
// whoever has the role reader.
func (d Deps) metrics() http.HandlerFunc {
	figures := d.Metrics
	if figures == nil {
		figures = prometheus.NewRegistry()
	}
	write := promhttp.HandlerFor(figures, promhttp.HandlerOpts{ErrorLog: d.Log.Lines(event.APIFailed, "metrics"), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: metricsAtOnce, Timeout: metricsTimeout})
	return func(w http.ResponseWriter, r *http.Request) {
		if role, ok := manage.RoleOf(r.Context()); !ok || !role.Covers(manage.Reader) {
			deny(w, http.StatusForbidden, "metrics need the role reader")
			return
		}
		write.ServeHTTP(w, r)
	}
}

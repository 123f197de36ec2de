package app

import (
	"regexp"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"posthorn/internal/base/event"
)

// metrics are the figures for /metrics. What happens to mail is counted where
// it always was, by the log and by the store; a scrape only reads.
func (d *doors) metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	live := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/gc/heap/live:bytes$")} // what server.memory bounds
	r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(live)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		d.build(), d.connections(), d.h.happenings(), d.h.dnsMetrics(), (&depths{h: d.h}).metrics(), d.h.storeMetrics())
	return r
}

// metric is one figure under a name that begins with posthorn_; that of a
// counter ends in _total, and units are part of it.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("posthorn_"+name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("posthorn_"+name, help, labels, nil), prometheus.GaugeValue}
}

// distribution is a histogram.
func distribution(name, help string) metric {
	return metric{desc: prometheus.NewDesc("posthorn_"+name, help, nil, nil)}
}

// to returns what sends values of the metric; labels are in the order of its
// declaration.
func (m metric) to(out chan<- prometheus.Metric) func(n float64, labels ...string) {
	return func(n float64, labels ...string) {
		for i := range labels {
			labels[i] = strings.ToValidUTF8(labels[i], "?")
		}
		v, err := prometheus.NewConstMetric(m.desc, m.kind, n, labels...)
		if err != nil {
			v = prometheus.NewInvalidMetric(m.desc, err)
		}
		out <- v
	}
}

// figures are metrics that are read together.
type figures struct {
	of   []metric
	read func(out chan<- prometheus.Metric)
}

// Describe implements prometheus.Collector.
func (f figures) Describe(out chan<- *prometheus.Desc) {
	for _, m := range f.of {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (f figures) Collect(out chan<- prometheus.Metric) { f.read(out) }

// build tells which program this is.
func (d *doors) build() figures {
	info := gauge("build_info", "Version of posthorn and of Go.", "version", "goversion")
	return figures{[]metric{info}, func(out chan<- prometheus.Metric) { info.to(out)(1, d.h.Version, runtime.Version()) }}
}

// connections tells of the doors.
func (d *doors) connections() figures {
	open := gauge("connections", "Connections open now, by listener.", "listener")
	hosts := gauge("client_hosts", "Different client hosts connected now.")
	accepted := counter("connections_accepted_total", "Connections accepted.")
	refused := counter("connections_turned_away_total", "Connections turned away because a bound was reached.")
	return figures{[]metric{open, hosts, accepted, refused}, func(out chan<- prometheus.Metric) {
		s := d.group.Stats()
		for name, n := range s.Listeners {
			open.to(out)(float64(n), name)
		}
		hosts.to(out)(float64(s.Hosts))
		accepted.to(out)(float64(s.Accepted))
		refused.to(out)(float64(s.Refused))
	}}
}

// happenings tells what the log told.
func (h *House) happenings() figures {
	f := figures{}
	labelled := map[event.Event]metric{
		event.SessionOpened: counter("sessions_total", "Mail sessions begun, by listener.", "listener"),
		event.AuthSucceeded: counter("logins_total", "Logins that succeeded, by listener.", "listener"),
		event.AuthFailed:    counter("login_failures_total", "Logins that failed, by listener.", "listener"),
		event.AuthBlocked:   counter("logins_blocked_total", "Logins not looked at after too many failures, by listener.", "listener"),
		event.PolicyDecision: counter("policy_decisions_total", "Decisions of checks other than to let pass, by check, stage, action and mode.",
			"check", "stage", "action", "mode"),
	}
	for _, m := range labelled {
		f.of = append(f.of, m)
	}
	messages := counter("messages_total", "Messages and recipients offered, by what became of them.", "result")
	offered := map[string]event.Event{"accepted": event.MessageAccepted, "refused": event.MessageRefused,
		"deferred": event.MessageDeferred, "discarded": event.MessageDropped}
	deliveries := counter("deliveries_total", "Recipients the queue worked on, by what became of them.", "result")
	tried := map[string]event.Event{"delivered": event.QueueDelivered, "deferred": event.QueueDeferred,
		"failed": event.QueueFailed, "expired": event.QueueExpired}
	notices := counter("notices_total", "Notices to senders.")
	revoked := counter("sessions_revoked_total", "Sessions ended because their login no longer held.")
	all := counter("events_total", "Lines of the log from level info on, written or not, by event (docs/events.md).", "event")
	f.of = append(f.of, messages, deliveries, notices, revoked, all)
	c := h.counts.series
	f.read = func(out chan<- prometheus.Metric) {
		for e, m := range labelled {
			c.by(e, m.to(out))
		}
		for result, e := range offered {
			messages.to(out)(c.total(e), result)
		}
		for result, e := range tried {
			deliveries.to(out)(c.total(e), result)
		}
		notices.to(out)(c.total(event.BounceQueued))
		revoked.to(out)(c.total(event.SessionRevoked))
		c.all(all.to(out))
	}
	return f
}

package api

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/server/manage"
)

// Metric is one figure with its values, as Prometheus reads them.
type Metric struct {
	// Name begins with posthorn_; counters end in _total, units are part of it.
	Name string
	Help string
	Kind MetricKind
	// Values have different labels each. Of a histogram there are none.
	Values []Value
	// Histogram is set for KindHistogram.
	Histogram *Histogram
}

// MetricKind is the type of a metric.
type MetricKind string

// The kinds there are.
const (
	Counter       MetricKind = "counter"
	Gauge         MetricKind = "gauge"
	KindHistogram MetricKind = "histogram"
)

// Value is one value; Labels are pairs of a name and a value.
type Value struct {
	Labels []string
	Number float64
}

// Histogram counts observations by size.
type Histogram struct {
	// Bounds are upper bounds, rising; Counts has one more, for the rest.
	Bounds []float64
	Counts []int64
	Sum    float64
}

// metricsTimeout bounds a scrape.
const metricsTimeout = 10 * time.Second

// metrics writes the figures in the text format, version 0.0.4.
func (d Deps) metrics(w http.ResponseWriter, r *http.Request) {
	role, ok := manage.RoleOf(r.Context())
	if !ok || !role.Covers(manage.Reader) {
		deny(w, http.StatusForbidden, "metrics need the role reader")
		return
	}
	var all []Metric
	if d.Metrics != nil {
		ctx, cancel := context.WithTimeout(r.Context(), metricsTimeout)
		defer cancel()
		all = d.Metrics(ctx)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(Text(all)) // the scraper went away: nobody to tell
}

// Text writes metrics in the exposition format of Prometheus. A metric without
// values is left out.
func Text(all []Metric) []byte {
	var b bytes.Buffer
	for _, m := range all {
		if len(m.Values) == 0 && m.Histogram == nil {
			continue
		}
		b.WriteString("# HELP " + m.Name + " " + helpEscape(m.Help) + "\n# TYPE " + m.Name + " " + string(m.Kind) + "\n")
		for _, v := range m.Values {
			line(&b, m.Name, v.Labels, v.Number)
		}
		if m.Histogram != nil {
			m.Histogram.text(&b, m.Name)
		}
	}
	return b.Bytes()
}

// text writes cumulative buckets.
func (h *Histogram) text(b *bytes.Buffer, name string) {
	var n int64
	for i, bound := range h.Bounds {
		n += h.Counts[i]
		line(b, name+"_bucket", []string{"le", number(bound)}, float64(n))
	}
	n += h.Counts[len(h.Bounds)]
	line(b, name+"_bucket", []string{"le", "+Inf"}, float64(n))
	line(b, name+"_sum", nil, h.Sum)
	line(b, name+"_count", nil, float64(n))
}

func line(b *bytes.Buffer, name string, labels []string, n float64) {
	b.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(labels[i] + `="` + labelEscape(labels[i+1]) + `"`)
	}
	if len(labels) > 1 {
		b.WriteByte('}')
	}
	b.WriteString(" " + number(n) + "\n")
}

func number(n float64) string {
	if math.IsInf(n, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(n, 'g', -1, 64)
}

func helpEscape(s string) string { return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(s) }

func labelEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(s, "?"))
}

package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"posthorn/internal/base/event"
	"posthorn/internal/server/api"
	"posthorn/internal/server/listen"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
)

// scrape asks /metrics as this machine may and reads the answer with
// Prometheus's own parser.
func scrape(t *testing.T, h http.Handler) map[string]*dto.MetricFamily {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:9090/metrics", nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %s\n%s", w.Code, w.Header(), w.Body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// values are those of counters and gauges as posthorn_name{a="b"}.
func values(families map[string]*dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			key := name + "{" + strings.Join(labels, ",") + "}"
			out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// newMeters is a house with its doors, and what answers /metrics.
func newMeters(t *testing.T) (*House, http.Handler) {
	t.Helper()
	h := newHouse(t, OpenOptions{Version: `1.0 "x"`})
	d := &doors{h: h, group: listen.NewGroup(listen.Options{})}
	t.Cleanup(func() { d.group.Stop(t.Context()) })
	return h, api.NewMetrics(api.Deps{Service: manage.New(manage.Options{}), Metrics: d.metrics(), Log: h.Log})
}

func TestMetricsAreInTheFormatAndBounded(t *testing.T) {
	t.Parallel()
	h, handler := newMeters(t)
	for range 3 {
		h.Log.Log(event.AuthFailed, slog.String("name", "mallory"), slog.String("listener", "imap"))
	}
	h.Log.Log(event.AuthBlocked) // without its label
	h.Log.Log(event.PolicyDecision, slog.String("mode", "enforce"), slog.String("check", "size"), slog.String("stage", "mail"), slog.String("action", "reject"))
	h.Log.Log(event.AuthSucceeded, slog.String("listener", "not UTF-8: \xff"))
	for i := range 3 * maxSeries {
		h.Log.Log(event.SessionOpened, slog.String("listener", "made-up-"+strconv.Itoa(i)))
	}
	families := scrape(t, handler)
	got := values(families)
	for name, want := range map[string]float64{
		`posthorn_login_failures_total{listener="imap"}`:                                            3,
		`posthorn_logins_blocked_total{listener=""}`:                                                1,
		`posthorn_logins_total{listener="not UTF-8: ?"}`:                                            1,
		`posthorn_policy_decisions_total{action="reject",check="size",mode="enforce",stage="mail"}`: 1,
		`posthorn_queue_recipients{destination="remote",state="held"}`:                              0,
		`posthorn_events_total{event="session.opened"}`:                                             3 * maxSeries,
		`posthorn_store_read_only{}`:                                                                0,
		`posthorn_dns_lookups_total{source="server"}`:                                               0,
		`posthorn_sessions_revoked_total{}`:                                                         0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v", name, v)
		}
	}
	if len(got) > maxSeries+300 {
		t.Errorf("%d series", len(got))
	}
	if got[`posthorn_sessions_total{listener="other"}`] < maxSeries {
		t.Error("what is over the bound is not counted as other")
	}
	for name, f := range families {
		ours := strings.HasPrefix(name, "posthorn_")
		if ours && (f.GetType() == dto.MetricType_COUNTER) != strings.HasSuffix(name, "_total") || f.GetHelp() == "" {
			t.Errorf("%s is a %s: %q", name, f.GetType(), f.GetHelp())
		}
	}
	for text := range got {
		if strings.Contains(text, "mallory") {
			t.Errorf("a name that somebody typed is a label: %s", text)
		}
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds", "process_open_fds", "posthorn_build_info"} {
		if families[name] == nil {
			t.Errorf("no %s among %v", name, slices.Sorted(maps.Keys(families)))
		}
	}
}

// What the store counts by size is told cumulatively, and the sums agree.
func TestCommitsAreAHistogram(t *testing.T) {
	t.Parallel()
	h, handler := newMeters(t)
	for i := range 5 {
		if err := h.Store.Directory().PutDomain(t.Context(), store.AnyVersion, store.DomainRow{Name: fmt.Sprintf("d%d.example", i)}); err != nil {
			t.Fatal(err)
		}
	}
	f := scrape(t, handler)["posthorn_store_commit_seconds"]
	s := h.Store.Stats().CommitTimes
	if f.GetType() != dto.MetricType_HISTOGRAM || len(f.Metric) != 1 {
		t.Fatalf("%v", f)
	}
	got := f.Metric[0].GetHistogram()
	if len(got.Bucket) != len(s.Bounds)+1 || got.GetSampleCount() == 0 || got.GetSampleSum() <= 0 {
		t.Fatalf("%v of %+v", got, s)
	}
	var n uint64
	for i, b := range got.Bucket {
		if n += uint64(s.Counts[i]); b.GetCumulativeCount() > n || i < len(s.Bounds) && b.GetUpperBound() != s.Bounds[i] {
			t.Errorf("bucket %d: %v, counted %d", i, b, n)
		}
	}
	if last := got.Bucket[len(s.Bounds)]; last.GetCumulativeCount() != got.GetSampleCount() {
		t.Errorf("%v of %d", last, got.GetSampleCount())
	}
}

// A store that fails costs the figures that need it, not the others.
func TestMetricsOfATroubledStore(t *testing.T) {
	t.Parallel()
	h, handler := newMeters(t)
	h.Store = ailing{h.Store}
	got := values(scrape(t, handler))
	if _, ok := got[`posthorn_disk_free_bytes{}`]; ok {
		t.Error("a figure nobody knows is told")
	}
	if _, ok := got[`posthorn_store_commits_total{}`]; !ok {
		t.Error("a figure in memory is missing")
	}
	if got[`posthorn_events_total{event="store.failed"}`] == 0 && values(scrape(t, handler))[`posthorn_events_total{event="store.failed"}`] == 0 {
		t.Error("the operator is not told")
	}
}

// ailing is a store that cannot say how much room there is.
type ailing struct{ store.Store }

func (ailing) Room(context.Context) (store.Room, error) { return store.Room{}, store.ErrReadOnly }

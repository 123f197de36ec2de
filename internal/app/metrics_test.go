package app

import (
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"posthorn/internal/app/boot"
	"posthorn/internal/base/event"
	"posthorn/internal/server/api"
	"posthorn/internal/server/listen"
)

// scraped is the text format read back: types and values by series.
type scraped struct {
	kinds  map[string]string
	values map[string]float64
}

var (
	seriesLine = regexp.MustCompile(`^([a-z_]+)(\{(?:[a-z]+="(?:[^"\\]|\\["\\n])*",?)+\})? (\S+)$`)
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE) (posthorn_[a-z_]+) (.+)$`)
)

// scrape reads the format strictly: every series under its TYPE, none twice.
func scrape(t *testing.T, text string) scraped {
	t.Helper()
	s, current := scraped{map[string]string{}, map[string]float64{}}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := metaLine.FindStringSubmatch(line); m != nil {
			if m[1] == "TYPE" {
				if s.kinds[m[2]] != "" || !slices.Contains([]string{"counter", "gauge", "histogram"}, m[3]) {
					t.Errorf("%s", line)
				}
				s.kinds[m[2]] = m[3]
			}
			current = m[2]
			continue
		}
		m := seriesLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a line of the format: %q", line)
			continue
		}
		base := m[1]
		if s.kinds[current] == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
		}
		v, err := strconv.ParseFloat(m[3], 64)
		_, twice := s.values[m[1]+m[2]]
		if err != nil || base != current || twice || math.IsNaN(v) {
			t.Errorf("%s (under %s)", line, current)
		}
		s.values[m[1]+m[2]] = v
	}
	return s
}

func TestMetricsAreInTheFormatAndBounded(t *testing.T) {
	t.Parallel()
	h, err := Open(t.Context(), boot.Config{Data: t.TempDir()}, OpenOptions{Version: `1.0 "x"`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &doors{h: h, group: listen.NewGroup(listen.Options{})}
	t.Cleanup(func() { d.group.Stop(t.Context()) })
	for range 3 {
		h.Log.Log(event.AuthFailed, slog.String("listener", "imap"), slog.String("name", "mallory"))
	}
	h.Log.Log(event.PolicyDecision, slog.String("check", "size"), slog.String("stage", "mail"), slog.String("action", "reject"), slog.String("mode", "enforce"))
	for i := range 3 * maxSeries {
		h.Log.Log(event.SessionOpened, slog.String("listener", "made-up-"+strconv.Itoa(i)))
	}
	m := &meters{d: d}
	got := scrape(t, string(api.Text(m.read(t.Context()))))
	for series, want := range map[string]float64{
		`posthorn_login_failures_total{listener="imap"}`:                                            3,
		`posthorn_policy_decisions_total{check="size",stage="mail",action="reject",mode="enforce"}`: 1,
		`posthorn_queue_recipients{destination="remote",state="held"}`:                              0,
		`posthorn_events_total{event="session.opened"}`:                                             3 * maxSeries,
		`posthorn_store_read_only`:                                                                  0,
	} {
		if v, ok := got.values[series]; !ok || v != want {
			t.Errorf("%s is %v", series, v)
		}
	}
	if len(got.values) > maxSeries+200 {
		t.Errorf("%d series", len(got.values))
	}
	if got.values[`posthorn_sessions_total{other="yes"}`] < maxSeries {
		t.Error("what is over the bound is not counted as other")
	}
	for name, kind := range got.kinds {
		if (kind == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, kind)
		}
	}
	for text := range got.values {
		if strings.Contains(text, "mallory") {
			t.Errorf("a name that somebody typed is a label: %s", text)
		}
	}
	if n := got.values["posthorn_store_commit_seconds_count"]; n != got.values[`posthorn_store_commit_seconds_bucket{le="+Inf"}`] {
		t.Errorf("the histogram has %v and %v", n, got.values[`posthorn_store_commit_seconds_bucket{le="+Inf"}`])
	}
}

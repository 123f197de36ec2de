package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"posthorn/internal/base/event"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// hall is the API over a store, with a guard that knows the password "right".
func hall(t *testing.T) http.Handler {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), t.TempDir(), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(Deps{Service: manage.New(manage.Options{Store: s}), Guard: (&one{}).guard, Metrics: figures()})
}

// figures are those of a server that has one.
func figures() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "posthorn_one", Help: "One."}, func() float64 { return 1 }))
	return r
}

// send sends what an administrator would, and changes it first.
func send(t *testing.T, h http.Handler, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	r.SetBasicAuth("admin", "right")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Every error is a problem that names the place and the way out.
func TestProblemsNamePlaceAndRemedy(t *testing.T) {
	t.Parallel()
	h := hall(t)
	for name, c := range map[string]struct {
		method, path, body string
		change             func(*http.Request)
		status             int
		at, says           string
	}{
		"no route":          {method: "GET", path: "/api/v1/nothing", status: 404, says: "/api/v1/openapi.json"},
		"no such method":    {method: "PUT", path: "/api/v1/tokens", status: 405, says: "GET"},
		"unknown field":     {"POST", "/api/v1/tokens", `{"name":"a","role":"reader","rolle":"x"}`, nil, 422, "body.rolle", "the fields are author, expires, name, networks, role"},
		"unknown parameter": {"GET", "/api/v1/tokens?limt=1", "", nil, 422, "query.limt", "the parameters are after, limit"},
		"wrong type":        {"POST", "/api/v1/tokens", `{"name":1,"role":"reader"}`, nil, 422, "body.name", "expected string"},
		"missing":           {"POST", "/api/v1/tokens", `{"name":"a"}`, nil, 422, "body", "role"},
		"no such value":     {"POST", "/api/v1/tokens", `{"name":"a","role":"king"}`, nil, 422, "body.role", "reader, operator, administrator"},
		"a rule of ours":    {"POST", "/api/v1/tokens", `{"name":"a b","role":"reader"}`, nil, 422, "body.name", "letters, digits"},
		"in the past":       {"POST", "/api/v1/tokens", `{"name":"a","role":"reader","expires":"2001-01-01T00:00:00Z"}`, nil, 422, "body.expires", "time to come"},
		"too large a page":  {"GET", "/api/v1/tokens?limit=5000", "", nil, 422, "query.limit", "1000"},
		"no number":         {"GET", "/api/v1/tokens?limit=ten", "", nil, 422, "query.limit", "integer"},
		"no JSON":           {"POST", "/api/v1/tokens", `{"name":"a secret thing",`, nil, 400, "body", ""},
		"no body":           {"POST", "/api/v1/tokens", "", nil, 400, "", "the fields are author"},
		"other media":       {"POST", "/api/v1/tokens", "name: a", func(r *http.Request) { r.Header.Set("Content-Type", "application/yaml") }, 415, "body", "application/yaml; send the header Content-Type: application/json"},
		"too large":         {"POST", "/api/v1/tokens", `{"name":"` + strings.Repeat("a", manage.MaxBody) + `"}`, nil, 413, "", "1048576"},
		"not there":         {"GET", "/api/v1/tokens/x", "", nil, 404, "", "token x"},
		"cross-site":        {"POST", "/api/v1/tokens", `{}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "", "another site"},
		"foreign origin":    {"DELETE", "/api/v1/tokens/x", "", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403, "", "another site"},
		"no login":          {"GET", "/api/v1/tokens", "", func(r *http.Request) { r.Header.Del("Authorization") }, 401, "", "Bearer"},
		"no administrator":  {"GET", "/api/v1/tokens", "", func(r *http.Request) { r.SetBasicAuth("user", "right") }, 403, "", "no administrator"},
		"no such token":     {"GET", "/api/v1/tokens", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ph_x") }, 401, "", "token"},
	} {
		w := send(t, h, c.method, c.path, c.body, c.change)
		var problem struct {
			Status        int
			Title, Detail string
			Errors        []struct{ Location, Message string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %s", name, w.Header().Get("Content-Type"), w.Body)
			continue
		}
		at := ""
		if len(problem.Errors) > 0 {
			at = problem.Errors[0].Location
		}
		if w.Code != c.status || problem.Status != c.status || problem.Title == "" || at != c.at || !strings.Contains(problem.Detail, c.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if bytes.Contains(w.Body.Bytes(), []byte("a secret thing")) {
			t.Errorf("%s: the answer repeats what was sent: %s", name, w.Body)
		}
	}
}

// reliability.md row 32: what a browser might do with an answer, it is told not to.
func TestEveryAnswerHasTheHeaders(t *testing.T) {
	t.Parallel()
	h := hall(t)
	for _, path := range []string{"/api/v1/tokens", "/api/v1/nothing", "/api/v1/openapi.json", "/healthz", "/metrics", "/"} {
		w := send(t, h, "GET", path, "", nil)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"} {
			if got := w.Header().Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	w := send(t, h, "GET", "/api/v1/tokens", "", func(r *http.Request) { r.Header.Del("Authorization") })
	if got := w.Header().Values("WWW-Authenticate"); len(got) != 2 {
		t.Errorf("a login is asked for with %q", got)
	}
}

// A page of this server may do what a page of another may not.
func TestOwnPagesMayChangeThings(t *testing.T) {
	t.Parallel()
	h := hall(t)
	for site, want := range map[string]int{"same-origin": 201, "none": 201, "cross-site": 403, "same-site": 403} {
		w := send(t, h, "POST", "/api/v1/tokens", `{"name":"`+site+`","role":"reader"}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) })
		if w.Code != want {
			t.Errorf("%s: %d %s", site, w.Code, w.Body)
		}
	}
}

// A body that trickles in, or is too large, is cut off (reliability row 11).
func TestEveryBodyIsBounded(t *testing.T) {
	t.Parallel()
	for path, item := range Describe(manage.New(manage.Options{})).Paths {
		for _, op := range operationsOf(item) {
			if op.BodyReadTimeout <= 0 || op.BodyReadTimeout > time.Minute || op.MaxBodyBytes <= 0 || op.MaxBodyBytes > 1<<20 {
				t.Errorf("%s %s: %d octets in %v", op.Method, path, op.MaxBodyBytes, op.BodyReadTimeout)
			}
		}
	}
}

// Whoever watches is told why, and strangers no more than that.
func TestHealthTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := &ailing{room: store.Room{Free: 1 << 40, Total: 1 << 41}}
	service := manage.New(manage.Options{Store: s})
	wrong := ""
	service.Watch("queue", func() string { return wrong })
	h := New(Deps{Service: service})
	check := func(want int, says string) {
		t.Helper()
		w := send(t, h, "GET", "/healthz", "", func(r *http.Request) { r.Header.Del("Authorization"); r.RemoteAddr = "192.0.2.1:1" })
		var answer manage.Health
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != want || answer.Ready != (want == 200) || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%d %s (%v)", w.Code, w.Body, err)
		}
		if strings.Contains(w.Body.String(), "/var/lib") {
			t.Errorf("strangers learn %s", w.Body)
		}
		if live := send(t, h, "GET", "/healthz/live", "", nil); live.Code != 200 {
			t.Errorf("not alive: %d", live.Code)
		}
	}
	check(200, `"queue","ready":true`)
	wrong = "it has ended"
	check(503, "it has ended")
	wrong = ""
	s.room.Free = 1000
	check(503, "no room")
	s.room.Free, s.room.ReadOnly = 1<<40, errPath
	check(503, "takes nothing")
	s.room.ReadOnly, s.err = nil, errPath
	check(503, "does not answer")
}

var errPath = &net.OpError{Op: "write /var/lib/posthorn/store", Err: io.ErrShortWrite}

// ailing is a store whose disk is what a test says.
type ailing struct {
	store.Store
	room store.Room
	err  error
}

func (a *ailing) Room(context.Context) (store.Room, error) { return a.room, a.err }

// /metrics tells a lot: on the listener of its own this machine may read it, on
// the others whoever has the role reader.
func TestMetricsNeedARoleOrThisMachine(t *testing.T) {
	t.Parallel()
	deps := Deps{Service: manage.New(manage.Options{}), Guard: func(netip.Addr, string, *event.Logger) Guard { return &one{} }, Clear: func() bool { return true },
		Metrics: figures()}
	own, other := NewMetrics(deps), New(deps)
	for _, c := range []struct {
		h     http.Handler
		from  string
		login bool
		want  int
	}{
		{own, "127.0.0.1:1", false, 200}, {own, "192.0.2.1:1", false, 401}, {own, "192.0.2.1:1", true, 200},
		{other, "127.0.0.1:1", false, 401}, {other, "127.0.0.1:1", true, 200},
	} {
		w := send(t, c.h, "GET", "/metrics", "", func(r *http.Request) {
			r.Host, r.RemoteAddr = "localhost", c.from
			if !c.login {
				r.Header.Del("Authorization")
			}
		})
		if w.Code != c.want || (w.Code == 200) != strings.Contains(w.Body.String(), "posthorn_one 1\n") {
			t.Errorf("from %s, login %v: %d %s", c.from, c.login, w.Code, w.Body)
		}
	}
	if w := send(t, own, "GET", "/api/v1/tokens", "", nil); w.Code != 404 {
		t.Errorf("the listener for metrics has an API: %d", w.Code)
	}
}

// A page of a site whose name leads to this machine (DNS rebinding) asks by that
// name, and is no program of this machine.
func TestMetricsWithoutALoginAreAskedByThisMachinesName(t *testing.T) {
	t.Parallel()
	deps := Deps{Service: manage.New(manage.Options{}), Guard: func(netip.Addr, string, *event.Logger) Guard { return &one{} }, Metrics: figures(),
		Hostname: func() string { return "mx.ours.test" }}
	own := NewMetrics(deps)
	for host, want := range map[string]int{
		"127.0.0.1:9090": 200, "127.0.0.1": 200, "[::1]:9090": 200, "[::1]": 200, "192.0.2.1:9090": 200, "localhost:9090": 200, "LocalHost": 200, "localhost.": 200,
		"mx.ours.test:9090": 200, "MX.ours.test": 200,
		"evil.test:9090": 401, "evil.test": 401, "": 401, "127.0.0.1.evil.test": 401, "localhost.evil.test:9090": 401, "ours.test": 401, ":9090": 401,
	} {
		ask := func(login bool) int {
			return send(t, own, "GET", "/metrics", "", func(r *http.Request) {
				if r.Host = host; !login {
					r.Header.Del("Authorization")
				}
			}).Code
		}
		if got := ask(false); got != want {
			t.Errorf("Host %q: %d, want %d", host, got, want)
		}
		if got := ask(true); got != 200 {
			t.Errorf("Host %q with a login: %d", host, got)
		}
	}
}

// A scrape that hangs takes one of a few places, never more.
func TestScrapesAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	began, goOn := make(chan struct{}), make(chan struct{})
	r := prometheus.NewRegistry()
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "posthorn_slow", Help: "Slow."}, func() float64 {
		began <- struct{}{}
		<-goOn
		return 1
	}))
	h := NewMetrics(Deps{Service: manage.New(manage.Options{}), Metrics: r})
	here := func(r *http.Request) { r.Host = "localhost" }
	var all sync.WaitGroup
	codes := make(chan int, metricsAtOnce)
	for range metricsAtOnce {
		all.Go(func() { codes <- send(t, h, "GET", "/metrics", "", here).Code })
	}
	for range metricsAtOnce {
		<-began
	}
	if w := send(t, h, "GET", "/metrics", "", here); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more: %d %s", w.Code, w.Body)
	}
	close(goOn)
	all.Wait()
	for range metricsAtOnce {
		if code := <-codes; code != 200 {
			t.Errorf("%d", code)
		}
	}
}

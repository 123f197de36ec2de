// Package api is the HTTP door for programs: every operation of server/manage
// under /api/v1 with its description at /api/v1/openapi.json, /metrics for
// whoever measures the server and /healthz for whoever watches it. It has no
// rule of its own beyond who may come in.
//
//	request ─► headers ─► cross-site? ─► login (login.go) ─► route ─► role ─► manage
//
// Every error is application/problem+json (RFC 9457), also those of the router.
package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"posthorn/internal/base/event"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
)

// Guard lets one client log in, counts and logs its failures together with
// those of all other protocols, and says what they cost; *auth.Guard does.
type Guard interface {
	Password(ctx context.Context, name, password string) (store.AccountRow, error)
	Bearer(ctx context.Context, verify func() error) error
	Penalty() (delay time.Duration, last bool)
}

// Deps are what the handler works with.
type Deps struct {
	Service *manage.Service
	Guard   func(client netip.Addr, listener string, log *event.Logger) Guard
	// Clear reports that passwords and tokens may cross the network without TLS
	// (M-GEN-06 is lifted). From this machine they always may.
	Clear func() bool
	// Hostname is this server's name (server.hostname); nil: it has none.
	Hostname func() string
	// Metrics gathers the figures of this moment; nil: there are none.
	Metrics prometheus.Gatherer
	Log     *event.Logger
}

// version is that of the interface; which server this is, is nobody's business.
const version = "1"

// prefix is where the operations are.
const prefix = "/api/v1"

// New returns the handler of the listeners http and https. The description and
// the health are open; all else needs a login, and the role the operation
// declares.
func New(d Deps) http.Handler {
	mux := http.NewServeMux()
	describe(mux, d.Service)
	mux.HandleFunc("GET /healthz", d.health)
	mux.HandleFunc("GET /healthz/live", live)
	mux.HandleFunc("GET /metrics", d.metrics())
	return d.outside(d.inside(routed(mux)))
}

// NewMetrics returns the handler of the listener metrics: /metrics and the
// health, nothing else. From this machine it needs no login, if this machine is
// meant: a page that has the name of its site lead here (DNS rebinding) asks by
// that name.
func NewMetrics(d Deps) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", d.health)
	mux.HandleFunc("GET /healthz/live", live)
	mux.HandleFunc("GET /metrics", d.metrics())
	inside := d.inside(routed(mux))
	return d.outside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := client(r); from.IsLoopback() && d.ours(r.Host) {
			r = r.WithContext(manage.WithRole(r.Context(), manage.Reader))
			routed(mux).ServeHTTP(w, r)
			return
		}
		inside.ServeHTTP(w, r)
	}))
}

// ours reports that a Host field (RFC 9110 §7.2) names this machine by an
// address, or by a name that nobody else can give it.
func (d Deps) ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return true
	}
	return d.Hostname != nil && host != "" && strings.EqualFold(host, d.Hostname())
}

// Describe returns the description of all operations, as /api/v1/openapi.json
// has it.
func Describe(s *manage.Service) *huma.OpenAPI { return describe(http.NewServeMux(), s) }

func describe(mux humago.Mux, s *manage.Service) *huma.OpenAPI {
	config := huma.DefaultConfig("posthorn", version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/openapi", "", ""
	config.CreateHooks = nil // no $schema fields in answers
	config.Transformers = []huma.Transformer{explainer{config.Components.Schemas}.explain}
	config.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	config.Info.Description = "Everything an administrator can do with this server. Errors are application/problem+json (RFC 9457): detail says what " +
		"is wrong and what to do, errors names each field. Unknown fields and query parameters are refused. Lists come in pages: give next of one as after " +
		"of the next. Times are RFC 3339 in UTC, sizes integers of octets. What a role may do, every higher one may: reader, operator, administrator."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token (posthorn token add); it has the role it was made with"},
		"basic": {Type: "http", Scheme: "basic", Description: "Name and password of an account that is an administrator"},
	}
	config.Security = []map[string][]string{{"token": {}}, {"basic": {}}}
	api := humago.NewWithPrefix(mux, prefix, config)
	manage.Register(api, s)
	doc := api.OpenAPI()
	doc.Components.Schemas.Map()["Settings"] = s.SettingsSchema()
	finish(doc)
	return doc
}

// outside is what holds for every request, before anybody has looked at it. A
// browser's cross-site request is refused because Basic credentials travel by
// themselves (reliability row 32).
func (d Deps) outside(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		deny(w, http.StatusForbidden, "a page of another site sent this request; call the API from a program, or from a page of this server")
	}))
	guarded := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		r.Body = http.MaxBytesReader(w, r.Body, 2*manage.MaxBody) // an operation refuses half of that in its own words
		guarded.ServeHTTP(w, r)
	})
}

// open are the paths that tell nothing about this server but that it is there.
func open(path string) bool {
	switch path {
	case "/healthz", "/healthz/live", prefix + "/openapi.json", prefix + "/openapi.yaml", prefix + "/openapi-3.0.json", prefix + "/openapi-3.0.yaml":
		return true
	}
	return false
}

// inside lets in who may come in.
func (d Deps) inside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
		} else if who, role, ok := d.login(w, r); ok {
			ctx := manage.WithHTTP(manage.WithRole(manage.WithAuthor(r.Context(), who), role))
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// Package api is the HTTP door for programs: every operation of server/manage
// under /api/v1 with its description at /api/v1/openapi.json, and /healthz for
// whoever watches the server. It has no rule of its own.
package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"posthorn/internal/base/event"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// Guard lets one client log in, counts and logs its failures together with
// those of all other protocols, and says what they cost; *auth.Guard does.
type Guard interface {
	Password(ctx context.Context, name, password string) (store.AccountRow, error)
	Penalty() (delay time.Duration, last bool)
}

// Deps are what the handler works with.
type Deps struct {
	Service *manage.Service
	Guard   func(client netip.Addr, listener string, log *event.Logger) Guard
	// Clear reports that passwords may cross the network without TLS
	// (M-GEN-06 is lifted). From this machine they always may.
	Clear func() bool
	Log   *event.Logger
}

// version is that of the interface; which server this is, is nobody's business.
const version = "1"

// New returns the handler. Calls under /api/v1 need the name and password of
// an administrator (HTTP Basic); the description and the health are open.
func New(d Deps) http.Handler {
	s := d.Service
	mux := http.NewServeMux()
	config := huma.DefaultConfig("posthorn", version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/openapi", "", "/schemas"
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"basic": {Type: "http", Scheme: "basic"}}
	config.Security = []map[string][]string{{"basic": {}}}
	config.CreateHooks = nil // no $schema fields in answers
	api := humago.NewWithPrefix(mux, "/api/v1", config)
	manage.Register(api, s)
	api.OpenAPI().Components.Schemas.Map()["Settings"] = s.SettingsSchema()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { health(w, r, s) })
	return http.MaxBytesHandler(d.administrators(mux), 64<<20)
}

// open are the paths that tell nothing about this server.
func open(path string) bool {
	return path == "/healthz" || path == "/api/v1/openapi.json" || path == "/api/v1/openapi.yaml"
}

// administrators lets nobody else in. A browser's cross-site request is refused
// before it is looked at, because Basic credentials travel by themselves
// (reliability row 32).
func (d Deps) administrators(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
		} else if who, ok := d.login(w, r); ok {
			next.ServeHTTP(w, r.WithContext(manage.WithRole(manage.WithAuthor(r.Context(), who), manage.Administrator)))
		}
	}))
}

// login returns which administrator asks, and answers everybody else.
func (d Deps) login(w http.ResponseWriter, r *http.Request) (who string, ok bool) {
	from := client(r)
	if r.TLS == nil && from.IsValid() && !from.IsLoopback() && !d.Clear() {
		deny(w, http.StatusForbidden, "passwords are not taken over a network without TLS")
		return "", false
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		deny(w, http.StatusUnauthorized, "log in as an administrator")
		return "", false
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	g := d.Guard(from, "http", d.Log)
	a, err := g.Password(ctx, name, password)
	if err == nil && a.Admin {
		return primary(a), true
	}
	hold, _ := g.Penalty()
	pause(r.Context(), hold)
	if err != nil && !errors.Is(err, sasl.ErrCredentials) {
		deny(w, http.StatusServiceUnavailable, "logins cannot be checked right now")
		return "", false
	}
	deny(w, http.StatusUnauthorized, "log in as an administrator")
	return "", false
}

// primary names an account.
func primary(a store.AccountRow) string {
	if len(a.Addresses) == 0 {
		return "account " + strconv.FormatInt(int64(a.ID), 10)
	}
	return a.Addresses[0].String()
}

// client is where the request comes from, the zero address for a Unix socket.
func client(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// pause holds an answer back, unless nobody waits for it any more.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func deny(w http.ResponseWriter, status int, text string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="posthorn", charset="UTF-8"`)
	}
	http.Error(w, text, status)
}

// health answers 200 while mail can be accepted.
func health(w http.ResponseWriter, r *http.Request, s *manage.Service) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.Health(ctx); err != nil {
		http.Error(w, "not accepting mail", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n")) // the watcher went away: nobody to tell
}

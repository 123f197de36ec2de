// Package api is the HTTP door for programs: every operation of server/manage
// under /api/v1 with its description at /api/v1/openapi.json, and /healthz for
// whoever watches the server. It has no rule of its own.
package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"posthorn/internal/base/event"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// Authenticator checks a name and password.
type Authenticator interface {
	Password(ctx context.Context, name, password string) (store.AccountRow, error)
}

// New returns the handler. Calls under /api/v1 need the name and password of
// an administrator (HTTP Basic); the description and the health are open.
func New(s *manage.Service, who Authenticator, log *event.Logger) http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("posthorn", s.Version())
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/openapi", "", "/schemas"
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"basic": {Type: "http", Scheme: "basic"}}
	config.Security = []map[string][]string{{"basic": {}}}
	config.CreateHooks = nil // no $schema fields in answers
	api := humago.NewWithPrefix(mux, "/api/v1", config)
	manage.Register(api, s)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { health(w, r, s) })
	return http.MaxBytesHandler(guard(mux, who, log), 64<<20)
}

// open are the paths that tell nothing about this server.
func open(path string) bool {
	return path == "/healthz" || path == "/api/v1/openapi.json" || path == "/api/v1/openapi.yaml"
}

// guard lets administrators in. A browser's cross-site request is refused
// before it is looked at, because Basic credentials travel by themselves
// (reliability row 32).
func guard(next http.Handler, who Authenticator, log *event.Logger) http.Handler {
	cross := http.NewCrossOriginProtection()
	return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		name, password, ok := r.BasicAuth()
		if !ok {
			deny(w, http.StatusUnauthorized, "log in as an administrator")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		a, err := who.Password(ctx, name, password)
		cancel()
		switch {
		case errors.Is(err, sasl.ErrCredentials), err == nil && !a.Admin:
			log.Log(event.APIFailed, event.Err(err))
			deny(w, http.StatusUnauthorized, "log in as an administrator")
		case err != nil:
			deny(w, http.StatusServiceUnavailable, "logins cannot be checked right now")
		default:
			next.ServeHTTP(w, r)
		}
	}))
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

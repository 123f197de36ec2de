package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// health answers 200 while mail can be accepted and is delivered, else 503 with
// the reasons.
func (d Deps) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	h := d.Service.Health(ctx)
	w.Header().Set("Content-Type", "application/json")
	if !h.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h) // the watcher went away: nobody to tell
}

// live answers while the process does; what ails it, /healthz tells. Whoever
// restarts what does not answer asks here: a full disk is not mended so.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"live":true}` + "\n"))
}

package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// deny answers with a problem outside any operation.
func deny(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: text}) // the client went away: nobody to tell
}

// explainer knows which fields there are.
type explainer struct{ schemas huma.Registry }

// explain makes each problem say which field is wrong and what to do. It takes
// the values out: they may be secrets, and whoever sent them has them.
func (x explainer) explain(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	op := ctx.Operation()
	var said []string
	for _, e := range m.Errors {
		e.Value = nil
		switch {
		case e.Message == "unexpected property":
			e.Message = "unknown field" + suggest("fields", x.fieldsOf(op))
		case e.Message == "unknown query parameter":
			e.Message += suggest("parameters", parametersOf(op))
		}
		text := e.Message
		if e.Location != "" && e.Location != "body" {
			text = e.Location + ": " + text
		}
		said = append(said, text)
	}
	switch {
	case m.Status == http.StatusRequestEntityTooLarge:
		m.Detail = fmt.Sprintf("the request body is over %d octets; send less, or use the command line on the server", op.MaxBodyBytes)
	case m.Status == http.StatusUnsupportedMediaType:
		m.Detail = strings.Join(append(said, "send the header Content-Type: application/json"), "; ")
	case m.Status == http.StatusRequestTimeout:
		m.Detail = "the request body did not arrive in time; send it again"
	case m.Status == http.StatusInternalServerError:
		m.Detail = "the server failed: " + m.Detail + "; its log may tell more"
	case m.Detail == "request body is required":
		m.Detail = "the request needs a JSON body" + suggest("fields", x.fieldsOf(op))
	case m.Detail == "validation failed" && len(said) > 0:
		m.Detail = strings.Join(said, "; ")
	}
	return m, nil
}

// suggest lists what there is instead.
func suggest(what string, names []string) string {
	if len(names) == 0 {
		return "; there are no " + what + " here"
	}
	return "; the " + what + " are " + strings.Join(names, ", ")
}

// fieldsOf names the fields of an operation's body.
func (x explainer) fieldsOf(op *huma.Operation) []string {
	if op == nil || op.RequestBody == nil {
		return nil
	}
	content := op.RequestBody.Content["application/json"]
	if content == nil || content.Schema == nil {
		return nil
	}
	s := content.Schema
	for s != nil && s.Ref != "" {
		s = x.schemas.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// parametersOf names an operation's query parameters.
func parametersOf(op *huma.Operation) (names []string) {
	for _, p := range op.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// routed answers in problems where the router has no route.
func routed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &refusal{header: http.Header{}}
		mux.ServeHTTP(probe, r)
		if allow := probe.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			deny(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not possible here; %s is", r.Method, allow))
			return
		}
		deny(w, http.StatusNotFound, "nothing is at this address; what there is, "+prefix+"/openapi.json tells")
	})
}

// refusal takes the router's own answer for its headers.
type refusal struct{ header http.Header }

func (f *refusal) Header() http.Header         { return f.header }
func (f *refusal) Write(b []byte) (int, error) { return len(b), nil }
func (f *refusal) WriteHeader(int)             {}

package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// remedies say what to do about each error an operation can answer with.
func remedies() map[int]string {
	return map[int]string{
		http.StatusBadRequest:            "The body is no JSON. Detail says where.",
		http.StatusUnauthorized:          "No login, or a wrong one. Wrong ones are answered late and counted.",
		http.StatusForbidden:             "The login may not do this, crossed a network without TLS, or came from a page of another site.",
		http.StatusNotFound:              "What the path names does not exist.",
		http.StatusRequestTimeout:        "The body came too slowly.",
		http.StatusConflict:              "It exists already, somebody else changed it meanwhile, or a bound is reached. Look again, then repeat.",
		http.StatusRequestEntityTooLarge: "The body is over 1 MB.",
		http.StatusUnsupportedMediaType:  "Send application/json.",
		http.StatusUnprocessableEntity:   "A field or parameter is unknown or has a value it cannot have. errors names each.",
		http.StatusInternalServerError:   "The server failed; its log tells more.",
		http.StatusServiceUnavailable:    "Not now: the store does not answer, or too many logins wait. Repeat later.",
		http.StatusInsufficientStorage:   "The disk is full.",
	}
}

func operationsOf(item *huma.PathItem) (all []*huma.Operation) {
	if item == nil {
		return nil
	}
	for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
		if op != nil {
			all = append(all, op)
		}
	}
	return all
}

// finish puts into the description what is the same for all operations.
func finish(doc *huma.OpenAPI) {
	says, tags := remedies(), map[string]bool{}
	for _, item := range doc.Paths {
		for _, op := range operationsOf(item) {
			op.Security = doc.Security
			for _, tag := range op.Tags {
				tags[tag] = true
			}
			for code, r := range op.Responses {
				if n, err := strconv.Atoi(code); err == nil && says[n] != "" {
					r.Description = says[n]
				}
			}
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: tag, Description: "Operations of posthorn " + tag})
	}
}

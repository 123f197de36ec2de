// Package manage holds every administrative operation once. The HTTP API, the
// command line and the console's pages call what is declared here; none of
// them has a rule of its own.
//
// An operation takes a struct and returns a struct. Fields tagged `path` or
// `query` stand in the address of its API route, the field Body in the
// request's body; the command line sends the whole struct as JSON.
package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Operation is one administrative operation.
type Operation struct {
	// ID names the operation in the API description and over the control
	// socket: "domain-add".
	ID      string
	Method  string
	Path    string
	Summary string

	register func(huma.API, *Service)
	call     func(context.Context, *Service, []byte) ([]byte, error)
}

// declare ties an operation's name to its function. The types give the API
// schema.
func declare[I, O any](id, method, path, summary string, run func(*Service, context.Context, *I) (O, error)) Operation {
	op := Operation{ID: id, Method: method, Path: path, Summary: summary}
	op.register = func(api huma.API, s *Service) {
		huma.Register(api, huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary},
			func(ctx context.Context, in *I) (*answer[O], error) {
				out, err := run(s, ctx, in)
				if err != nil {
					return nil, huma.NewError(StatusOf(err), plain(err).Error())
				}
				return &answer[O]{Body: out}, nil
			})
	}
	op.call = func(ctx context.Context, s *Service, input []byte) ([]byte, error) {
		in := new(I)
		d := json.NewDecoder(bytes.NewReader(input))
		d.DisallowUnknownFields()
		if err := d.Decode(in); err != nil {
			return nil, fmt.Errorf("%w: %s: %v", ErrInput, id, err)
		}
		out, err := run(s, ctx, in)
		if err != nil {
			return nil, plain(err)
		}
		return json.Marshal(out)
	}
	return op
}

type answer[O any] struct{ Body O }

// None is the input or output of an operation that has none.
type None struct{}

// Register gives every operation its route.
func Register(api huma.API, s *Service) {
	for _, op := range Operations() {
		op.register(api, s)
	}
}

// Call runs an operation by its ID on JSON input and returns JSON.
func (s *Service) Call(ctx context.Context, id string, input []byte) ([]byte, error) {
	for _, op := range Operations() {
		if op.ID == id {
			return op.call(ctx, s, input)
		}
	}
	return nil, fmt.Errorf("%w: this server has no operation %q; client and server may differ in version", ErrInput, id)
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

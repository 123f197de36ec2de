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
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posthorn/internal/base/event"
)

// Operation is one administrative operation.
type Operation struct {
	// ID names the operation in the API description and over the control
	// socket: "domain-add".
	ID     string
	Method string
	Path   string
	// Role is the least that may call it, over every door.
	Role    Role
	Summary string
	// Changes tells operations that change something from questions.
	Changes bool

	register func(huma.API, *Service)
	call     func(context.Context, *Service, []byte) ([]byte, error)
}

// declare ties an operation's name to its function. The types give the API
// schema. What is not a GET changes something.
func declare[I, O any](id, method, path string, least Role, summary string, run func(*Service, context.Context, *I) (O, error)) Operation {
	return tie(Operation{ID: id, Method: method, Path: path, Role: least, Summary: summary, Changes: method != get}, run)
}

// question declares an operation that changes nothing, and is a POST because
// what is asked does not fit an address.
func question[I, O any](id, path string, least Role, summary string, run func(*Service, context.Context, *I) (O, error)) Operation {
	return tie(Operation{ID: id, Method: post, Path: path, Role: least, Summary: summary}, run)
}

func tie[I, O any](op Operation, run func(*Service, context.Context, *I) (O, error)) Operation {
	where, id := placesOf[I](), op.ID
	guarded := func(ctx context.Context, s *Service, in *I) (O, error) {
		if err := allowed(ctx, id, op.Role); err != nil {
			return *new(O), err
		}
		if err := checkLimit(in); err != nil {
			return *new(O), err
		}
		out, err := run(s, ctx, in)
		if err == nil && op.Changes && !dryRun(in) {
			s.o.Log.Log(event.AdminAction, slog.String("operation", id), slog.String("target", target(in)), slog.String("author", author(ctx, cmp.Or(claimed(in), controlAuthor))))
		}
		return out, err
	}
	op.register = func(api huma.API, s *Service) {
		d := op.described(where)
		d.Middlewares = huma.Middlewares{op.gate(api)}
		huma.Register(api, d, func(ctx context.Context, in *I) (*answer[O], error) {
			out, err := guarded(ctx, s, in)
			if err != nil {
				return nil, where.problem(err)
			}
			return &answer[O]{Body: out}, nil
		})
	}
	op.call = func(ctx context.Context, s *Service, input []byte) ([]byte, error) {
		in := new(I)
		d := json.NewDecoder(bytes.NewReader(input))
		d.DisallowUnknownFields()
		if err := d.Decode(in); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInput, id, err)
		}
		out, err := guarded(ctx, s, in)
		if err != nil {
			return nil, plain(err)
		}
		return json.Marshal(out)
	}
	return op
}

// Bounds of a request over HTTP. The command line may send more (maxInput).
const (
	MaxBody     = 1 << 20
	bodyTimeout = 10 * time.Second
)

// described is what the API description says of the operation.
func (op Operation) described(where places) huma.Operation {
	d := huma.Operation{OperationID: op.ID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description(), Tags: []string{op.Tag()},
		RejectUnknownQueryParameters: true, MaxBodyBytes: MaxBody, BodyReadTimeout: bodyTimeout,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable}}
	if op.adds() {
		d.DefaultStatus = http.StatusCreated
	}
	if strings.Contains(op.Path, "{") {
		d.Errors = append(d.Errors, http.StatusNotFound)
	}
	if op.Changes {
		d.Errors = append(d.Errors, http.StatusConflict, http.StatusInsufficientStorage)
	}
	if where.body {
		d.Errors = append(d.Errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	return d
}

// gate asks for the role before anything of the request is looked at.
func (op Operation) gate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if err := allowed(ctx.Context(), op.ID, op.Role); err != nil {
			_ = huma.WriteErr(api, ctx, StatusOf(err), err.Error()) // the client went away: nobody to tell
			return
		}
		next(ctx)
	}
}

// adds reports that the operation makes something that was not there.
func (op Operation) adds() bool { return strings.HasSuffix(op.ID, "-add") }

// Tag is the noun an operation is about.
func (op Operation) Tag() string {
	noun, _, _ := strings.Cut(op.ID, "-")
	return noun
}

// Description says in a few sentences what holds for the operation.
func (op Operation) Description() string {
	text := op.Summary + ". Needs the role " + string(op.Role)
	if op.Role != administrator {
		text += " or a higher one"
	}
	switch {
	case !op.Changes:
		text += ". Changes nothing."
	case op.Method == remove:
		text += ". What is removed does not come back."
	case op.Method == patch:
		text += ". Fields that are not given stay as they are."
	default:
		text += "."
	}
	return text
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

// Call runs an operation by its ID on JSON input and returns JSON. Who may call
// it has the data folder and may do everything.
func (s *Service) Call(ctx context.Context, id string, input []byte) ([]byte, error) {
	for _, op := range Operations() {
		if op.ID == id {
			return op.call(WithRole(ctx, Administrator), s, input)
		}
	}
	return nil, fmt.Errorf("%w: this server has no operation %q; client and server may differ in version", ErrInput, id)
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// problem is an operation's error as HTTP tells it (RFC 9457).
func (w places) problem(err error) error {
	var details []error
	for _, f := range faultsOf(err) {
		details = append(details, &huma.ErrorDetail{Location: w.of(f.Field), Message: f.Text})
	}
	return huma.NewError(StatusOf(err), plain(err).Error(), details...)
}

package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// SocketName is the control socket's name in the data folder. Whoever may
// open it (mode 0600) administers the server: that is the command line.
const SocketName = "control.sock"

// maxInput bounds the JSON of one operation.
const maxInput = 64 << 20

// OpenControl opens the data folder's control socket, in place of one that a
// killed server left behind.
func OpenControl(dir string) (net.Listener, error) {
	name := filepath.Join(dir, SocketName)
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := listenUnix(name)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// ServeControl answers operations on the control socket until ctx ends, and
// closes it.
func (s *Service) ServeControl(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: http.HandlerFunc(s.control), ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.o.Log.Lines(event.APIFailed, "control socket")}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// control runs POST /<operation>.
func (s *Service) control(w http.ResponseWriter, r *http.Request) {
	input, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInput))
	if err == nil {
		var out []byte
		out, err = s.Call(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), input)
		if err == nil {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(out) // the client went away: nobody to tell
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(StatusOf(err))
	fault, _ := FaultOf(err)
	_ = json.NewEncoder(w).Encode(failure{Error: err.Error(), Field: fault.Field, Text: fault.Text, NotFound: errors.Is(err, store.ErrNotFound), Missing: errors.Is(err, ErrMissing)})
}

type failure struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"` // what of the input it is about
	Text  string `json:"text,omitempty"`  // what is wrong with that
	// NotFound tells that what was named is not there.
	NotFound bool `json:"not_found,omitempty"`
	// Missing tells that too little was named.
	Missing bool `json:"missing,omitempty"`
}

// err is the failure as it was in the server, as far as callers tell kinds
// apart.
func (f failure) err() error {
	switch {
	case f.Missing:
		return said{f.Error, ErrMissing}
	case f.Field != "":
		return said{f.Error, fielded{Fault{f.Field, f.Text}, ErrInput}}
	}
	if f.NotFound {
		return said{f.Error, store.ErrNotFound}
	}
	return errors.New(f.Error)
}

// Caller runs operations by their ID: a Service in this process, or a Remote.
type Caller interface {
	Call(ctx context.Context, id string, input []byte) ([]byte, error)
}

// Remote is a server reached over its control socket.
type Remote struct{ http *http.Client }

// Dial returns the server of the data folder, or nil when none runs there.
func Dial(dir string) *Remote {
	r, _ := Reach(dir)
	return r
}

// Reach is Dial and tells why there is none: fs.ErrPermission where this user
// may not talk to a server, whether or not one runs.
func Reach(dir string) (*Remote, error) {
	name := filepath.Join(dir, SocketName)
	c, err := dialUnix(name)
	if err != nil {
		return nil, err
	}
	_ = c.Close()
	return &Remote{http: &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dialUnix(name) },
	}}}, nil
}

// Call implements Caller.
func (r *Remote) Call(ctx context.Context, id string, input []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/"+id, bytes.NewReader(input))
	if err != nil {
		return nil, err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the running server does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	var f failure
	if json.Unmarshal(body, &f) != nil || f.Error == "" {
		return nil, fmt.Errorf("the running server answered %s", resp.Status)
	}
	return nil, f.err()
}

// Invoke runs the operation with typed input and output.
func Invoke[O any](ctx context.Context, c Caller, id string, in any) (O, error) {
	var out O
	input, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	answer, err := c.Call(ctx, id, input)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(answer, &out)
}

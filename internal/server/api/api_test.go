package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// one knows two passwords; everything else is wrong and costs a second.
type one struct{ asked []netip.Addr }

func (o *one) guard(client netip.Addr, _ string, _ *event.Logger) Guard {
	o.asked = append(o.asked, client)
	return o
}

func (o *one) Password(_ context.Context, name, password string) (store.AccountRow, error) {
	switch {
	case name == "busy":
		return store.AccountRow{}, errors.New("busy")
	case password == "right":
		return store.AccountRow{Admin: name == "admin"}, nil
	}
	return store.AccountRow{}, sasl.ErrCredentials
}

func (o *one) Bearer(_ context.Context, verify func() error) error { return verify() }

func (o *one) Penalty() (time.Duration, bool) { return time.Second, false }

// ask sends a request for something only administrators get.
func ask(t *testing.T, d Deps, from, name, password string) int {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/nothing", nil)
	r.RemoteAddr = from
	if name != "" {
		r.SetBasicAuth(name, password)
	}
	w := httptest.NewRecorder()
	New(d).ServeHTTP(w, r)
	return w.Code
}

func TestOnlyAdministratorsGetIn(t *testing.T) {
	for _, c := range []struct {
		name, password string
		want           int
		slow           bool
	}{
		{"admin", "right", http.StatusNotFound, false}, // let in, to a page there is not
		{"admin", "wrong", http.StatusUnauthorized, true},
		{"user", "right", http.StatusForbidden, false},
		{"busy", "right", http.StatusServiceUnavailable, true},
		{"", "", http.StatusUnauthorized, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			o, began := &one{}, time.Now()
			d := Deps{Service: manage.New(manage.Options{}), Guard: o.guard}
			if got := ask(t, d, "127.0.0.1:1", c.name, c.password); got != c.want || time.Since(began) >= time.Second != c.slow {
				t.Errorf("%s: %d after %v", c.name, got, time.Since(began))
			}
		})
	}
}

// M-GEN-06 and reliability.md row 21 for the web: no password crosses a network in the clear.
func TestPasswordsFromOtherMachinesNeedTLS(t *testing.T) {
	for _, c := range []struct {
		from  string
		clear bool
		want  int
	}{
		{"192.0.2.1:1", false, http.StatusForbidden},
		{"[::ffff:192.0.2.1]:1", false, http.StatusForbidden},
		{"192.0.2.1:1", true, http.StatusNotFound},
		{"127.0.0.1:1", false, http.StatusNotFound},
		{"[::1]:1", false, http.StatusNotFound},
		{"@", false, http.StatusNotFound}, // a Unix socket
	} {
		o := &one{}
		d := Deps{Service: manage.New(manage.Options{}), Guard: o.guard, Clear: func() bool { return c.clear }}
		if got := ask(t, d, c.from, "admin", "right"); got != c.want {
			t.Errorf("%s: %d", c.from, got)
		}
		if c.want == http.StatusForbidden && len(o.asked) > 0 {
			t.Errorf("%s: the password was looked at", c.from)
		}
	}
}

func TestStrangersSeeNoVersion(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/openapi.json", nil)
	w := httptest.NewRecorder()
	New(Deps{Service: manage.New(manage.Options{Version: "9.8.7-secret"})}).ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"version":"1"`) || strings.Contains(w.Body.String(), "9.8.7") {
		t.Errorf("%d", w.Code)
	}
}

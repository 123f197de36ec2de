package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/wait"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// loginTimeout bounds how long a password may take to be verified.
const loginTimeout = 10 * time.Second

// challenge names both ways to log in (RFC 7617, RFC 6750 §3).
func challenge() []string {
	return []string{`Basic realm="posthorn", charset="UTF-8"`, `Bearer realm="posthorn"`}
}

// login returns who asks and what they may do, and answers everybody else.
func (d Deps) login(w http.ResponseWriter, r *http.Request) (who string, role manage.Role, ok bool) {
	from := client(r)
	if r.TLS == nil && from.IsValid() && !from.IsLoopback() && !d.Clear() {
		deny(w, http.StatusForbidden, "passwords and tokens are not taken over a network without TLS; connect from this machine, or through TLS")
		return "", "", false
	}
	g := d.Guard(from, "http", d.Log)
	ctx, cancel := context.WithTimeout(r.Context(), loginTimeout)
	defer cancel()
	var err error
	if secret, bearer := bearerOf(r); bearer {
		err = g.Bearer(ctx, func() (err error) {
			who, role, err = d.Service.TokenLogin(ctx, secret, from)
			return err
		})
	} else if name, password, basic := r.BasicAuth(); basic {
		var a store.AccountRow
		if a, err = g.Password(ctx, name, password); err == nil && !a.Admin {
			deny(w, http.StatusForbidden, "the account "+primary(a)+" is no administrator; ask one to make it one, or for a token")
			return "", "", false
		}
		who, role = primary(a), manage.Administrator
	} else {
		unknown(w, "log in with a token (Authorization: Bearer) or as an administrator (Basic)")
		return "", "", false
	}
	if err == nil {
		return who, role, true
	}
	hold, _ := g.Penalty()
	wait.For(r.Context(), hold) // unless nobody waits for the answer any more
	if errors.Is(err, sasl.ErrCredentials) {
		unknown(w, "the login is wrong: no such name and password, or the token is unknown, expired, or not for this address")
	} else {
		w.Header().Set("Retry-After", "30")
		deny(w, http.StatusServiceUnavailable, "logins cannot be checked right now; try again in a while")
	}
	return "", "", false
}

// bearerOf returns the token of a request. One that is longer than any is as
// good as a wrong one.
func bearerOf(r *http.Request) (secret string, ok bool) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	secret = strings.TrimSpace(secret)
	if len(secret) > 256 {
		secret = ""
	}
	return secret, true
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

// unknown asks for a login.
func unknown(w http.ResponseWriter, text string) {
	w.Header()["Www-Authenticate"] = challenge()
	deny(w, http.StatusUnauthorized, text)
}

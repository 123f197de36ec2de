package auth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// Guard is the authenticator as one connection sees it: it counts the
// connection's failures, tells the accountant and the log, and says what each
// costs. It belongs to one goroutine and outlives STARTTLS.
type Guard struct {
	a        *Authenticator
	client   netip.Addr
	protocol string
	log      *event.Logger

	failures int
	delay    time.Duration
	account  store.AccountRow
	taken    bool // the accountant counts an attempt as in flight
}

// Guard returns the guard of a connection. protocol is the listener's name.
func (a *Authenticator) Guard(client netip.Addr, protocol string, log *event.Logger) *Guard {
	return &Guard{a: a, client: client, protocol: protocol, log: log}
}

// Connect reports, as an ErrBlocked, a client that is to be sent away unheard.
func (g *Guard) Connect() error {
	_, err := g.a.accountant.Admit(context.Background(), g.client, "")
	return err
}

// ProtocolError counts a command that no client of the protocol sends.
func (g *Guard) ProtocolError() {
	g.a.accountant.Failed(Failure{Kind: ProtocolError, Client: g.client, Protocol: g.protocol})
}

// Penalty is what the last failure costs: how long its answer is held back,
// and whether it was the last one this connection had. A second call costs nothing.
func (g *Guard) Penalty() (delay time.Duration, last bool) {
	delay, g.delay = g.delay, 0
	return delay, g.failures >= g.a.o.Settings().ConnectionFailures
}

// Account is the account of the last login that succeeded.
func (g *Guard) Account() store.AccountRow { return g.account }

// Password verifies a name and password given outside SASL, as in POP3's PASS.
// Errors wrap ErrCredentials or ErrTemporary.
func (g *Guard) Password(ctx context.Context, name, password string) (store.AccountRow, error) {
	if err := g.admit(ctx, name); err != nil {
		return store.AccountRow{}, g.failed(name, "password", err)
	}
	row, err := g.a.Password(ctx, name, password)
	if err != nil {
		return store.AccountRow{}, g.failed(name, "password", err)
	}
	g.succeeded(name, "password", row)
	return row, nil
}

// Begin starts a SASL exchange; sasl.ErrMechanism if the mechanism is not
// among those offered. Next of the server it returns counts and logs by itself,
// and lets nobody through whom Login refuses; after done, Account tells who it
// is. Its errors wrap ErrCredentials, ErrTemporary, or are those of package sasl.
func (g *Guard) Begin(mechanism string, binding sasl.ChannelBinding, offered []sasl.Mechanism) (sasl.Server, error) {
	x := &exchange{g: g}
	server, err := sasl.NewServer(mechanism, sasl.Config{Verifier: x, Offered: offered, Binding: binding, Secret: g.a.o.Secret})
	if err != nil {
		return nil, err
	}
	x.Server, x.mechanism = server, mechanism
	return x, nil
}

// nameless stands for the empty name, which the accountant takes for none.
const nameless = "(none)"

// admit asks the accountant before credentials are looked at: no name makes
// that free of charge.
func (g *Guard) admit(ctx context.Context, name string) (err error) {
	g.abandon()
	g.taken, err = g.a.accountant.Admit(ctx, g.client, cmp.Or(g.a.canonical(name), nameless))
	return err
}

// abandon ends an attempt that was not judged.
func (g *Guard) abandon() {
	if g.landed() {
		g.a.accountant.Abandoned(g.client)
	}
}

// landed reports whether an attempt was in flight, which it no longer is.
func (g *Guard) landed() (taken bool) {
	taken, g.taken = g.taken, false
	return taken
}

// failed counts and logs a failure and returns it.
func (g *Guard) failed(name, mechanism string, err error) error {
	attrs := []slog.Attr{slog.String("name", clip(name)), slog.String("mechanism", mechanism),
		slog.String("client", g.client.String()), slog.String("listener", g.protocol), event.Err(err)}
	switch {
	case errors.Is(err, ErrBlocked):
		g.failures++
		g.delay = delayAfter(g.failures)
		g.log.Log(event.AuthBlocked, attrs...)
	case errors.Is(err, ErrCredentials), errors.Is(err, sasl.ErrBinding):
		g.failures++
		cost := g.a.accountant.Failed(Failure{Kind: WrongLogin, Client: g.client, Protocol: g.protocol, Name: g.a.canonical(name), Taken: g.landed()})
		g.delay = max(cost, delayAfter(g.failures))
		g.log.Log(event.AuthFailed, attrs...)
	case errors.Is(err, ErrTemporary):
		g.log.Log(event.AuthFailed, attrs...)
	}
	g.abandon()
	return err
}

func (g *Guard) succeeded(name, mechanism string, row store.AccountRow) {
	g.account = row
	g.a.accountant.Succeeded(Success{Client: g.client, Name: g.a.canonical(name), Administrator: row.Admin, Taken: g.landed()})
	g.log.Log(event.AuthSucceeded, slog.Int64("account", int64(row.ID)), slog.String("name", clip(name)), slog.String("mechanism", mechanism),
		slog.String("client", g.client.String()), slog.String("listener", g.protocol))
}

// clip bounds what a client typed before it is logged.
func clip(name string) string { return name[:min(len(name), 254)] }

// exchange is one SASL exchange under the guard's eyes. It is also the
// exchange's Verifier, for only that learns the name of a login that fails.
type exchange struct {
	sasl.Server
	g         *Guard
	mechanism string
	name      string
	held      store.AccountRow // what it proves itself against, as it was read
}

// Next implements sasl.Server.
func (x *exchange) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	challenge, done, err := x.Server.Next(ctx, response)
	if errors.Is(err, sasl.ErrProtocol) && response != nil && len(response) == 0 {
		err = ErrCredentials // nothing at all is a wrong password, not a fault of the client's program
	}
	if err == nil && done {
		var row *store.AccountRow
		if row, err = x.g.a.Login(ctx, x.Identity(), x.held); err == nil {
			x.g.succeeded(x.name, x.mechanism, *row)
		}
	}
	if err != nil {
		return nil, false, x.g.failed(x.name, x.mechanism, err)
	}
	return challenge, done, nil
}

// VerifyPassword implements sasl.Verifier.
func (x *exchange) VerifyPassword(ctx context.Context, name, password string) (string, error) {
	x.name = name
	if err := x.g.admit(ctx, name); err != nil {
		return "", err
	}
	row, err := x.g.a.Password(ctx, name, password)
	if err != nil {
		return "", err
	}
	x.held = row
	return accountName(row.ID), nil
}

// Scram implements sasl.Verifier.
func (x *exchange) Scram(ctx context.Context, name string, h passwd.ScramHash) (string, passwd.Scram, error) {
	x.name = name
	if err := x.g.admit(ctx, name); err != nil {
		return "", passwd.Scram{}, err
	}
	row, verifier, err := x.g.a.Scram(ctx, name, h)
	if err != nil || row.ID == 0 {
		return "", verifier, err
	}
	x.held = row
	return accountName(row.ID), verifier, nil
}

package auth

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"posthorn/internal/base/passwd"
	"posthorn/internal/wire/sasl"
)

// setPassword gives alice another password, as the directory does.
func setPassword(t *testing.T, p *people, password string, verifier bool) {
	t.Helper()
	hash, err := passwd.NewVerifier(passwd.Options{Params: cheap}).NewHash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	scram, err := passwd.DeriveScram(passwd.SHA256, password, []byte("fedcba9876543210"), passwd.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	row, _ := p.GetAccount(t.Context(), 1)
	row.Password, row.Scram256 = hash, ""
	if verifier {
		row.Scram256 = scram.String()
	}
	if err := p.SetAccount(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

// Whoever has the old password must not keep an exchange in store for the day it is changed.
func TestAnExchangeBegunBeforeANewPasswordFails(t *testing.T) {
	t.Parallel()
	for _, changed := range []bool{true, false} {
		a, p := newTest(t, nil)
		g := a.Guard(client, "imaps", nil)
		server, err := g.Begin(string(sasl.ScramSHA256), sasl.ChannelBinding{}, []sasl.Mechanism{sasl.ScramSHA256})
		if err != nil {
			t.Fatal(err)
		}
		peer, err := sasl.NewClient(sasl.ScramSHA256, sasl.Credentials{Name: "alice", Password: "secret"}, []string{"SCRAM-SHA-256"}, sasl.ChannelBinding{})
		if err != nil {
			t.Fatal(err)
		}
		response, err := peer.Start()
		var done bool
		for step := 0; err == nil && !done; step++ {
			var challenge []byte
			if challenge, done, err = server.Next(t.Context(), response); err != nil || done {
				break
			}
			if step == 0 && changed {
				setPassword(t, p, "entirely new", true)
			}
			response, err = peer.Next(challenge)
		}
		if done == changed || changed && !errors.Is(err, ErrCredentials) || !changed && err != nil {
			t.Errorf("changed %v: done %v, %v", changed, done, err)
		}
		if in := g.Account().ID == 1; in == changed {
			t.Errorf("changed %v: logged in %v", changed, in)
		}
	}
}

// A row that changes between the proof and the login belongs to a password that nobody has proved.
func TestAPasswordProvedAgainstAnOldRowFails(t *testing.T) {
	t.Parallel()
	for _, verifier := range []bool{true, false} {
		a, p := newTest(t, nil)
		setPassword(t, p, "secret", verifier)
		held, err := a.Password(t.Context(), "alice", "secret")
		if err != nil {
			t.Fatal(err)
		}
		id := sasl.Identity{Account: "1", Authcid: "alice"}
		if _, err := a.Login(t.Context(), id, held); err != nil {
			t.Errorf("verifier %v: nothing changed: %v", verifier, err)
		}
		setPassword(t, p, "entirely new", verifier)
		if _, err := a.Login(t.Context(), id, held); !errors.Is(err, ErrCredentials) {
			t.Errorf("verifier %v: %v", verifier, err)
		}
	}
}

// An account that another program made has no verifier, and its hash is what the login renews.
func TestLoginsThatRenewAHashWithoutVerifierSucceed(t *testing.T) {
	t.Parallel()
	costly := cheap
	costly.Memory = 128
	a, p := newTest(t, func(o *Options) { o.Passwords = passwd.NewVerifier(passwd.Options{Params: costly}) })
	for _, m := range []sasl.Mechanism{sasl.Plain, sasl.Login} {
		setPassword(t, p, "secret", false)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := play(t, a.Guard(client, "imaps", nil), m, sasl.Credentials{Name: "alice", Password: "secret"}); err != nil {
					t.Error(m, err)
				}
			})
		}
		wg.Wait()
		if row, _ := p.GetAccount(t.Context(), 1); !strings.Contains(row.Password, "m=128") {
			t.Error(m, "not renewed:", row.Password)
		}
	}
}

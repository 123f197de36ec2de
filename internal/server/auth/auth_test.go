package auth

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"posthorn/internal/base/event"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// cheap keeps argon2id out of the way of tests.
var cheap = passwd.Params{Memory: 64, Time: 1, Threads: 1}

// people is a directory and account table in memory.
type people struct {
	mu     sync.Mutex
	rows   map[store.AccountID]store.AccountRow
	broken error
}

func (p *people) Login(_ context.Context, name string) (store.AccountRow, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return store.AccountRow{}, p.broken
	}
	if !strings.Contains(name, "@") {
		name += "@example.test"
	}
	for _, row := range p.rows {
		for _, a := range row.Addresses {
			if strings.EqualFold(a.String(), name) {
				return row, nil
			}
		}
	}
	return store.AccountRow{}, store.ErrNotFound
}

func (p *people) GetAccount(_ context.Context, id store.AccountID) (store.AccountRow, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rows[id], p.broken
}

func (p *people) SetAccount(_ context.Context, a store.AccountRow) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rows[a.ID].Version != a.Version {
		return store.ErrConflict
	}
	a.Version++
	p.rows[a.ID] = a
	return nil
}

// newPeople has alice (two addresses), bob (disabled) and carol (no password).
func newPeople(t testing.TB) *people {
	t.Helper()
	v := passwd.NewVerifier(passwd.Options{Params: cheap})
	hash, err := v.NewHash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	scram, err := passwd.DeriveScram(passwd.SHA256, "secret", []byte("0123456789abcdef"), passwd.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	at := func(local, domain string) mail.Address { return mail.Address{Local: local, Domain: domain} }
	return &people{rows: map[store.AccountID]store.AccountRow{
		1: {ID: 1, Addresses: []mail.Address{at("alice", "example.test"), at("alice", "example.org")}, Password: hash, Scram256: scram.String()},
		2: {ID: 2, Addresses: []mail.Address{at("bob", "example.test")}, Password: hash, Scram256: scram.String(), Disabled: true},
		3: {ID: 3, Addresses: []mail.Address{at("carol", "example.test")}},
		4: {ID: 4, Addresses: []mail.Address{at("dave", "example.test")}, Password: "$nonsense", Scram256: "nonsense"},
	}}
}

func newTest(t testing.TB, change func(*Options)) (*Authenticator, *people) {
	t.Helper()
	p, s := newPeople(t), setting.Defaults[Settings](setting.Recommended)
	o := Options{
		Directory: p, Accounts: p, Passwords: passwd.NewVerifier(passwd.Options{Params: cheap}), Secret: []byte("secret of the house"),
		Settings: func() *Settings { return &s }, DefaultDomain: func() string { return "example.test" },
	}
	if change != nil {
		change(&o)
	}
	return New(o), p
}

var client = netip.MustParseAddr("192.0.2.1")

func TestAllAddressesOfAnAccountLogIn(t *testing.T) {
	t.Parallel()
	a, _ := newTest(t, nil)
	for _, name := range []string{"alice@example.test", "ALICE@example.org", "alice"} {
		row, err := a.Password(t.Context(), name, "secret")
		if err != nil || row.ID != 1 {
			t.Errorf("%s: account %d, %v", name, row.ID, err)
		}
	}
}

func TestEveryWrongLoginIsTheSameError(t *testing.T) {
	t.Parallel()
	a, _ := newTest(t, nil)
	for name, password := range map[string]string{
		"alice@example.test": "wrong", "nobody@example.test": "secret", "bob@example.test": "secret", "carol@example.test": "secret",
		"dave@example.test": "secret", "": "secret", "alice@example.org": "", "a\x00b": "x",
	} {
		if row, err := a.Password(t.Context(), name, password); !errors.Is(err, ErrCredentials) || errors.Is(err, ErrTemporary) || row.ID != 0 {
			t.Errorf("%q %q: %d, %v", name, password, row.ID, err)
		}
	}
}

// TestEveryFailureCostsAVerification sees that all of them stand in the queue for
// one, since a context that is done fails there (reliability row 23).
func TestEveryFailureCostsAVerification(t *testing.T) {
	t.Parallel()
	a, _ := newTest(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"alice", "nobody", "bob", "carol", "dave", "a@b@c"} {
		if _, err := a.Password(ctx, name, "wrong"); !errors.Is(err, ErrTemporary) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkFailure shows that the ways to fail take equally long.
func BenchmarkFailure(b *testing.B) {
	a, p := newTest(b, func(o *Options) { o.Passwords = passwd.NewVerifier(passwd.Options{}) })
	hash, err := a.o.Passwords.NewHash(b.Context(), "secret")
	if err != nil {
		b.Fatal(err)
	}
	for _, id := range []store.AccountID{1, 2} {
		row := p.rows[id]
		row.Password = hash
		p.rows[id] = row
	}
	for _, name := range []string{"alice", "nobody", "bob", "carol"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := a.Password(b.Context(), name, "wrong"); !errors.Is(err, ErrCredentials) {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTroubleOfOursIsTemporary(t *testing.T) {
	t.Parallel()
	a, p := newTest(t, nil)
	p.broken = store.ErrUnavailable
	if _, err := a.Password(t.Context(), "alice", "secret"); !errors.Is(err, ErrTemporary) || !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	if _, _, err := a.Scram(t.Context(), "alice", passwd.SHA256); !errors.Is(err, ErrTemporary) {
		t.Error(err)
	}
	if _, err := a.Login(t.Context(), sasl.Identity{Account: "1", Authcid: "alice"}, p.rows[1]); !errors.Is(err, ErrTemporary) {
		t.Error(err)
	}
}

func TestBusyIsTemporary(t *testing.T) {
	t.Parallel()
	if err := classify(passwd.ErrBusy); !errors.Is(err, ErrTemporary) || !errors.Is(err, passwd.ErrBusy) {
		t.Error(err)
	}
}

func TestOldHashesAreRenewed(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	newer := passwd.NewVerifier(passwd.Options{Params: passwd.Params{Memory: 128, Time: 1, Threads: 1}})
	a, p := newTest(t, func(o *Options) {
		o.Passwords, o.Log = newer, event.New(event.Handler(&log, event.Options{}))
	})
	old, verifier := p.rows[1].Password, p.rows[1].Scram256
	if _, err := a.Password(t.Context(), "alice", "wrong"); err == nil || p.rows[1].Password != old {
		t.Fatalf("%v, or renewed by a wrong password", err)
	}
	if _, err := a.Password(t.Context(), "alice", "secret"); err != nil {
		t.Fatal(err)
	}
	renewed := p.rows[1].Password
	if h, err := passwd.ParseHash(renewed); err != nil || h.Params.Memory != 128 || !strings.Contains(log.String(), "auth.renewed") {
		t.Errorf("%+v, %v, %s", h, err, &log)
	}
	if verifier == "" || p.rows[1].Scram256 != verifier {
		t.Errorf("the verifier changed, by which sessions tell a new password: %q", p.rows[1].Scram256)
	}
	if _, err := a.Password(t.Context(), "alice", "secret"); err != nil || p.rows[1].Password != renewed {
		t.Errorf("%v, or renewed twice", err)
	}
}

func TestANewPasswordIsNotReplacedByTheOldOne(t *testing.T) {
	t.Parallel()
	a, p := newTest(t, nil)
	row := p.rows[1]
	changed := row
	changed.Password = "changed meanwhile"
	p.rows[1] = changed
	if _, err := a.replaceHash(t.Context(), row, "secret"); !errors.Is(err, store.ErrConflict) || p.rows[1].Password != "changed meanwhile" {
		t.Errorf("%v, %s", err, p.rows[1].Password)
	}
}

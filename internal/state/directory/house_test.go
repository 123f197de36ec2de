package directory

import (
	"context"
	"slices"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// house is a Directory on a real store that counts its reads.
type house struct {
	*Directory
	rows     *counted
	settings Settings
	names    map[store.AccountID]string
}

type counted struct {
	store.Directory
	owners, versions int
	fail             error
}

func (c *counted) Owner(ctx context.Context, a mail.Address) (store.AddressOwner, error) {
	c.owners++
	return c.Directory.Owner(ctx, a)
}

func (c *counted) Version(ctx context.Context) (int64, error) {
	c.versions++
	if c.fail != nil {
		return 0, c.fail
	}
	return c.Directory.Version(ctx)
}

// newHouse hosts ours.test and two.test, and off.test, which is switched off.
func newHouse(t testing.TB) *house {
	t.Helper()
	s, err := sqlstore.OpenSQLite(context.Background(), t.TempDir(), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{rows: &counted{Directory: s.Directory()}, settings: Settings{MinPassword: 8, Forwarding: true}, names: map[store.AccountID]string{}}
	h.Directory = New(h.rows, Options{
		Settings:  func() *Settings { return &h.settings },
		Passwords: passwd.NewVerifier(passwd.Options{Params: passwd.Params{Memory: 64, Time: 1, Threads: 1}}),
		HostName:  func() string { return "mx.host.test" },
	})
	for _, d := range []store.DomainRow{{Name: "ours.test", Separator: "+"}, {Name: "two.test", Separator: "-"}, {Name: "off.test", Disabled: true}} {
		h.must(t, h.AddDomain(t.Context(), d))
	}
	h.must(t, h.AddRelayDomain(t.Context(), store.RelayDomain{Name: "main", Domain: "relay.test"}))
	return h
}

func (h *house) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	if s == "" {
		return mail.Address{}
	}
	if !strings.Contains(s, "@") {
		return mail.Address{Local: s}
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func addrs(t testing.TB, list string) (out []mail.Address) {
	t.Helper()
	for s := range strings.FieldsSeq(list) {
		out = append(out, addr(t, s))
	}
	return out
}

// account adds an account with the addresses; the first names it.
func (h *house) account(t testing.TB, addresses string, change ...func(*NewAccount)) store.AccountID {
	t.Helper()
	n := NewAccount{AccountRow: store.AccountRow{Addresses: addrs(t, addresses)}}
	for _, c := range change {
		c(&n)
	}
	id, err := h.AddAccount(t.Context(), n)
	h.must(t, err)
	h.names[id] = n.Addresses[0].String()
	return id
}

func admin(n *NewAccount)    { n.Admin = true }
func disabled(n *NewAccount) { n.Disabled = true }

func (h *house) alias(t testing.TB, address, targets string, change ...func(*store.AliasRow)) {
	t.Helper()
	a := store.AliasRow{Address: addr(t, address), Targets: addrs(t, targets)}
	for _, c := range change {
		c(&a)
	}
	h.must(t, h.AddAlias(t.Context(), a))
}

func group(a *store.AliasRow)  { a.Group = true }
func sendAs(a *store.AliasRow) { a.SendAs = true }

// where writes a resolution in one line: kind, accounts with details, forwards.
func (h *house) where(t testing.TB, address string) string {
	t.Helper()
	r, err := h.Resolve(t.Context(), addr(t, address))
	if err != nil {
		return err.Error()
	}
	var to []string
	for _, d := range r.Deliveries {
		s := h.names[d.Account]
		if d.Detail != "" {
			s += "[" + d.Detail + "]"
		}
		to = append(to, s)
	}
	for _, f := range r.Forwards {
		to = append(to, ">"+f.String())
	}
	slices.Sort(to)
	out := strings.Join(append([]string{r.Kind.String()}, to...), " ")
	if r.System {
		out += " (system)"
	}
	return out
}

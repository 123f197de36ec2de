package e2e

import (
	"encoding/base64"
	"path/filepath"
	"testing"
	"time"

	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/testkit/daemon"
)

// soon is how long a session may live on after its login has ended: the server
// looks every second, and this machine may be busy.
const soon = 10 * time.Second

// sessions logs somebody in by all three protocols, the IMAP client waits in
// IDLE, and returns the lines to read goodbyes from.
func (s *server) sessions(who, password string) map[string]*line {
	s.t.Helper()
	m, p, q := dial(s.t, "tcp", s.Addr("imap")), dial(s.t, "tcp", s.Addr("pop3")), dial(s.t, "tcp", s.Addr("submission"))
	m.expect("", "* OK")
	m.expect(`a LOGIN `+who+` "`+password+`"`, "a OK")
	m.expect("b IDLE", "+ ")
	p.expect("", "+OK")
	p.expect("USER "+who, "+OK")
	p.expect("PASS "+password, "+OK")
	q.expect("", "220")
	q.expect("EHLO client.example", "250")
	q.expect("AUTH PLAIN "+plain(who, password), "235")
	return map[string]*line{"* BYE [EXPIRED] Your login has ended": m, "-ERR Your login has ended, nothing was deleted": p,
		"421 4.7.0 Your login has ended, closing connection": q}
}

// ended expects the goodbyes of all protocols.
func ended(t *testing.T, open map[string]*line) {
	t.Helper()
	began := time.Now()
	for goodbye, l := range open {
		l.expect("", goodbye)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("the sessions ended after %v", took)
	}
}

// alive expects sessions that answer as ever.
func alive(open map[string]*line) {
	for goodbye, l := range open {
		switch goodbye[0] {
		case '*':
			l.expect("DONE", "b OK")
			l.expect("b IDLE", "+ ")
		case '-':
			l.expect("NOOP", "+OK")
		default:
			l.expect("NOOP", "250")
		}
	}
}

func TestSessionsEndWithTheirLogin(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	for _, name := range []string{"eva", "off", "gone", "again", "calm"} {
		s.account(name + "@example.test")
	}
	calm := s.sessions("calm@example.test", daemon.Password)

	old := s.sessions("eva@example.test", daemon.Password)
	s.with("another good password\n", "account", "set", "eva@example.test", "--password-stdin")
	ended(t, old)
	last := s.sessions("eva@example.test", "another good password")

	old = s.sessions("off@example.test", daemon.Password)
	s.do("account", "set", "off@example.test", "--disabled")
	ended(t, old)

	old = s.sessions("gone@example.test", daemon.Password)
	s.do("account", "remove", "gone@example.test", "--yes")
	ended(t, old)

	// Made anew under its address at once, an account is another one.
	old = s.sessions("again@example.test", daemon.Password)
	s.do("account", "remove", "again@example.test", "--yes")
	s.account("again@example.test")
	ended(t, old)
	fresh := s.sessions("again@example.test", daemon.Password)

	s.do("account", "set", "calm@example.test", "--name", "Calm and quiet")
	alive(last)
	s.do("account", "set", "eva@example.test", "--disabled") // whose end tells that all were looked at
	ended(t, last)
	alive(calm)
	alive(fresh)
}

// A message that is on its way while its account is disabled is refused, and
// what POP3 had marked stays.
func TestADisabledAccountsMessageIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	s.account("eva@example.test")
	q := dial(t, "tcp", s.Addr("submission"))
	q.expect("", "220")
	q.expect("EHLO client.example", "250")
	q.expect("AUTH PLAIN "+plain("eva@example.test", daemon.Password), "235")
	q.expect("MAIL FROM:<eva@example.test>", "250")
	q.expect("RCPT TO:<"+demo+">", "250")
	q.expect("DATA", "354")
	open := s.sessions("eva@example.test", daemon.Password)
	s.do("account", "set", "eva@example.test", "--disabled")
	ended(t, open)
	q.expect("From: <eva@example.test>\r\nSubject: too late\r\n\r\nHello.\r\n.", "421 4.7.0 Your login has ended, closing connection")
	if got := inboxOf(t, s, demo); len(got) != 0 {
		t.Errorf("filed: %q", got)
	}
}

// A hash of another cost is renewed at the first login; sessions that are open
// then go on, for the password is the same.
func TestARenewedHashEndsNoSession(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	s.account("eva@example.test")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	cheap := passwd.Params{Memory: 64, Time: 1, Threads: 1}
	weak, err := passwd.NewVerifier(passwd.Options{Params: cheap}).NewHash(t.Context(), daemon.Password)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, s.Data, "eva@example.test", weak)
	s.Daemon = s.Again()
	open := s.sessions("eva@example.test", daemon.Password)
	s.account("off@example.test")
	other := s.sessions("off@example.test", daemon.Password)
	s.do("account", "set", "off@example.test", "--disabled")
	ended(t, other)
	alive(open)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if h, err := passwd.ParseHash(exchange(t, s.Data, "eva@example.test", weak)); err != nil || h.Params == cheap {
		t.Errorf("the hash was not renewed: %v", err)
	}
}

// exchange stores a hash of the same password, as an older version may have
// made it, and returns the one before.
func exchange(t *testing.T, data, who, hash string) (before string) {
	t.Helper()
	st, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(data, "store"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows, err := st.Directory().ListAccounts(t.Context(), "", "", 0)
	for _, row := range rows {
		if err == nil && row.Addresses[0].String() == who {
			before, row.Password = row.Password, hash
			err = st.Directory().SetAccount(t.Context(), row)
		}
	}
	if err != nil || before == "" {
		t.Fatal(err)
	}
	return before
}

// plain is the initial response of SASL PLAIN.
func plain(who, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + who + "\x00" + password))
}

package pop3d

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/server/auth"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/testkit/transcript"
	"posthorn/internal/wire/mime"
	"posthorn/internal/wire/sasl"
)

// world is a server over the real embedded store, directory and authenticator,
// with the accounts alice (also at example.org) and bob, both with the password
// "secret", and off, which is disabled. The listener "plain" takes passwords
// without TLS; "pop3" does not, and "pop3s" begins with TLS.
type world struct {
	t        testing.TB
	store    store.Store
	faults   *faults
	server   *Server
	settings Settings
	tls      *tls.Config
	accounts map[string]store.AccountID
	restored bool // somebody took a mark off
	ids      *ident.Source
	ctx      context.Context
	stop     context.CancelCauseFunc
	log      logged
}

func newWorld(t testing.TB) *world {
	ctx, stop := context.WithCancelCause(context.Background())
	s, err := sqlstore.OpenSQLite(ctx, t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: s, settings: setting.Defaults[Settings](setting.Recommended), tls: serverTLS(),
		accounts: map[string]store.AccountID{}, ids: ident.NewSource(), ctx: ctx, stop: stop}
	w.faults = &faults{Store: s}
	passwords := passwd.NewVerifier(passwd.Options{Params: passwd.Params{Memory: 64, Time: 1, Threads: 1}})
	w.people(passwords)
	names, login := setting.Defaults[directory.Settings](setting.Recommended), setting.Defaults[auth.Settings](setting.Recommended)
	log := event.New(event.Handler(&w.log, event.Options{}))
	who := auth.New(auth.Options{
		Directory: directory.New(s.Directory(), directory.Options{Settings: func() *directory.Settings { return &names }, Passwords: passwords}),
		Accounts:  s.Directory(), Passwords: passwords, Settings: func() *auth.Settings { return &login }, Secret: []byte("secret of the house"), Log: log,
	})
	w.server = New(Deps{
		Settings: func() *Settings { return &w.settings },
		Store:    w.faults,
		Guard:    func(c netip.Addr, listener string, log *event.Logger) Guard { return who.Guard(c, listener, log) },
		Offer: func(info listen.Info) sasl.Offer {
			o := who.Offer()
			o.PlaintextWithoutTLS = info.Listener == "plain"
			return o
		},
		TLS: func() *tls.Config { return w.tls },
		Log: log,
	})
	return w
}

func (w *world) people(passwords *passwd.Verifier) {
	hash, err := passwords.NewHash(w.ctx, "secret")
	if err != nil {
		w.t.Fatal(err)
	}
	scram, err := passwd.DeriveScram(passwd.SHA256, "secret", []byte("0123456789abcdef"), passwd.MinIterations)
	if err != nil {
		w.t.Fatal(err)
	}
	d := w.store.Directory()
	for _, domain := range []string{"example.test", "example.org"} {
		if err := d.PutDomain(w.ctx, store.AnyVersion, store.DomainRow{Name: domain, Created: time.Now()}); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range []string{"alice", "bob", "off"} {
		row := store.AccountRow{Addresses: []mail.Address{{Local: name, Domain: "example.test"}}, Password: hash, Scram256: scram.String(),
			Disabled: name == "off", Created: time.Now()}
		if name == "alice" {
			row.Addresses = append(row.Addresses, mail.Address{Local: name, Domain: "example.org"})
		}
		if w.accounts[name], err = d.AddAccount(w.ctx, row); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) close() {
	w.stop(nil)
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// serve is transcript.Options.Serve.
func (w *world) serve(listener string, raw net.Conn) {
	c := listen.NewConn(raw, listen.Info{Session: w.ids.New(), Listener: listener, Client: raw.RemoteAddr().(*net.TCPAddr).AddrPort()})
	defer func() { _ = c.Close() }()
	if listener == "pop3s" {
		if err := c.StartTLS(w.ctx, w.tls, time.Minute); err != nil {
			return
		}
	}
	w.server.Serve(w.ctx, c)
}

// enter is a step of our own: connect and log in.
var enter = regexp.MustCompile(`(?m)^([A-Z] |)enter (\w+)$`)

const entering = `${1}connect 192.0.2.1 plain
${1}S: +OK POP3 ready
${1}C: USER ${2}@example.test
${1}S: +OK Send PASS
${1}C: PASS secret
${1}S: +OK …`

// play runs one dialogue in virtual time.
func play(t *testing.T, dialogue string) {
	clientTLS := &tls.Config{InsecureSkipVerify: true}
	serverTLS() // made outside the bubble
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		go w.server.Purge(w.ctx)
		err := transcript.Run(enter.ReplaceAllString(dialogue, entering), transcript.Options{Serve: w.serve, TLS: clientTLS, Commands: map[string]func(string) error{
			"deliver": w.deliver, "messages": w.messages, "expunge": w.expunge, "fail": w.fail, "set": w.set, "disable": w.disable,
			"free": w.free, "logged": w.logged, "drop": w.dropTrash, "restore": w.restore,
		}})
		if err != nil {
			t.Error(err)
		}
	})
}

// deliver files a message in an inbox: "alice Subject: x\r\n\r\nbody\r\n".
func (w *world) deliver(args string) error {
	name, text, _ := strings.Cut(args, " ")
	content, err := strconv.Unquote(`"` + text + `"`)
	if err != nil {
		return err
	}
	return w.file(name, []byte(content))
}

func (w *world) file(name string, content []byte) error {
	draft, err := w.store.NewDraft(w.ctx, int64(len(content)))
	if err != nil {
		return err
	}
	if _, err := draft.Write(content); err != nil {
		return err
	}
	meta, err := mime.Parse(content).AppendBinary(nil)
	if err != nil {
		return err
	}
	_, err = w.store.Accept(w.ctx, &store.Acceptance{Key: w.ids.New(), Time: time.Now(), Body: draft, Account: w.accounts[name],
		Filings: []store.Filing{{Role: store.RoleInbox, Meta: meta, Internal: time.Now()}}})
	return err
}

func (w *world) box(name, mailbox string) (store.Index, error) {
	a := w.store.Account(w.accounts[name])
	box, err := a.FindMailbox(context.Background(), mailbox)
	if err != nil {
		return store.Index{}, err
	}
	return a.Index(context.Background(), box.ID)
}

// messages checks how many messages a mailbox has, none of them flagged:
// "alice INBOX 2".
func (w *world) messages(args string) error {
	f := strings.Fields(args)
	index, err := w.box(f[0], f[1])
	if err != nil {
		return err
	}
	if strconv.Itoa(len(index.Entries)) != f[2] {
		return fmt.Errorf("%d messages", len(index.Entries))
	}
	for _, e := range index.Entries {
		if e.Flags&store.SystemFlags != 0 {
			return fmt.Errorf("UID %d has flags %x", e.UID, e.Flags)
		}
		if marked := e.Flags != 0; marked != (index.Mailbox.Role == store.RoleTrash) && !w.restored {
			return fmt.Errorf("UID %d: marked %v", e.UID, marked)
		}
	}
	return nil
}

// restore takes the mark off a message in the trash as an IMAP client does:
// "alice 2" is UID 2.
func (w *world) restore(args string) error {
	name, n, _ := strings.Cut(args, " ")
	uid, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	index, err := w.box(name, "Trash")
	if err != nil {
		return err
	}
	w.restored = true
	_, err = w.store.Account(w.accounts[name]).SetFlags(w.ctx, index.Mailbox.ID, store.FlagUpdate{Op: store.FlagsRemove,
		Keywords: []string{store.KeywordRetired}, UIDs: []store.UIDRange{{First: store.UID(uid), Last: store.UID(uid)}}})
	return err
}

// expunge removes a message as another client does: "alice 2" is UID 2.
func (w *world) expunge(args string) error {
	name, n, _ := strings.Cut(args, " ")
	uid, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	index, err := w.box(name, "INBOX")
	if err != nil {
		return err
	}
	_, _, err = w.store.Account(w.accounts[name]).Expunge(w.ctx, index.Mailbox.ID, []store.UIDRange{{First: store.UID(uid), Last: store.UID(uid)}}, false)
	return err
}

func (w *world) dropTrash(name string) error {
	index, err := w.box(name, "Trash")
	if err != nil {
		return err
	}
	return w.store.Account(w.accounts[name]).DeleteMailbox(w.ctx, index.Mailbox.ID)
}

func (w *world) set(args string) error {
	switch args {
	case "trash":
		w.settings.KeepDeleted = 3 * 24 * time.Hour
	case "no delays":
		w.settings.DelayedSessions = 0
	case "no tls":
		w.tls = nil
	default:
		return errors.New("what?")
	}
	return nil
}

func (w *world) disable(name string) error {
	d := w.store.Directory()
	row, err := d.GetAccount(w.ctx, w.accounts[name])
	if err != nil {
		return err
	}
	row.Disabled = true
	return d.SetAccount(w.ctx, row)
}

// free checks that nobody has the maildrop.
func (w *world) free(name string) error {
	synctest.Wait()
	w.server.locks.mu.Lock()
	defer w.server.locks.mu.Unlock()
	if _, held := w.server.locks.held[w.accounts[name]]; held {
		return errors.New("the maildrop is locked")
	}
	return nil
}

// logged checks that the log has a text, and never the password.
func (w *world) logged(text string) error {
	synctest.Wait()
	switch log := w.log.String(); {
	case !strings.Contains(log, text):
		return fmt.Errorf("the log is\n%s", log)
	case strings.Contains(log, "secret"):
		return fmt.Errorf("the log has the password\n%s", log)
	}
	return nil
}

// logged is a log that is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// faults is the store with errors where a test wants them.
type faults struct {
	store.Store
	mu    sync.Mutex
	what  string
	err   error
	times int // how often; then nothing fails
}

// fail makes an operation fail: "expunge unavailable 1".
func (w *world) fail(args string) error {
	f := strings.Fields(args)
	n, err := strconv.Atoi(f[2])
	if err != nil {
		return err
	}
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	w.faults.what, w.faults.times = f[0], n
	w.faults.err = map[string]error{"unavailable": store.ErrUnavailable, "unknown": store.ErrUnknownOutcome, "readonly": store.ErrReadOnly}[f[1]]
	return nil
}

func (f *faults) failure(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.what != what || f.times == 0 {
		return nil
	}
	f.times--
	return f.err
}

func (f *faults) Account(id store.AccountID) store.Account { return &faulty{f.Store.Account(id), f} }

type faulty struct {
	store.Account
	f *faults
}

func (a *faulty) Index(ctx context.Context, m store.MailboxID) (store.Index, error) {
	if err := a.f.failure("index"); err != nil {
		return store.Index{}, err
	}
	return a.Account.Index(ctx, m)
}

func (a *faulty) Expunge(ctx context.Context, m store.MailboxID, uids []store.UIDRange, onlyDeleted bool) ([]store.UID, store.ModSeq, error) {
	err := a.f.failure("expunge")
	if err != nil && !errors.Is(err, store.ErrUnknownOutcome) {
		return nil, 0, err
	}
	gone, at, done := a.Account.Expunge(ctx, m, uids, onlyDeleted)
	return gone, at, errors.Join(err, done) // an unknown outcome may well be a success
}

func (a *faulty) Retire(ctx context.Context, from store.MailboxID, uids []store.UIDRange, until time.Time) (store.CopyResult, error) {
	err := a.f.failure("retire")
	if err != nil && !errors.Is(err, store.ErrUnknownOutcome) {
		return store.CopyResult{}, err
	}
	r, done := a.Account.Retire(ctx, from, uids, until)
	return r, errors.Join(err, done)
}

func (f *faults) Purge(ctx context.Context) (int, bool, error) {
	if err := f.failure("purge"); err != nil {
		return 0, false, err
	}
	return f.Store.Purge(ctx)
}

func (a *faulty) OpenBody(ctx context.Context, id store.MessageID) (store.Body, error) {
	if err := a.f.failure("open"); err != nil {
		return nil, err
	}
	body, err := a.Account.OpenBody(ctx, id)
	return &faultyBody{body, a.f}, err
}

type faultyBody struct {
	store.Body
	f *faults
}

func (b *faultyBody) ReadAt(p []byte, off int64) (int, error) {
	if err := b.f.failure("read"); err != nil {
		return 0, err
	}
	return b.Body.ReadAt(p, off)
}

// serverTLS makes a certificate once; it is valid in virtual time too.
var serverTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), DNSNames: []string{"mx.example.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

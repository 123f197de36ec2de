package smtpd

import (
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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/server/auth"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/testkit/transcript"
	"posthorn/internal/wire/sasl"
)

// world is a whole server without sockets: the real store, directory, policy
// and listeners, with faults to switch on. It lives in one bubble.
type world struct {
	t        *testing.T
	store    *faulty
	dir      *directory.Directory
	accounts map[string]store.AccountID
	policy   *policy.Pipeline
	book     *setting.Book
	smtp     *setting.Handle[Settings]
	checks   *setting.Handle[check.Settings]
	auth     *setting.Handle[auth.Settings]
	login    *logins
	server   *Server
	group    *listen.Group
	doors    map[string]*door
	tight    atomic.Bool
	noTLS    atomic.Bool
}

// faulty fails as it is told.
type faulty struct {
	store.Store
	mu                   sync.Mutex
	draft, write, commit error
	unknown              int // commits that happen and say they do not know
	room                 *store.Room
}

func (f *faulty) NewDraft(ctx context.Context, size int64) (store.Draft, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.draft != nil {
		return nil, f.draft
	}
	d, err := f.Store.NewDraft(ctx, size)
	return &faultyDraft{Draft: d, err: f.write}, err
}

type faultyDraft struct {
	store.Draft
	err   error
	takes time.Duration
}

func (d *faultyDraft) Write(p []byte) (int, error) {
	time.Sleep(d.takes)
	d.takes = 0
	if d.err != nil {
		return 0, d.err
	}
	return d.Draft.Write(p)
}

func (f *faulty) Accept(ctx context.Context, a *store.Acceptance) (store.Accepted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.commit != nil {
		return store.Accepted{}, f.commit
	}
	plain := *a
	plain.Body = a.Body.(*faultyDraft).Draft
	done, err := f.Store.Accept(ctx, &plain)
	if f.unknown > 0 && err == nil {
		f.unknown--
		return store.Accepted{}, store.ErrUnknownOutcome
	}
	return done, err
}

func (f *faulty) Room(ctx context.Context) (store.Room, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room != nil {
		return *f.room, nil
	}
	return f.Store.Room(ctx)
}

func (f *faulty) set(change func(f *faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// usage implements policy.UsageReader.
type usage struct{ s store.Store }

func (u usage) Usage(ctx context.Context, id store.AccountID) (store.Usage, error) {
	return u.s.Account(id).Usage(ctx)
}

// logins is the directory of logins, which may be down.
type logins struct {
	*directory.Directory
	down atomic.Bool
}

func (l *logins) Login(ctx context.Context, name string) (store.AccountRow, error) {
	if l.down.Load() {
		return store.AccountRow{}, store.ErrUnavailable
	}
	return l.Directory.Login(ctx, name)
}

// certificate is made once: keys are costly and time does not matter to it.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mx.example.test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

const password = "correct horse battery"

// cheap hashes quickly; secrets are what is stored for password, made once.
var (
	cheap   = passwd.NewVerifier(passwd.Options{Params: passwd.Params{Memory: 64, Time: 1, Threads: 1}})
	secrets = sync.OnceValues(func() (hash, scram string) {
		hash, err := cheap.NewHash(context.Background(), password)
		s, serr := cheap.NewScram(context.Background(), passwd.SHA256, password)
		if err = errors.Join(err, serr); err != nil {
			panic(err)
		}
		return hash, s.String()
	})
)

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: &faulty{Store: s}, accounts: map[string]store.AccountID{}, doors: map[string]*door{}}
	passwords := passwd.NewVerifier(passwd.Options{Params: passwd.Params{Memory: 64, Time: 1, Threads: 1}})
	w.dir = directory.New(s.Directory(), directory.Options{Settings: func() *directory.Settings {
		d := setting.Defaults[directory.Settings](setting.Recommended)
		return &d
	}, Passwords: passwords, HostName: func() string { return "mx.example.test" }})
	w.people()
	w.settings(s)
	w.login = &logins{Directory: w.dir}
	authenticator := auth.New(auth.Options{Directory: w.login, Passwords: passwords, Settings: w.auth.Get, Secret: []byte("secret")})
	w.server = New(Deps{
		Settings: w.smtp.Get, Hostname: func() string { return "mx.example.test" }, Policy: w.policy, Directory: w.dir,
		Sources: policy.Sources{Usage: usage{s}, Senders: w.dir}, Store: w.store, Door: accept.New(w.store, accept.Options{}), Idents: ident.NewSource(),
		Guard: func(client netip.Addr, listener string, log *event.Logger) Guard {
			return authenticator.Guard(client, listener, log)
		},
		Offer: func(listen.Info) sasl.Offer { return authenticator.Offer() }, Tight: w.tight.Load,
		TLS: w.tls,
	})
	w.group = listen.NewGroup(listen.Options{})
	for _, name := range []string{"smtp", "submission", "submissions", "lmtp"} {
		w.open(name)
	}
	return w
}

func (w *world) tls() *tls.Config {
	if w.noTLS.Load() {
		return nil
	}
	cert, _ := certificate()
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

func (w *world) settings(s store.Store) {
	r := setting.NewRegistry()
	w.smtp = setting.Register[Settings](r, "smtp")
	w.checks = setting.Register[check.Settings](r, "policy")
	w.auth = setting.Register[auth.Settings](r, "auth")
	var err error
	if w.book, err = setting.Open(w.t.Context(), r, s.Settings(), nil, setting.Options{}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.book.Save(w.t.Context(), setting.Edit{Set: map[string]string{"policy.door.greeting_delay": "0s"}, Author: "test"}); err != nil {
		w.t.Fatal(err)
	}
	w.policy = policy.NewPipeline(w.checks.Get().Rules())
}

func (w *world) people() {
	ctx, t := w.t.Context(), w.t
	if err := w.dir.AddDomain(ctx, store.DomainRow{Name: "example.test", Separator: "+"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"admin", "bob", "alice", "carol", "dave"} {
		row := store.AccountRow{Addresses: []mail.Address{{Local: name, Domain: "example.test"}}, Admin: name == "admin", Disabled: name == "carol"}
		if name == "dave" {
			row.QuotaMessages = 1
		}
		row.Password, row.Scram256 = secrets()
		id, err := w.dir.AddAccount(ctx, directory.NewAccount{AccountRow: row})
		if err != nil {
			t.Fatal(err)
		}
		w.accounts[name] = id
	}
	team := store.AliasRow{Address: mail.Address{Local: "team", Domain: "example.test"}, Targets: []mail.Address{
		{Local: "alice", Domain: "example.test"}, {Local: "bob", Domain: "example.test"}, {Local: "c", Domain: "far.example"},
	}}
	if err := w.dir.AddAlias(ctx, team); err != nil {
		t.Fatal(err)
	}
}

// door is a listener whose connections come from transcripts.
type door struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}
func (d *door) Close() error   { d.once.Do(func() { close(d.closed) }); return nil }
func (d *door) Addr() net.Addr { return &net.TCPAddr{} }

// watched tells when the server has closed a connection.
type watched struct {
	net.Conn
	done chan struct{}
	once sync.Once
}

func (c *watched) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.Conn.Close()
}

func (c *watched) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

func (w *world) open(name string) {
	d := &door{conns: make(chan net.Conn), closed: make(chan struct{})}
	w.doors[name] = d
	n, _ := listen.Lookup(name)
	if err := w.group.Start(&listen.Socket{Listener: d, Name: n}, w.server, w.tls()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) serve(listener string, conn net.Conn) {
	if listener == "" {
		listener = "smtp"
	}
	c := &watched{Conn: conn, done: make(chan struct{})}
	select {
	case w.doors[listener].conns <- c:
		<-c.done
	case <-w.doors[listener].closed:
	}
}

func (w *world) close() {
	w.group.Stop(w.t.Context())
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// play runs one dialogue in a world of its own.
func play(t *testing.T, dialogue string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		_, pool := certificate()
		if err := transcript.Run(dialogue, transcript.Options{
			Serve: w.serve, TLS: &tls.Config{RootCAs: pool, ServerName: "mx.example.test"}, Commands: w.commands(),
		}); err != nil {
			t.Error(err)
		}
	})
}

// commands are what a dialogue may do to the world, or ask it:
//
//	! set smtp.errors.delay 0s   change a setting
//	! fault commit full          the store fails: draft, write or commit; full, quota, readonly, lost; "none" ends it
//	! unknown 2                  so many commits happen without telling
//	! room 1000                  free octets
//	! tight on                   memory is short
//	! tls off                    no certificate
//	! disable bob              the account is switched off
//	! auth down                  the directory of logins does not answer
//	! stop 5s                    the server stops, with that much grace
//	! filed bob 1                so many messages lie in bob's inbox
//	! queued 1                   so many recipients lie in the queue
//	! line bob Received: from …  the newest message has such a line; "!" before the name: has not
func (w *world) commands() map[string]func(string) error {
	on := func(b *atomic.Bool, word string) func(string) error {
		return func(args string) error { b.Store(args == word); return nil }
	}
	return map[string]func(string) error{
		"set": w.set, "fault": w.fault, "room": w.setRoom, "stop": w.stop, "filed": w.filed, "queued": w.queued, "line": w.line,
		"tight": on(&w.tight, "on"), "tls": on(&w.noTLS, "off"), "auth": on(&w.login.down, "down"),
		"disable": func(who string) error {
			row, err := w.store.Directory().GetAccount(w.t.Context(), w.accounts[who])
			if err != nil {
				return err
			}
			row.Disabled = true
			return w.dir.SetAccount(w.t.Context(), row)
		},
		"revoke": func(string) error {
			for _, login := range w.group.Logins(false) {
				w.group.End(login)
			}
			synctest.Wait()
			return nil
		},
		"unknown": func(args string) error {
			n, err := strconv.Atoi(args)
			w.store.set(func(f *faulty) { f.unknown = n })
			return err
		},
	}
}

func (w *world) set(args string) error {
	name, text, _ := strings.Cut(args, " ")
	_, err := w.book.Save(w.t.Context(), setting.Edit{Set: map[string]string{name: text}, Author: "test"})
	if err == nil {
		w.policy.Replace(w.checks.Get().Rules())
	}
	return err
}

func (w *world) fault(args string) error {
	where, what, _ := strings.Cut(args, " ")
	errs := map[string]error{"full": store.ErrFull, "quota": store.ErrOverQuota, "readonly": store.ErrReadOnly, "lost": store.ErrUnknownOutcome, "none": nil}
	err, ok := errs[what]
	if !ok {
		return fmt.Errorf("no fault %q", what)
	}
	w.store.set(func(f *faulty) {
		switch where {
		case "draft":
			f.draft = err
		case "write":
			f.write = err
		case "commit":
			f.commit = err
		}
	})
	return nil
}

func (w *world) setRoom(args string) error {
	n, err := strconv.ParseInt(args, 10, 64)
	w.store.set(func(f *faulty) { f.room = &store.Room{Free: n, Total: 1 << 40} })
	return err
}

func (w *world) stop(args string) error {
	grace, err := time.ParseDuration(args)
	if err != nil {
		return err
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		w.group.Stop(ctx)
	}()
	synctest.Wait()
	return nil
}

func (w *world) inbox(who string) (store.Index, error) {
	a := w.store.Account(w.accounts[who])
	box, err := a.FindMailbox(w.t.Context(), "INBOX")
	if err != nil {
		return store.Index{}, err
	}
	return a.Index(w.t.Context(), box.ID)
}

func (w *world) filed(args string) error {
	who, n, _ := strings.Cut(args, " ")
	index, err := w.inbox(who)
	if err == nil && strconv.Itoa(len(index.Entries)) != n {
		err = fmt.Errorf("%d messages are filed", len(index.Entries))
	}
	return err
}

func (w *world) queued(args string) error {
	_, n, err := w.store.Queue().Count(w.t.Context())
	if err == nil && strconv.FormatInt(n, 10) != args {
		err = fmt.Errorf("%d recipients are queued", n)
	}
	return err
}

func (w *world) line(args string) error {
	who, pattern, _ := strings.Cut(args, " ")
	who, absent := strings.CutPrefix(who, "!")
	text, err := w.newest(who)
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if transcript.Match(pattern, line) {
			if absent {
				return fmt.Errorf("there is %q", line)
			}
			return nil
		}
	}
	if absent {
		return nil
	}
	return fmt.Errorf("no such line in\n%s", text)
}

func (w *world) newest(who string) (string, error) {
	index, err := w.inbox(who)
	if err != nil || len(index.Entries) == 0 {
		return "", fmt.Errorf("nothing is filed: %v", err)
	}
	body, err := w.store.Account(w.accounts[who]).OpenBody(w.t.Context(), index.Entries[len(index.Entries)-1].Message)
	if err != nil {
		return "", err
	}
	b := make([]byte, body.Size())
	_, err = body.ReadAt(b, 0)
	return string(b), errors.Join(err, body.Close())
}

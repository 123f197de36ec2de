package imapd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/wire/mime"
	"posthorn/internal/wire/sasl"
)

// world is a server over the real embedded store with the accounts alice, bob
// and small (which may hold 2,000 octets); everybody's password is "secret".
type world struct {
	t        testing.TB
	store    store.Store
	faults   *faults
	boxes    *mailbox.Registry
	server   *Server
	settings Settings
	offer    sasl.Offer
	tls      *tls.Config
	accounts map[string]store.AccountID
	ids      *ident.Source
	ctx      context.Context
	stop     context.CancelCauseFunc
}

func newWorld(t testing.TB) *world {
	ctx, stop := context.WithCancelCause(context.Background())
	s, err := sqlstore.OpenSQLite(ctx, t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: s, settings: setting.Defaults[Settings](setting.Recommended),
		offer: sasl.Offer{PlaintextWithoutTLS: true, Scram: true, Login: true}, accounts: map[string]store.AccountID{},
		ids: ident.NewSource(), ctx: ctx, stop: stop}
	w.faults = &faults{Store: s}
	w.boxes = mailbox.NewRegistry(w.faults, mailbox.Options{})
	for _, name := range []string{"alice", "bob", "small"} {
		row := store.AccountRow{Addresses: []mail.Address{{Local: name, Domain: "example.test"}}, Created: time.Now()}
		if name == "small" {
			row.QuotaBytes = 2000
		}
		if w.accounts[name], err = s.Directory().AddAccount(ctx, row); err != nil {
			t.Fatal(err)
		}
	}
	w.server = New(w.deps())
	return w
}

func (w *world) deps() Deps {
	return Deps{
		Store: w.faults, Mailboxes: w.boxes,
		Guard:    func(netip.Addr, string, *event.Logger) Guard { return &guard{w: w} },
		Offer:    func() sasl.Offer { return w.offer },
		Settings: func() *Settings { return &w.settings },
		TLS:      func() *tls.Config { return w.tls },
	}
}

func (w *world) close() {
	w.stop(nil)
	w.boxes.Close()
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// serve is transcript.Options.Serve.
func (w *world) serve(listener string, raw net.Conn) {
	info := listen.Info{Session: w.ids.New(), Listener: listener, Client: raw.RemoteAddr().(*net.TCPAddr).AddrPort()}
	c := listen.NewConn(raw, info)
	w.server.Serve(w.ctx, c)
	_ = c.Close()
}

// deliver files a message in an account's inbox, as accept does.
func (w *world) deliver(args string) error {
	name, text, _ := strings.Cut(args, " ")
	if text == "" {
		text = "delivered"
	}
	return w.file(name, "Subject: "+text+"\r\n\r\n"+text+"\r\n")
}

func (w *world) file(name, content string) error {
	draft, err := w.store.NewDraft(w.ctx, int64(len(content)))
	if err != nil {
		return err
	}
	if _, err := draft.Write([]byte(content)); err != nil {
		return err
	}
	meta, err := mime.Parse([]byte(content)).AppendBinary(nil)
	if err != nil {
		return err
	}
	_, err = w.store.Accept(w.ctx, &store.Acceptance{Key: w.ids.New(), Time: time.Now(), Body: draft, Account: w.accounts[name],
		Filings: []store.Filing{{Role: store.RoleInbox, Meta: meta, Internal: time.Now()}}})
	return err
}

// guard is an authenticator that costs no time, with the delays of the real one.
type guard struct {
	w        *world
	failures int
	delay    time.Duration
	account  store.AccountID
}

func (g *guard) Connect() error            { return nil }
func (g *guard) ProtocolError()            {}
func (g *guard) Account() store.AccountRow { return store.AccountRow{ID: g.account} }

func (g *guard) Penalty() (time.Duration, bool) {
	d := g.delay
	g.delay = 0
	return d, g.failures >= 10
}

func (g *guard) Begin(mechanism string, binding sasl.ChannelBinding, offered []sasl.Mechanism) (sasl.Server, error) {
	s, err := sasl.NewServer(mechanism, sasl.Config{Verifier: g, Offered: offered, Binding: binding, Secret: []byte("for tests")})
	if err != nil {
		return nil, err
	}
	return &exchange{s, g}, nil
}

type exchange struct {
	sasl.Server
	g *guard
}

func (x *exchange) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	challenge, done, err := x.Server.Next(ctx, response)
	if err != nil {
		x.g.failures++
		x.g.delay = time.Second << min(x.g.failures-1, 3)
	} else if done {
		x.g.account = x.g.w.account(x.Identity().Authcid)
	}
	return challenge, done, err
}

func (w *world) account(name string) store.AccountID {
	return w.accounts[strings.TrimSuffix(name, "@example.test")]
}

func (g *guard) VerifyPassword(_ context.Context, name, password string) (string, error) {
	if g.w.account(name) == 0 || password != "secret" {
		return "", fmt.Errorf("test: %w", sasl.ErrCredentials)
	}
	return name, nil
}

func (g *guard) Scram(_ context.Context, name string, h passwd.ScramHash) (string, passwd.Scram, error) {
	if g.w.account(name) == 0 {
		return "", passwd.Scram{}, sasl.ErrCredentials
	}
	s, err := passwd.DeriveScram(h, "secret", []byte("0123456789abcdef"), 4096)
	return name, s, err
}

// faults is the store with errors where a test wants them.
type faults struct {
	store.Store
	mu  sync.Mutex
	err error // of every write but those that remove
	// blind: what is new in a mailbox cannot be read.
	blind atomic.Bool
	// stands is how long no APPEND is begun, a time.Duration.
	stands atomic.Int64
}

func (f *faults) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *faults) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *faults) Account(id store.AccountID) store.Account {
	return &faultyAccount{f.Store.Account(id), f}
}

type faultyAccount struct {
	store.Account
	f *faults
}

func (a *faultyAccount) Append(ctx context.Context, m store.MailboxID, items []store.AppendItem) ([]store.Filed, error) {
	if err := a.f.failure(); err != nil {
		return nil, err
	}
	if d := time.Duration(a.f.stands.Load()); d > 0 { // a line that does not move
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return a.Account.Append(ctx, m, items)
}

func (a *faultyAccount) SetFlags(ctx context.Context, m store.MailboxID, u store.FlagUpdate) (store.FlagResult, error) {
	if err := a.f.failure(); err != nil {
		return store.FlagResult{}, err
	}
	return a.Account.SetFlags(ctx, m, u)
}

func (a *faultyAccount) ChangesSince(ctx context.Context, m store.MailboxID, cursor store.Cursor) (store.Changes, error) {
	if a.f.blind.Load() {
		return store.Changes{}, store.ErrUnavailable
	}
	return a.Account.ChangesSince(ctx, m, cursor)
}

// failures names the errors a transcript can ask for with "! fail".
var failures = map[string]error{
	"full": store.ErrFull, "readonly": store.ErrReadOnly, "unavailable": store.ErrUnavailable, "unknown": store.ErrUnknownOutcome, "": nil,
}

// expand writes out the short forms of transcripts: "A enter alice" connects
// and logs in, "A append INBOX (\Seen) text" stores a message, "A load INBOX …" one
// written out.
func expand(dialogue string) string {
	var b strings.Builder
	for line := range strings.Lines(dialogue) {
		line = strings.TrimSuffix(line, "\n")
		who, step := "", line
		if len(line) > 2 && line[1] == ' ' && line[0] >= 'A' && line[0] <= 'Z' {
			who, step = line[:2], line[2:]
		}
		verb, rest, _ := strings.Cut(step, " ")
		switch verb {
		case "enter":
			fmt.Fprintf(&b, "%sconnect 192.0.2.1 imap\n%sS: * OK …\n%sC: in LOGIN %s secret\n%sS: in OK …\n", who, who, who, rest, who)
		case "append":
			box, rest, _ := strings.Cut(rest, " ")
			flags := ""
			if strings.HasPrefix(rest, "(") {
				end := strings.IndexByte(rest, ')') + 1
				flags, rest = " "+strings.ReplaceAll(rest[:end], `\`, `\\`), strings.TrimPrefix(rest[end:], " ")
			}
			text := "Subject: " + rest + "\r\n\r\n" + rest + "\r\n"
			fmt.Fprintf(&b, "%sC- ap APPEND %s%s {%s+}\\r\\nSubject: %s\\r\\n\\r\\n%s\\r\\n\\r\\n\n%sS* ap OK …\n",
				who, box, flags, strconv.Itoa(len(text)), rest, rest, who)
		case "load":
			box, text, _ := strings.Cut(rest, " ")
			fmt.Fprintf(&b, "%sC- ap APPEND %s {%d+}\\r\\n%s\\r\\n\n%sS* ap OK …\n", who, box, octets(text), text, who)
		default:
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// octets counts what a text with escapes stands for.
func octets(text string) int {
	n := 0
	for i := 0; i < len(text); i, n = i+1, n+1 {
		if text[i] == '\\' {
			if i++; text[i] == 'x' {
				i += 2
			}
		}
	}
	return n
}

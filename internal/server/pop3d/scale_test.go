package pop3d

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"posthorn/internal/base/event"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/memconn"
	"posthorn/internal/wire/pop3"
	"posthorn/internal/wire/sasl"
)

// peer is a client that is not a transcript.
type peer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func newPeer(t testing.TB, conn net.Conn) *peer { return &peer{t, conn, bufio.NewReader(conn)} }

func (p *peer) send(lines ...string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) line() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (p *peer) expect(prefixes ...string) {
	p.t.Helper()
	for _, want := range prefixes {
		if got := p.line(); !strings.HasPrefix(got, want) {
			p.t.Fatalf("%q, want %q", got, want)
		}
	}
}

// connect opens a connection in memory to a listener of the world.
func (w *world) connect(listener string) (conn net.Conn, done <-chan struct{}) {
	client, server := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.25:110"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.serve(listener, server)
	}()
	return client, ended
}

func TestScramIsBoundToTheConnection(t *testing.T) {
	t.Parallel()
	serverTLS()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		for _, m := range []sasl.Mechanism{sasl.ScramSHA256Plus, sasl.ScramSHA256} {
			raw, done := w.connect("pop3s")
			conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
			p := newPeer(t, conn)
			p.expect("+OK")
			state := conn.ConnectionState()
			offered := []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
			c, err := sasl.NewClient(m, sasl.Credentials{Name: "alice@example.test", Password: "secret"}, offered, sasl.ClientBinding(&state))
			if err != nil {
				t.Fatal(err)
			}
			first, err := c.Start()
			if err != nil {
				t.Fatal(err)
			}
			p.send("AUTH " + string(m) + " " + sasl.EncodeInitial(first))
			for range 2 {
				challenge, ok := strings.CutPrefix(p.line(), "+ ")
				b, err := sasl.DecodeResponse(challenge)
				if !ok || err != nil {
					t.Fatal(challenge, err)
				}
				response, err := c.Next(b)
				if err != nil {
					t.Fatal(err)
				}
				p.send(sasl.Encode(response))
			}
			if err := c.Finish(); err != nil {
				t.Error(err)
			}
			p.expect("+OK 0 messages")
			p.send("QUIT")
			p.expect("+OK")
			<-done
			_ = raw.Close()
		}
	})
}

// TestAClientThatDoesNotReadIsGivenUp has a message far larger than what the
// connection buffers.
func TestAClientThatDoesNotReadIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		if err := w.file("alice", []byte("A: 1\r\n\r\n"+strings.Repeat(strings.Repeat("x", 78)+"\r\n", 20_000))); err != nil {
			t.Fatal(err)
		}
		conn, done := w.connect("plain")
		p := newPeer(t, conn)
		p.send("USER alice@example.test", "PASS secret", "DELE 1", "RSET", "RETR 1", "QUIT")
		began := time.Now()
		<-done
		if took := time.Since(began); took != writeTime {
			t.Errorf("given up after %v", took)
		}
		_ = conn.Close()
		if err := errors.Join(w.free("alice"), w.messages("alice INBOX 1")); err != nil {
			t.Error(err)
		}
	})
}

// TestASlowReaderIsGivenUp takes 340 octets a second, so that no single write
// lasts too long.
func TestASlowReaderIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		const size = 1_600_000
		if err := w.file("alice", []byte("A: 1\r\n\r\n"+strings.Repeat(strings.Repeat("x", 78)+"\r\n", size/80))); err != nil {
			t.Fatal(err)
		}
		conn, done := w.connect("plain")
		p := newPeer(t, conn)
		p.send("USER alice@example.test", "PASS secret", "RETR 1")
		began := time.Now()
		for buf := make([]byte, 10<<10); ; {
			select {
			case <-done:
			case <-time.After(30 * time.Second):
				if _, err := conn.Read(buf); err != nil {
					t.Fatal(err)
				}
				continue
			}
			break
		}
		if took, most := time.Since(began), writeTime+size/slowest*time.Second; took > most+time.Second || took < most/2 {
			t.Errorf("given up after %v, not %v", took, most)
		}
		_ = conn.Close()
	})
}

// huge is a maildrop of any size that costs no disk.
type huge struct {
	store.Account
	n        int
	expunged []store.UIDRange
}

func (h *huge) ID() store.AccountID { return 7 }

func (h *huge) FindMailbox(context.Context, string) (store.Mailbox, error) {
	return store.Mailbox{ID: 1}, nil
}

func (h *huge) Index(context.Context, store.MailboxID) (store.Index, error) {
	x := store.Index{Mailbox: store.Mailbox{ID: 1, UIDValidity: 0xabcdef}, Entries: make([]store.Entry, h.n)}
	for i := range x.Entries {
		x.Entries[i] = store.Entry{UID: store.UID(3*i + 1), Size: 1000, Message: store.MessageID(i + 1)}
	}
	return x, nil
}

func (h *huge) Uneven(context.Context) ([]store.Uneven, error) { return nil, nil }

func (h *huge) Expunge(_ context.Context, _ store.MailboxID, uids []store.UIDRange, _ bool) ([]store.UID, store.ModSeq, error) {
	h.expunged = uids
	return nil, 0, nil
}

type hugeStore struct {
	store.Store
	a *huge
}

func (s hugeStore) Account(store.AccountID) store.Account { return s.a }

// anyone lets everybody in.
type anyone struct{ Guard }

func (anyone) Connect() error { return nil }
func (anyone) Password(context.Context, string, string) (store.AccountRow, error) {
	return store.AccountRow{ID: 7}, nil
}

func TestAHundredThousandMessagesAreListedAndDeleted(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(message{}); size != 24 {
		t.Errorf("a message takes %d octets", size)
	}
	const n = 100_000
	settings := setting.Defaults[Settings](setting.Recommended)
	a := &huge{n: n}
	s := New(Deps{Settings: func() *Settings { return &settings }, Store: hugeStore{a: a},
		Guard: func(netip.Addr, string, *event.Logger) Guard { return anyone{} },
		Offer: func(listen.Info) sasl.Offer { return sasl.Offer{PlaintextWithoutTLS: true} }})
	client, server := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.25:110"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(t.Context(), listen.NewConn(server, listen.Info{}))
	}()
	p := newPeer(t, client)
	p.send("USER a", "PASS b", "STAT", "LIST", "UIDL")
	p.expect("+OK", "+OK", "+OK 100000 messages", "+OK 100000 100000000", "+OK")
	for _, format := range []string{"%d 1000", ""} {
		for i := range n {
			want := fmt.Sprintf(format, i+1)
			if format == "" {
				want = fmt.Sprintf("%d %s", i+1, pop3.UID(0xabcdef, uint32(3*i+1)))
			}
			if got := p.line(); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		p.expect(".")
		if format != "" {
			p.expect("+OK")
		}
	}
	go func() { // the answers must be read meanwhile
		for i := 1; i <= n; i++ {
			if i != n/2 {
				fmt.Fprintf(client, "DELE %d\r\n", i)
			}
		}
		fmt.Fprint(client, "QUIT\r\n")
	}()
	for range n {
		p.expect("+OK")
	}
	<-done
	_ = client.Close()
	if want := (store.UIDRange{First: 1, Last: 3*(n/2-2) + 1}); len(a.expunged) != 2 || a.expunged[0] != want {
		t.Errorf("%+v", a.expunged)
	}
}

func TestEverySecondOfManyMessagesIsDeletedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.close()
	const n = 2000
	index, err := w.box("alice", "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	items := make([]store.AppendItem, n)
	for i := range items {
		draft, err := w.store.NewDraft(t.Context(), 10)
		if err == nil {
			_, err = io.WriteString(draft, "A: 1\r\n\r\nx\r\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		items[i] = store.AppendItem{Body: draft, Internal: time.Now()}
	}
	if _, err := w.store.Account(w.accounts["alice"]).Append(t.Context(), index.Mailbox.ID, items); err != nil {
		t.Fatal(err)
	}
	d, err := openMaildrop(t.Context(), w.store.Account(w.accounts["alice"]))
	if err != nil || d.left != n {
		t.Fatal(d, err)
	}
	for i := 0; i < n; i += 2 {
		d.mark(&d.messages[i])
	}
	if got := len(d.ranges()); got != n/2 {
		t.Errorf("%d ranges", got)
	}
	if err := d.commit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if index, err = w.box("alice", "INBOX"); err != nil || len(index.Entries) != n/2 || index.Entries[0].UID != 2 {
		t.Errorf("%d messages are left, %v", len(index.Entries), err)
	}
}

// TestStoppingSaysGoodbyeAndDeletesNothing has real sockets, since only a
// Group interrupts sessions (hostile row 50).
func TestStoppingSaysGoodbyeAndDeletesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.close()
	if err := w.deliver(`alice A: 1\r\n\r\n1\r\n`); err != nil {
		t.Fatal(err)
	}
	sockets, err := listen.Open(t.Context(), []listen.Spec{{Name: "pop3", Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	g := listen.NewGroup(listen.Options{})
	offer := w.server.d.Offer
	w.server.d.Offer = func(info listen.Info) sasl.Offer { info.Listener = "plain"; return offer(info) }
	if err := g.Start(sockets[0], w.server, nil); err != nil {
		t.Fatal(err)
	}
	var peers []*peer
	for i := range 100 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", sockets[0].Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, conn)
		p.expect("+OK")
		if i == 0 {
			p.send("USER alice@example.test", "PASS secret", "DELE 1")
			p.expect("+OK", "+OK", "+OK")
		}
		peers = append(peers, p)
	}
	began := time.Now()
	if cut := g.Stop(t.Context()); cut != 0 {
		t.Errorf("%d connections had to be cut", cut)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	for _, p := range peers {
		p.expect("-ERR [SYS/TEMP] The server is stopping")
		if _, err := p.in.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if err := w.messages("alice INBOX 1"); err != nil {
		t.Error(err)
	}
}

func TestNewcomersAreRefusedInWords(t *testing.T) {
	t.Parallel()
	s := New(Deps{})
	for _, reason := range []listen.Reason{listen.Full, listen.HostFull, listen.Memory, listen.Descriptors} {
		if got := string(s.Refuse(reason, listen.Info{})); !strings.HasPrefix(got, "-ERR [SYS/TEMP] Too many connections") || !strings.HasSuffix(got, "\r\n") {
			t.Errorf("%s: %q", reason, got)
		}
	}
}

// banned is a client that may not even be greeted.
type banned struct{ Guard }

func (banned) Connect() error { return errors.New("banned") }

func TestBannedClientsAreSentAway(t *testing.T) {
	t.Parallel()
	settings := setting.Defaults[Settings](setting.Recommended)
	s := New(Deps{Settings: func() *Settings { return &settings }, Guard: func(netip.Addr, string, *event.Logger) Guard { return banned{} }})
	client, server := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.25:110"))
	s.Serve(t.Context(), listen.NewConn(server, listen.Info{}))
	newPeer(t, client).expect("-ERR [SYS/TEMP] Too many failures")
	_ = client.Close()
}

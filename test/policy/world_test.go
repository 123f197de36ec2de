// Package policy_test plays whole dialogues against the whole house: the real
// store, directory, settings, rules, evidence and doors, as app builds them, in
// one process, with name servers of its own and in virtual time. What a
// stranger can do to a mail server over days is shown in milliseconds.
package policy_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"
	"go.uber.org/goleak"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/server/listen"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
	"posthorn/internal/testkit/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a house that serves, in one bubble. Its data outlives a restart.
type world struct {
	t        *testing.T
	dir      string
	zones    *authority.Authority
	house    *app.House
	doors    map[string]*door
	stop     context.CancelFunc
	ended    chan error
	accounts map[string]store.AccountID
	began    time.Time
}

// The doors of the world.
var listeners = []string{"smtp", "submission", "imap", "pop3", "metrics"}

const (
	host     = "mx.example.test"
	password = "correct horse battery"
)

// cheap hashes quickly; secret is what is stored for password, made once.
var secret = sync.OnceValue(func() string {
	cheap := passwd.NewVerifier(passwd.Options{Params: passwd.Params{Memory: 64, Time: 1, Threads: 1}})
	hash, err := cheap.NewHash(context.Background(), password)
	if err != nil {
		panic(err)
	}
	return hash
})

// people of the world; each has an account at example.test.
var people = []string{"admin", "alice", "bob"}

// newWorld builds a house with people and opens its doors. Logging in needs no
// TLS, and nobody waits for the greeting, unless edits say otherwise.
func newWorld(t *testing.T, zone string, edits ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), zones: authority.New(t, zone), accounts: map[string]store.AccountID{}, began: time.Now()}
	w.serve(func(ctx context.Context, h *app.House) error {
		return errors.Join(w.people(ctx, h), w.save(h, append([]string{
			"server.hostname " + host, "login.plaintext_needs_tls false", "policy.door.greeting_delay 0s"}, edits...)...))
	})
	return w
}

func (w *world) people(ctx context.Context, h *app.House) error {
	if err := h.Directory.AddDomain(ctx, store.DomainRow{Name: "example.test", Separator: "+"}); err != nil {
		return err
	}
	for _, name := range people {
		row := store.AccountRow{Addresses: []mail.Address{{Local: name, Domain: "example.test"}}, Admin: name == "admin", Password: secret()}
		id, err := h.Directory.AddAccount(ctx, directory.NewAccount{AccountRow: row})
		if err != nil {
			return err
		}
		w.accounts[name] = id
	}
	return nil
}

// save changes settings, each given as "name value".
func (w *world) save(h *app.House, edits ...string) error {
	set := map[string]string{}
	for _, e := range edits {
		name, text, _ := strings.Cut(e, " ")
		set[name] = text
	}
	_, err := h.Settings.Save(w.t.Context(), setting.Edit{Set: set, Author: "test"})
	return err
}

// serve opens the house in the world's folder and its doors.
func (w *world) serve(prepare func(context.Context, *app.House) error) {
	w.t.Helper()
	var sockets []*listen.Socket
	w.doors = map[string]*door{}
	for _, name := range listeners {
		d := &door{conns: make(chan net.Conn), closed: make(chan struct{})}
		n, ok := listen.Lookup(name)
		if !ok {
			w.t.Fatal("no listener", name)
		}
		w.doors[name] = d
		sockets = append(sockets, &listen.Socket{Listener: d, Name: n})
	}
	ctx, stop := context.WithCancel(w.t.Context())
	w.stop, w.ended = stop, make(chan error, 1)
	ready := make(chan struct{})
	resolver := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: w.zones.Exchange})
	config := boot.Config{Data: w.dir}
	config.Log.Level = "debug"
	var log *os.File
	if os.Getenv("POSTHORN_TEST_LOG") != "" {
		log = os.Stderr
	}
	o := app.ServeOptions{Open: app.OpenOptions{Resolver: resolver}, Sockets: sockets, Alone: true, Prepare: prepare,
		Ready: func(h *app.House, _ []manage.Listener) error { w.house = h; close(ready); return nil }}
	if log != nil {
		o.Open.Log = log
	}
	go func() { w.ended <- app.Serve(ctx, config, o) }()
	select {
	case <-ready:
	case err := <-w.ended:
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// close ends the house and reports what it ended with.
func (w *world) close() {
	w.t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Error(err)
	}
}

// restart ends the house and opens it again, with nothing but its folder.
func (w *world) restart(string) error {
	w.stop()
	if err := <-w.ended; err != nil {
		return err
	}
	w.serve(nil)
	return nil
}

// door is a listener whose connections come from the test.
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

// take gives a connection to a listener and returns when the server has closed it.
func (w *world) take(listener string, conn net.Conn) {
	if listener == "" {
		listener = "smtp"
	}
	c, d := &watched{Conn: conn, done: make(chan struct{})}, w.doors[listener]
	select {
	case d.conns <- c:
		<-c.done
	case <-d.closed:
	}
}

// play runs one dialogue in a world of its own. Its first line may be "begin"
// and a time (RFC 3339); otherwise the world begins with the year 2000.
func play(t *testing.T, zone, dialogue string) {
	t.Helper()
	dialogue, err := expand(dialogue)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(dialogue, "\n")
	begin, ok := strings.CutPrefix(first, "begin ")
	if ok {
		dialogue = rest
	}
	synctest.Test(t, func(t *testing.T) {
		if at, err := time.Parse(time.RFC3339, begin); err == nil {
			time.Sleep(time.Until(at)) // nobody has to live through the time before
		} else if ok {
			t.Fatal(err)
		}
		w := newWorld(t, zone)
		defer w.close()
		if err := transcript.Run(dialogue, transcript.Options{Serve: w.take, TLS: &tls.Config{InsecureSkipVerify: true}, Commands: w.commands()}); err != nil {
			t.Error(err)
		}
	})
}

// commands are what a dialogue may do to the world, or ask it:
//
//	! set policy.greylist.scope all   change a setting
//	! restart                         end the house and open it again
//	! manage ban-lift {"host":"…"}    run an operation of the administration
//	! until 2000-03-01T00:00:00Z      let time pass until then
//	! zone a.example. IN A 192.0.2.7  add a record
//	! dns * servfail                  name servers fail for a name: servfail, silent; "well" ends it
//	! filed bob 1                     so many messages lie in bob's inbox; "bob/Junk" in another mailbox
//	! line bob Received: from …       the newest message has such a line; "!" before the name: has not
//	! above bob Received-SPF Received the newest message has one field above the other
//	! bans 1                          so many bans are in force
//	! greylist 1 0                    so many clients are on the greylist, and so many of them confirmed
//	! records refused 1               so many attempts are recorded that ended so
func (w *world) commands() map[string]func(string) error {
	return map[string]func(string) error{
		"set":     func(args string) error { return w.changed(w.save(w.house, args)) },
		"restart": w.restart,
		"manage": func(args string) error {
			name, input, _ := strings.Cut(args, " ")
			return w.manage(name, input)
		},
		"until": func(args string) error {
			at, err := time.Parse(time.RFC3339, args)
			if err == nil {
				time.Sleep(time.Until(at))
			}
			return err
		},
		"zone": func(args string) error { w.zones.Add(args); return nil },
		"dns":  w.dns, "filed": w.filed, "line": w.line, "above": w.above, "bans": w.bans, "greylist": w.greylist, "records": w.records,
	}
}

// manage runs an operation of the administration.
func (w *world) manage(name, input string) error {
	_, err := w.house.Service.Call(w.t.Context(), name, []byte(input))
	return w.changed(err)
}

// changed gives the house the time it takes to notice a change.
func (w *world) changed(err error) error {
	time.Sleep(time.Millisecond)
	synctest.Wait()
	return err
}

func (w *world) dns(args string) error {
	name, how, _ := strings.Cut(args, " ")
	b, ok := map[string]authority.Behaviour{"well": {}, "servfail": {Rcode: mdns.RcodeServerFailure}, "silent": {Drop: true}}[how]
	if !ok {
		return fmt.Errorf("no behaviour %q", how)
	}
	w.zones.Behave(name, b)
	return nil
}

// box reads a mailbox: "bob" is bob's inbox, "bob/Junk" another.
func (w *world) box(name string) (store.Account, store.Index, error) {
	who, box, ok := strings.Cut(name, "/")
	if !ok {
		box = "INBOX"
	}
	a := w.house.Store.Account(w.accounts[who])
	row, err := a.FindMailbox(w.t.Context(), box)
	if err != nil {
		return a, store.Index{}, err
	}
	index, err := a.Index(w.t.Context(), row.ID)
	return a, index, err
}

func (w *world) filed(args string) error {
	who, n, _ := strings.Cut(args, " ")
	_, index, err := w.box(who)
	if err == nil && strconv.Itoa(len(index.Entries)) != n {
		err = fmt.Errorf("%d messages are filed", len(index.Entries))
	}
	return err
}

// newest is the text of the last message in a mailbox.
func (w *world) newest(name string) (string, error) {
	a, index, err := w.box(name)
	if err != nil || len(index.Entries) == 0 {
		return "", fmt.Errorf("nothing is filed: %v", err)
	}
	body, err := a.OpenBody(w.t.Context(), index.Entries[len(index.Entries)-1].Message)
	if err != nil {
		return "", err
	}
	b := make([]byte, body.Size())
	_, err = body.ReadAt(b, 0)
	return string(b), errors.Join(err, body.Close())
}

// unfolded are the lines of a message with its fields unfolded.
func unfolded(text string) []string {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	head = strings.NewReplacer("\r\n\t", " ", "\r\n ", " ").Replace(head)
	return append(strings.Split(head, "\r\n"), strings.Split(body, "\r\n")...)
}

func (w *world) line(args string) error {
	who, pattern, _ := strings.Cut(args, " ")
	who, absent := strings.CutPrefix(who, "!")
	text, err := w.newest(who)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(unfolded(text), func(line string) bool { return transcript.Match(pattern, line) })
	if (at < 0) != absent {
		return fmt.Errorf("the message is\n%s", text)
	}
	return nil
}

func (w *world) above(args string) error {
	words := strings.Fields(args)
	text, err := w.newest(words[0])
	if err != nil {
		return err
	}
	first := func(name string) int {
		return slices.IndexFunc(unfolded(text), func(line string) bool { return strings.HasPrefix(line, name+":") })
	}
	if a, b := first(words[1]), first(words[2]); a < 0 || b < 0 || a > b {
		return fmt.Errorf("the message is\n%s", text)
	}
	return nil
}

// list runs an operation that lists, and reads what it told.
func list[T any](w *world, operation, input string) ([]T, error) {
	var page struct{ Items []T }
	text, err := w.house.Service.Call(w.t.Context(), operation, []byte(input))
	if err == nil {
		err = json.Unmarshal(text, &page)
	}
	return page.Items, err
}

func (w *world) bans(args string) error {
	err := w.changed(nil) // bans are written down behind the session's back
	all, lerr := list[manage.Ban](w, "ban-list", `{"limit":1000}`)
	if err = errors.Join(err, lerr); err == nil && strconv.Itoa(len(all)) != args {
		err = fmt.Errorf("%d bans: %+v", len(all), all)
	}
	return err
}

func (w *world) greylist(args string) error {
	all, err := list[manage.GreylistClient](w, "greylist-list", `{"limit":1000}`)
	confirmed := 0
	for _, c := range all {
		if c.Confirmed {
			confirmed++
		}
	}
	if got := fmt.Sprint(len(all), confirmed); err == nil && got != args {
		err = fmt.Errorf("there are %s: %+v", got, all)
	}
	return err
}

// outcomes counts the recorded attempts by how they ended.
func (w *world) outcomes() (map[string]int, error) {
	ctx, count := w.t.Context(), map[string]int{}
	if err := w.house.Records.Flush(ctx); err != nil {
		return nil, err
	}
	err := w.house.Records.Each(ctx, record.Query{}, func(a *record.Attempt) bool {
		count[a.Outcome.String()]++
		return true
	})
	return count, err
}

func (w *world) records(args string) error {
	outcome, n, _ := strings.Cut(args, " ")
	count, err := w.outcomes()
	if err == nil && strconv.Itoa(count[outcome]) != n {
		err = fmt.Errorf("recorded are %v", count)
	}
	return err
}

// TestTheHouseLeavesNothingOpen is the base of all others: a house that opens in
// a bubble, serves nobody and ends.
func TestTheHouseLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		if err := w.restart(""); err != nil {
			t.Fatal(err)
		}
		w.close()
		if _, err := os.Stat(filepath.Join(w.dir, "store")); err != nil {
			t.Error(err)
		}
	})
}

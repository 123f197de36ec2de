// Package ban knows which client hosts are not let in (B1G-BAN, M-SEC-ADV-04).
// It counts what clients do wrong over all protocols, bans a host that fails too
// often, and keeps the bans of the store in memory, those of other nodes too.
//
//	sessions ──Fail──► marks by host ──too many──► ban ──► memory at once, store soon
//	sessions ──Banned──► memory
//
// It does not know what a failure is worth to a protocol or what a banned client
// is told. Who may not be banned is told by the house (Options.Exempt).
package ban

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/limit"
	"posthorn/internal/state/store"
)

// Settings are when a host is banned for its failures, and how long.
type Settings struct {
	// Failures is how many failures within the window lead to a ban. They count
	// together over SMTP, IMAP, POP3 and HTTP, by IPv4 address or IPv6 /64 (B1G-BAN-01).
	Failures int `default:"15" min:"2" max:"100"`
	// Window is the time in which a host must fail ban.failures times to be
	// banned.
	Window time.Duration `default:"300s" min:"10s" max:"1d"`
	// Duration is how long a host is banned.
	Duration time.Duration `default:"1h" min:"1m" max:"365d"`
	// WrongLogin counts failed logins among the failures that lead to a ban.
	WrongLogin bool `default:"true"`
	// UnknownRecipient counts recipients that do not exist here among the
	// failures that lead to a ban.
	UnknownRecipient bool `default:"true"`
	// ProtocolError counts commands that no proper client sends among the
	// failures that lead to a ban.
	ProtocolError bool `default:"true"`
	// Most is how many bans of each kind are kept; beyond that those that end
	// first go.
	Most int `default:"100000" min:"100" max:"1000000"`
}

// Failure is what a client did wrong.
type Failure uint8

// The failures that count.
const (
	WrongLogin Failure = iota
	UnknownRecipient
	ProtocolError
	failures
)

var failureNames = [failures]string{"wrong login", "unknown recipient", "protocol error"}

// String returns the words of reasons.
func (f Failure) String() string { return failureNames[f] }

func (s *Settings) counts(f Failure) bool {
	return [failures]bool{s.WrongLogin, s.UnknownRecipient, s.ProtocolError}[f]
}

const (
	// pollEvery is how old a change of another node may be.
	pollEvery = 2 * time.Second
	// sweepEvery and keepEnded: ended bans can be looked at for a week.
	sweepEvery = time.Hour
	keepEnded  = 7 * 24 * time.Hour
	// maxHosts is how many hosts' failures are counted at once; with the factory's
	// settings an entry takes some 250 octets.
	maxHosts = 1 << 16
	// maxPending is how many bans wait for a store that does not answer.
	maxPending = 10_000
	// maxReason is how many octets of a reason are kept.
	maxReason = 300
	// farewell is how long Close waits for the store.
	farewell = 5 * time.Second
)

// Options say what a Book works with.
type Options struct {
	Settings func() *Settings
	// Exempt says why a client is never banned by the server, "" when it may be
	// (B1G-BAN-02): an address of our own, a listed proxy, a trusted client, one
	// of class no-greylisting-no-ban or on the allow list, or one from which an
	// administrator logged in. Loopback needs no telling. nil exempts nobody else.
	Exempt func(client netip.Addr, kind store.BanKind) string
	// Log is told of bans; nil is silent.
	Log *event.Logger
}

// Book is the list of bans in force. It implements policy.Bans and may be used
// by many goroutines. Close it before the store.
type Book struct {
	store store.Bans
	o     Options
	marks *limit.Sliding // failures

	mu      sync.RWMutex
	table   *table
	pending map[key]store.BanRow // in force, not yet in the store

	talk    sync.Mutex    // held while reading or writing the store
	written chan struct{} // wakes the writer
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// Open reads the bans in force and keeps them current until Close.
func Open(ctx context.Context, s store.Bans, o Options) (*Book, error) {
	b := &Book{store: s, o: o, marks: limit.NewSliding(maxHosts),
		table: newTable(nil), pending: map[key]store.BanRow{}, written: make(chan struct{}, 1)}
	version, err := b.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("bans: %w", err)
	}
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.work.Go(func() { store.Follow(ctx, s, version, pollEvery, b.load, b.failed) })
	b.work.Go(func() { store.Repeat(ctx, pollEvery, b.written, b.write, b.failed) })
	b.work.Go(func() { store.Repeat(ctx, sweepEvery, nil, b.sweep, b.failed) })
	return b, nil
}

// Close ends following and writes down what is not yet.
func (b *Book) Close() error {
	b.stop()
	b.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	return b.write(ctx)
}

// Banned implements policy.Bans: it returns the ban that holds for the client at
// the time. One set by hand comes first, for it holds whatever the allow list
// says; of several, that of the smallest network. It only looks.
func (b *Book) Banned(client netip.Addr, now time.Time) (store.BanRow, bool) {
	client = client.Unmap().WithZone("")
	if !client.IsValid() || client.IsLoopback() {
		return store.BanRow{}, false
	}
	b.mu.RLock()
	row, ok := b.table.find(client, now)
	b.mu.RUnlock()
	if ok && row.Kind != store.BanManual && b.exempt(client, row.Kind) != "" {
		return store.BanRow{}, false
	}
	return row, ok
}

// exempt says why the server bans the client never.
func (b *Book) exempt(client netip.Addr, kind store.BanKind) string {
	if client.IsLoopback() {
		return "this machine"
	}
	if b.o.Exempt == nil {
		return ""
	}
	return b.o.Exempt(client, kind)
}

// Day bans a host until the end of the day, as M-SEC-ADV-04 has it. host is what
// counts as one client there: limit.Host, or a single address.
func (b *Book) Day(host netip.Prefix, reason string, until time.Time) {
	if !host.IsValid() || b.exempt(host.Addr(), store.BanDay) != "" {
		return
	}
	now := time.Now()
	b.ban(store.BanRow{Host: host.Masked(), Kind: store.BanDay, Reason: reason, First: now, Last: now, Until: until})
}

// ban puts a ban into force at once and has it written down.
func (b *Book) ban(row store.BanRow) {
	row.Reason = shorten(row.Reason)
	k := key{row.Host, row.Kind}
	b.mu.Lock()
	if len(b.pending) >= maxPending {
		b.mu.Unlock()
		return // the store has not answered for long, which failed has said
	}
	b.pending[k] = row
	b.table.put(row)
	b.mu.Unlock()
	b.o.Log.Log(event.ClientBanned, slog.String("client", row.Host.String()), slog.String("kind", row.Kind.String()),
		slog.String("reason", row.Reason), slog.Time("until", row.Until.UTC()))
	select {
	case b.written <- struct{}{}:
	default:
	}
}

// shorten keeps the beginning of a reason, in whole characters.
func shorten(s string) string {
	if len(s) <= maxReason {
		return s
	}
	n := maxReason
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

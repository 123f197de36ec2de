package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// Options are what a Resolver works with; the zero value asks the system's
// servers.
type Options struct {
	// Servers returns ADDR:PORT of the servers, the preferred one first; nil or
	// an empty list means those of resolv.conf. It is asked at every look-up
	// and must be fast. What servers said before the list changed is forgotten.
	Servers func() []string
	// Exchange sends one query to one server and returns its answer; nil is UDP
	// with EDNS, then TCP for what does not fit. Answers are checked by the
	// resolver whoever brings them.
	Exchange func(ctx context.Context, server string, q *mdns.Msg) (*mdns.Msg, error)
	// CacheBytes bounds the memory of remembered answers; 0 is 16 MiB, about
	// 27,000 answers.
	CacheBytes int
	// Timeout is how long one server may take at the first try, twice that at
	// the second; 0 is two seconds.
	Timeout time.Duration
	// Switched, if not nil, is told which server is asked first from now on.
	Switched func(server string)
	// Failed, if not nil, is told when no server answered, at most once in
	// half a minute.
	Failed func(err error)
}

const (
	defaultCache   = 16 << 20
	defaultTimeout = 2 * time.Second
	// overall ends a look-up whose caller would wait for ever.
	overall = 30 * time.Second
	// maxQueries bounds queries on their way, and with them sockets.
	maxQueries = 1000
	// A failure is remembered this long, so that an outage is not made worse
	// (RFC 9520 §3.2); each in a row doubles it.
	minHold = 5 * time.Second
	maxHold = 30 * time.Second
)

// Resolver looks up records and remembers them as long as their TTL allows,
// never longer. It may be used by many goroutines. Every error matches exactly
// one of ErrNotFound and ErrTemporary; the end of a context is an ErrTemporary
// that also matches the context's error.
//
// It does not check DNSSEC signatures: Authentic is the word of the server.
type Resolver struct {
	o      Options
	system *system
	health health
	slots  chan struct{}

	mu      sync.Mutex
	cache   *cache
	flights map[key]*flight
	list    []string // the servers of the last look-up
	round   uint64   // how often the list changed
	told    time.Time
	stats   Stats // but the cache's own
}

// Stats is a snapshot for metrics.
type Stats struct {
	// Hits were answered from memory, Misses by servers; who waits for a
	// look-up under way is neither. Failures are the misses that got no answer.
	Hits, Misses, Failures uint64
	// Entries and Bytes are what is remembered now, expired ones too.
	Entries, Bytes int
}

// Stats returns the figures of this moment.
func (r *Resolver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Entries, s.Bytes = len(r.cache.entries), r.cache.used
	return s
}

// New returns a Resolver.
func New(o Options) *Resolver {
	if o.Exchange == nil {
		o.Exchange = exchange
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return &Resolver{o: o, system: &system{path: resolvConf}, health: health{states: map[string]*state{}},
		slots: make(chan struct{}, maxQueries), cache: newCache(o.CacheBytes), flights: map[key]*flight{}}
}

// Servers returns the servers asked, ADDR:PORT, the preferred one first.
func (r *Resolver) Servers() []string {
	list, _ := r.servers(time.Now())
	return slices.Clone(list)
}

// MX returns the mail exchangers of a domain, in the order of the answer.
func (r *Resolver) MX(ctx context.Context, domain string) (Answer[MX], error) {
	a, err := find(ctx, r, anyServer, domain, mdns.TypeMX, readMX)
	return withoutNull(a), err
}

// MXAt is MX as the server with that index in Servers tells it, and no other:
// inside and outside may have different records (M-REL-03). Answers are
// remembered for each server apart.
func (r *Resolver) MXAt(ctx context.Context, server int, domain string) (Answer[MX], error) {
	a, err := find(ctx, r, server, domain, mdns.TypeMX, readMX)
	return withoutNull(a), err
}

// withoutNull drops null MXs beside others, where they must not be
// (RFC 7505 §3); several of them alone are one.
func withoutNull(a Answer[MX]) Answer[MX] {
	null := func(mx MX) bool { return mx.Host == "" }
	if len(a.Records) < 2 {
		return a
	}
	first := a.Records[0]
	if a.Records = slices.DeleteFunc(a.Records, null); len(a.Records) == 0 {
		a.Records = []MX{first}
	}
	return a
}

// A returns the IPv4 addresses of a host.
func (r *Resolver) A(ctx context.Context, host string) (Addrs, error) {
	return find(ctx, r, anyServer, host, mdns.TypeA, readA)
}

// AAAA returns the IPv6 addresses of a host.
func (r *Resolver) AAAA(ctx context.Context, host string) (Addrs, error) {
	return find(ctx, r, anyServer, host, mdns.TypeAAAA, readAAAA)
}

// Addrs returns the addresses of a host, IPv6 and IPv4 in turn, beginning with
// IPv6. When one kind could not be looked up, the other comes together with an
// ErrTemporary: enough to connect to, not enough to judge by.
func (r *Resolver) Addrs(ctx context.Context, host string) (Addrs, error) {
	var v6 Addrs
	var err6 error
	done := make(chan struct{})
	go func() {
		defer close(done)
		v6, err6 = r.AAAA(ctx, host)
	}()
	v4, err4 := r.A(ctx, host)
	<-done
	both := Addrs{Authentic: v4.Authentic && v6.Authentic, Expires: v4.Expires}
	if v6.Expires.Before(v4.Expires) {
		both.Expires = v6.Expires
	}
	for i := range max(len(v4.Records), len(v6.Records)) {
		if i < len(v6.Records) {
			both.Records = append(both.Records, v6.Records[i])
		}
		if i < len(v4.Records) {
			both.Records = append(both.Records, v4.Records[i])
		}
	}
	switch {
	case err4 != nil && !missing(err4):
		return both, err4
	case err6 != nil && !missing(err6):
		return both, err6
	case len(both.Records) == 0:
		return both, err4
	}
	return both, nil
}

// TXT returns the texts of a name, the strings of each record joined. They are
// octets of strangers and may hold anything.
func (r *Resolver) TXT(ctx context.Context, name string) (Answer[string], error) {
	return find(ctx, r, anyServer, name, mdns.TypeTXT, readTXT)
}

// TLSA returns the certificate associations of a name such as
// _25._tcp.mx.example.org. Their Data is shared: do not change it.
func (r *Resolver) TLSA(ctx context.Context, name string) (Answer[TLSA], error) {
	return find(ctx, r, anyServer, name, mdns.TypeTLSA, readTLSA)
}

// PTR returns the names that an address has.
func (r *Resolver) PTR(ctx context.Context, ip netip.Addr) (Answer[string], error) {
	name, err := mdns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return Answer[string]{}, fmt.Errorf("%w: PTR of %q: no address", ErrNoName, ip)
	}
	return find(ctx, r, anyServer, name, mdns.TypePTR, readPTR)
}

// anyServer is the index of no server: the first that answers will do.
const anyServer = -1

// find answers a question from memory or from the servers. A negative answer
// and a failure carry Authentic and Expires as well.
func find[T any](ctx context.Context, r *Resolver, server int, name string, qtype uint16, read func(mdns.RR) (T, bool)) (Answer[T], error) {
	var none Answer[T]
	name, err := normal(name)
	if err != nil {
		return none, err
	}
	now := time.Now()
	list, round := r.servers(now)
	k := key{round: round, name: name, qtype: qtype}
	if server != anyServer {
		if server < 0 || server >= len(list) {
			return none, fmt.Errorf("%w: there is no name server %d", ErrTemporary, server+1)
		}
		k.server = list[server]
		list = list[server : server+1]
	}
	res, ok := r.known(k, now)
	if !ok {
		res = r.remember(ctx, k, now, func(ctx context.Context) result {
			rrs, res := r.fetch(ctx, list, k)
			if res.err == nil {
				res = usable(k, res, rrs, read)
			}
			return res
		})
	}
	none.Authentic, none.Expires = res.authentic, res.expires
	if res.err != nil {
		return none, res.err
	}
	none.Records = slices.Clone(res.records.([]T))
	return none, nil
}

// usable reads the records. When none of them can be used, the domain's owner
// has to mend them: a failure, not an absence, lest mail take another way.
func usable[T any](k key, res result, rrs []mdns.RR, read func(mdns.RR) (T, bool)) result {
	records := make([]T, 0, len(rrs))
	for _, rr := range rrs {
		if x, ok := read(rr); ok {
			records = append(records, x)
		}
	}
	if len(records) == 0 {
		return result{err: fmt.Errorf("%w: %s: none of the records can be used", ErrTemporary, k), cost: res.cost}
	}
	res.records = records
	return res
}

// String names the question in errors.
func (k key) String() string {
	return strings.TrimSpace(mdns.TypeToString[k.qtype] + " " + k.name)
}

// servers returns the list, never empty, and the number of its changes.
func (r *Resolver) servers(now time.Time) ([]string, uint64) {
	var list []string
	if r.o.Servers != nil {
		list = r.o.Servers()
	}
	if len(list) == 0 {
		list = r.system.servers(now)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(list, r.list) {
		r.list = slices.Clone(list)
		r.round++
		r.health.forget()
	}
	return r.list, r.round
}

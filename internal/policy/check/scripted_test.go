package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/state/access"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

var networkType = reflect.TypeFor[netip.Prefix]()

// scripted is what a transcript says of the world: every source of policy,
// with the real lists, the real windows and the real table of the greylist.
type scripted struct {
	world   *outside
	access  *lists
	bans    *bans
	grey    *grey
	windows windows
	virus   bool
	room    store.Room
}

func newScripted() scripted {
	return scripted{
		world:   &outside{answers: map[string]string{}, asked: map[string]int{}},
		access:  &lists{hits: map[string]int{}},
		bans:    &bans{},
		grey:    &grey{rows: map[string]store.GreylistRow{}},
		windows: windows{limit.NewWindows(limit.WindowsOptions{Keys: 1000})},
	}
}

func (s *scripted) sources() policy.Sources {
	return policy.Sources{
		Usage: world{}, Senders: world{}, Names: s.world, Authenticity: s.world, Regulars: s.world,
		Access: s.access, Bans: s.bans, Greylist: s.grey, Rates: s.windows,
	}
}

// rules are the house rules, with a scanner that finds a virus in everything if
// there is one.
func (s *scripted) rules(of *Settings) policy.Rules {
	r := of.Rules()
	for i := range r.Table {
		if e := &r.Table[i]; s.virus && e.Name == "virus" {
			e.Check = policy.CheckFunc(func(context.Context, *policy.Facts) policy.Verdict {
				s.world.note("virus")
				return policy.Refused(reply.New(554, reply.E(5, 7, 1), "Message contains a virus"), "it does")
			})
		}
	}
	return r
}

// script is a step about the world:
//
//	room free=0 total=10 broken               the disk
//	reverse 192.0.2.1 found mail.away.test    what DNS says of a client: absent, astray NAME, failed
//	domain away.test found                    of a mail domain: absent, astray, astray null-mx, failed
//	listed zen.test found 127.0.0.2 text      of any client: absent, failed
//	spf fail away.test text                   the result, its domain and its explanation; helo-pass is by HELO
//	dkim pass away.test                       a signature; "dkim" alone takes all away
//	dmarc fail away.test reject sampled
//	arc pass forward.test trusted passed
//	allow sender a@b.test authenticated       a rule of the lists; they are called rule-1, rule-2, …
//	block recipient bob@example.test discard  also from-field, for=60s
//	ban 192.0.2.1 day 1h                      or failures, manual; without a time for ever
//	regular 192.0.2.1                         mail of this host was accepted lately
//	greylist broken                           the store does not answer
//	virus                                     everything has one
func (s *scripted) script(w []string) (known bool, err error) {
	text := strings.Join(w[1:], " ")
	switch w[0] {
	case "room":
		return true, roomIs(&s.room, w[1:])
	case "reverse", "domain", "listed":
		s.world.set(w[0]+" "+w[1], strings.Join(w[2:], " "))
	case "spf", "dmarc", "arc":
		s.world.set(w[0], text)
	case "dkim":
		if text != "" {
			text = strings.TrimSpace(s.world.answer("dkim") + "\n" + text)
		}
		s.world.set("dkim", text)
	case "regular":
		s.world.set("regular "+w[1], "yes")
	case "allow", "block":
		return true, s.access.add(w)
	case "ban":
		return true, s.bans.add(w[1:])
	case "greylist":
		s.grey.broken = text == "broken"
	case "virus":
		s.virus = true
	default:
		return false, nil
	}
	return true, nil
}

// outside answers for DNS and for what is made of it.
type outside struct {
	mu      sync.Mutex // lists are asked side by side, names ahead
	answers map[string]string
	asked   map[string]int
}

func (o *outside) set(name, answer string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers[name] = answer
}

func (o *outside) answer(name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answers[name]
}

func (o *outside) note(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[what]++
}

func (o *outside) times(what string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[what]
}

// read reads a scripted answer; what is not scripted is unknown.
func (o *outside) read(name string, to interface{ UnmarshalText([]byte) error }) {
	text := o.answer(name)
	if text == "" {
		return
	}
	if err := to.UnmarshalText([]byte(text)); err != nil {
		panic(name + ": " + err.Error()) // the pipeline makes it a refusal the transcript does not expect
	}
}

// Reverse implements policy.Names.
func (o *outside) Reverse(_ context.Context, client netip.Addr) (r policy.Reverse) {
	o.note("reverse " + client.String())
	o.read("reverse "+client.String(), &r)
	return r
}

// Domain implements policy.Names.
func (o *outside) Domain(_ context.Context, name string) (e policy.Existence) {
	o.note("domain " + name)
	o.read("domain "+name, &e)
	return e
}

// Listed implements policy.Names.
func (o *outside) Listed(_ context.Context, zone string, _ netip.Addr) (l policy.Listing) {
	o.note("list " + zone)
	o.read("listed "+zone, &l)
	return l
}

// WellKnown implements policy.Regulars.
func (o *outside) WellKnown(client netip.Addr) bool {
	return o.answer("regular "+client.String()) != ""
}

// SPF implements policy.Authenticity.
func (o *outside) SPF(_ context.Context, f *policy.Facts) (s policy.SPF) {
	o.note("spf")
	w := strings.SplitN(o.answer("spf"), " ", 3)
	if w[0] == "" {
		return s
	}
	s = policy.SPF{Result: w[0], Identity: "mailfrom", Domain: f.Sender.Domain, Mechanism: "-all", Problem: "no answer"}
	if result, ok := strings.CutPrefix(w[0], "helo-"); ok {
		s.Result, s.Identity = result, "helo"
	}
	if len(w) > 1 {
		s.Domain = w[1]
	}
	if len(w) > 2 {
		s.Explanation = w[2]
	}
	s.Field = "Received-SPF: " + s.Result + "\r\n"
	return s
}

// Message implements policy.Authenticity.
func (o *outside) Message(context.Context, *policy.Facts) (a policy.Authentication) {
	o.note("message")
	for line := range strings.Lines(o.answer("dkim")) {
		w := strings.Fields(line)
		a.Signatures = append(a.Signatures, policy.Signature{Result: w[0], Domain: w[1], Reason: "body has changed"})
	}
	if w := strings.Fields(o.answer("arc")); len(w) > 1 {
		a.Chain = policy.Chain{Result: w[0], Sealer: w[1], Trusted: strings.Contains(o.answer("arc"), " trusted"), Passed: strings.Contains(o.answer("arc"), " passed")}
	}
	if w := strings.Fields(o.answer("dmarc")); len(w) > 2 {
		a.DMARC = policy.Conformance{Result: w[0], Domain: w[1], Policy: w[2], Sampled: len(w) > 3}
	}
	a.Field = "Authentication-Results: mx.example.test\r\n"
	return a
}

// lists are the real rules; only their hits are counted here.
type lists struct {
	table *access.Table
	rules []*access.Rule
	hits  map[string]int
}

func (l *lists) add(w []string) error {
	row := store.AccessRow{Name: fmt.Sprintf("rule-%d", len(l.rules)+1), Block: w[0] == "block", Kind: w[1], Value: w[2]}
	for _, word := range w[3:] {
		span, timed := strings.CutPrefix(word, "for=")
		switch {
		case word == "authenticated":
			row.Authenticated = true
		case word == "discard":
			row.Discard = true
		case word == "from-field":
			row.FromField = true
		case timed:
			d, err := setting.ParseDuration(span)
			if err != nil {
				return err
			}
			row.Expires = time.Now().Add(d)
		default:
			return fmt.Errorf("no rule is %s", word)
		}
	}
	r, err := access.New(row)
	if err != nil {
		return err
	}
	l.rules = append(l.rules, r)
	l.table = access.NewTable(l.rules)
	return nil
}

func (l *lists) Client(ip netip.Addr) []*access.Rule {
	if l.table == nil {
		return nil
	}
	return l.table.Client(ip)
}

func (l *lists) Sender(a mail.Address) []*access.Rule {
	if l.table == nil {
		return nil
	}
	return l.table.Sender(a)
}

func (l *lists) Recipient(a mail.Address) []*access.Rule {
	if l.table == nil {
		return nil
	}
	return l.table.Recipient(a)
}

func (l *lists) Hit(r *access.Rule) { l.hits[r.Name]++ }

// bans are few.
type bans struct{ rows []store.BanRow }

func (b *bans) add(w []string) error {
	host, err := setting.ParseNetwork(w[0])
	if err != nil {
		return err
	}
	row := store.BanRow{Host: host, Reason: "what it did"}
	for row.Kind = store.BanFailures; row.Kind.String() != w[1]; row.Kind++ {
		if row.Kind > store.BanManual {
			return errors.New("no such ban")
		}
	}
	if len(w) > 2 {
		d, err := setting.ParseDuration(w[2])
		if err != nil {
			return err
		}
		row.Until = time.Now().Add(d)
	}
	b.rows = append(b.rows, row)
	return nil
}

// Banned implements policy.Bans.
func (b *bans) Banned(client netip.Addr, now time.Time) (store.BanRow, bool) {
	for _, row := range b.rows {
		if row.Host.Contains(client) && (row.Until.IsZero() || now.Before(row.Until)) {
			return row, true
		}
	}
	return store.BanRow{}, false
}

// grey is the table of the greylist (requirements.md 1.11) in a map.
type grey struct {
	rows   map[string]store.GreylistRow
	broken bool
}

// Attempt implements policy.Greylist.
func (g *grey) Attempt(_ context.Context, a store.GreylistRow, now time.Time, r store.GreylistRules) (store.GreylistRow, time.Duration, error) {
	if g.broken {
		return a, 0, errors.New("database is away")
	}
	have, known := g.rows[a.Key]
	if !known {
		have = a
	}
	next, wait := r.Judge(have, known, now)
	g.rows[a.Key] = next
	return next, wait, nil
}

// windows are the real ones.
type windows struct{ *limit.Windows }

func (w windows) Count(r policy.Rate, client netip.Addr, now time.Time, most int, per time.Duration) policy.Pace {
	return pace(w.Windows.Count(limit.Rule(r), client, now, most, per))
}

func (w windows) Look(r policy.Rate, client netip.Addr, now time.Time, most int, per time.Duration) policy.Pace {
	return pace(w.Windows.Look(limit.Rule(r), client, now, most, per))
}

func pace(j limit.Judgement) policy.Pace {
	return policy.Pace{Count: j.Count, Over: j.Over, Until: j.Until, Shared: j.Shared}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/limit"
)

// The policy lines: the same signed messages, brought by the same clients
// behind a proxy, go to a posthorn that checks nothing it need not and to one
// that checks all it can, in turn.
const (
	policyAccounts    = 20
	policyConnections = 10
	policyRules       = 1000 // of the allow and block lists
)

var policySizes = []int{2 << 10, 20 << 10}

// fewest are the settings of a posthorn without checks; those that cannot be
// switched off stay.
const fewest = `policy.names.client=off policy.names.helo_full=off policy.names.helo_known=off policy.names.helo_match=off
	policy.names.pipelining=off policy.names.reverse=false policy.origin.full=off policy.origin.known=off policy.blocklists.mode=off
	policy.spf.mode=off policy.spf.field=false policy.greylist.mode=off policy.door.mode=off policy.rate.mode=off policy.authentic.verify=false
	policy.authentic.mode=off policy.sender.mode=off policy.recipients.mode=off policy.quota.mode=off policy.forwarded.mode=off`

// all are those of a posthorn that enforces everything. Only the greeting does
// not wait.
const all = `policy.names.client=enforce policy.names.helo_full=enforce policy.names.helo_known=enforce policy.names.helo_match=domain
	policy.names.pipelining=enforce policy.names.reverse=true policy.origin.full=enforce policy.origin.known=enforce policy.origin.known_for_local=true
	policy.blocklists.mode=enforce policy.blocklists.lists=bl1.test,bl2.test=2,bl3.test=3:127.0.0.4/30
	policy.classes.lists=cl1.test=reject,cl2.test=no-greylisting policy.spf.mode=enforce policy.spf.field=true policy.spf.refuse_fail=true
	policy.spf.pass_skips_greylist=false policy.greylist.mode=enforce policy.greylist.scope=all policy.greylist.key=network policy.door.mode=enforce
	policy.door.greeting_delay=0s policy.rate.mode=enforce policy.rate.connections=1000000 policy.rate.messages=1000000
	policy.authentic.verify=true policy.authentic.mode=enforce policy.authentic.refuse_broken=true policy.sender.mode=enforce
	policy.sender.own_outside=true policy.recipients.mode=enforce policy.quota.mode=enforce policy.forwarded.mode=enforce policy.unknown.per_day=20`

// guard is one of the two.
type guard struct {
	*server
	messages int       // since the start
	cpu      []float64 // milliseconds a message, of each run
	rate     []float64
}

// policy measures what all checks cost beside none.
func (b *bench) policy(ctx context.Context) error {
	key := filepath.Join(b.dir, "policy.key")
	record, err := newKey(key)
	if err != nil {
		return err
	}
	names := startNames(zones(policyConnections, record))
	defer names.stop()
	plain, err := b.startGuard(ctx, "unchecked", names.addr, fewest)
	if err != nil {
		return err
	}
	defer plain.stop() //nolint:errcheck // the figures are taken
	checked, err := b.startGuard(ctx, "checked", names.addr, all)
	if err != nil {
		return err
	}
	defer checked.stop() //nolint:errcheck
	if err := checked.arm(); err != nil {
		return err
	}
	l := load{Connections: policyConnections, Messages: 4 * policyConnections, Recipients: "user%d@example.test", Accounts: policyAccounts,
		Source: proxySource, Client: firstClient, Key: key}
	if b.wants("policy", "scan") {
		if err := b.scanners(ctx, checked, l); err != nil {
			return fmt.Errorf("scanners: %w", err)
		}
	}
	if !b.wants("policy", "checks") {
		return nil
	}
	for _, size := range policySizes {
		l.Size = size
		if err := b.duelOfGuards(ctx, plain, checked, l, names); err != nil {
			return fmt.Errorf("%d KB: %w", size>>10, err)
		}
	}
	b.report.tell("memory of the process without and with checks, most so far", "%.0f MB, %.0f MB", float64(peak(plain.pid()))/(1<<20), float64(peak(checked.pid()))/(1<<20))
	return b.records(ctx, plain, checked, l)
}

// startGuard runs a server behind a proxy with its DNS and settings.
func (b *bench) startGuard(ctx context.Context, name, dns, settings string) (*guard, error) {
	dir := filepath.Join(b.dir, name)
	file := dir + ".toml"
	text := fmt.Sprintf("data = %q\nproxies = [\"%s/32\"]\n[dns]\npreferred = %q\n[listen]\nsmtp = [\"127.0.0.1:0\"]\nimap = [\"127.0.0.1:0\"]\n", dir, proxySource, dns)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	s := &server{dir: dir, binary: b.binary, listeners: map[string]string{}, config: file}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	g := &guard{server: s}
	err := s.tell("domain", "add", "example.test")
	if err == nil {
		err = s.addAccounts(policyAccounts)
	}
	if err == nil {
		err = g.change("login.plaintext_needs_tls=false server.hostname=mx.example.test " + settings)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return g, nil
}

// arm gives the server rules that concern others, and confirms the clients.
func (g *guard) arm() error {
	var rules strings.Builder
	for i := range policyRules {
		kinds := [...]string{"block network 203.0.%d.0/24", "block ip 203.0.112.%d", "block sender eve%d@away.example", "allow sender ann%d@partner.example authenticated",
			"block recipient old%d@example.test", "allow domain partner%d.example authenticated", "allow ip 192.0.2.%d", "block sender *@spam%d.example"}
		n := i / len(kinds)
		fmt.Fprintf(&rules, kinds[i%len(kinds)]+" name=rule%d\n", n, i)
	}
	file := g.dir + ".rules"
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		return err
	}
	if err := g.tell("list", "import", file); err != nil {
		return err
	}
	return g.tell("greylist", "confirm", limit.Network(nth(firstClient, 0)).String())
}

// duelOfGuards measures one size.
func (b *bench) duelOfGuards(ctx context.Context, plain, checked *guard, l load, names *nameServer) error {
	for _, g := range []*guard{plain, checked} { // names are looked up, files grow
		g.cpu, g.rate = nil, nil
		if _, err := b.guarded(ctx, g, l); err != nil {
			return err
		}
	}
	if err := checked.marked("spf=pass", "dkim=pass", "dmarc=pass", "Received-SPF: pass"); err != nil {
		return err
	}
	l.Messages = b.messages
	asked := names.asked()
	var ratios []float64
	for run := range max(b.runs, 5) {
		pair := []*guard{plain, checked}
		if run%2 > 0 { // who comes first is not always the same
			slices.Reverse(pair)
		}
		for _, g := range pair {
			if _, err := b.guarded(ctx, g, l); err != nil {
				return err
			}
		}
		ratios = append(ratios, ratio(checked.cpu[run+1], plain.cpu[run+1]))
	}
	slices.Sort(ratios)
	r := middle(ratios)
	what := fmt.Sprintf("all checks, DNS cached, one RSA-%d signature, %d KB: CPU to that without", keyBits, l.Size>>10)
	b.report.add(what, "<= 1.3", r <= 1.3, "%.2f (%.2f to %.2f): %.3f to %.3f ms a message", r, ratios[0], ratios[len(ratios)-1], middle(checked.cpu[1:]), middle(plain.cpu[1:]))
	b.report.tell(fmt.Sprintf("the same, messages/s with and without, %d KB", l.Size>>10), "%.0f, %.0f; DNS questions during the runs: %d", middle(checked.rate[1:]), middle(plain.rate[1:]), names.asked()-asked)
	for _, g := range []*guard{plain, checked} {
		name := fmt.Sprintf("policy %s %d KB", filepath.Base(g.dir), l.Size>>10)
		if err := b.profiled(name, g.server, func() error {
			_, err := b.guarded(ctx, g, l)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// middle is the median.
func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// guarded sends the load once and counts it back.
func (b *bench) guarded(ctx context.Context, g *guard, l load) (result, error) {
	l.Addr = g.listeners["smtp"]
	before, err := imapCount(g.listeners["imap"], l.Recipients, password, l.Accounts)
	if err != nil {
		return result{}, err
	}
	cpu := g.server.cpu()
	r, err := b.generator(ctx, l)
	if err != nil {
		return r, fmt.Errorf("%s: %w", filepath.Base(g.dir), err)
	}
	time.Sleep(300 * time.Millisecond) // what is done after the 250 counts too
	g.cpu = append(g.cpu, (g.server.cpu()-cpu)*1000/float64(l.Messages))
	g.rate = append(g.rate, r.rate())
	after, err := imapCount(g.listeners["imap"], l.Recipients, password, l.Accounts)
	if err == nil && after-before != l.Messages {
		err = fmt.Errorf("%d messages sent, %d arrived", l.Messages, after-before)
	}
	g.messages += l.Messages
	return r, err
}

// change sets settings, written NAME=VALUE.
func (g *guard) change(settings string) error {
	return g.tell(append([]string{"setting", "set"}, strings.Fields(settings)...)...)
}

// marked sees that checks were really made: the header of the message that came
// last says so.
func (g *guard) marked(words ...string) error {
	header, err := imapHeader(g.listeners["imap"], "user0@example.test")
	if err != nil {
		return err
	}
	for _, w := range words {
		if !strings.Contains(strings.ToLower(header), strings.ToLower(w)) {
			return fmt.Errorf("no %s in the header of a message that was checked:\n%s", w, header)
		}
	}
	return nil
}

// imapHeader is the header of the last message in a mailbox.
func imapHeader(addr, user string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(c, "a LOGIN %s %s\r\nb EXAMINE INBOX\r\nc FETCH * BODY.PEEK[HEADER]\r\nd LOGOUT\r\n", user, password); err != nil {
		return "", err
	}
	text, err := io.ReadAll(c)
	return string(text), err
}

// records brings both to the number of attempts and measures what they keep of
// each.
func (b *bench) records(ctx context.Context, plain, checked *guard, l load) error {
	l.Size = policySizes[0]
	var each []string
	for _, g := range []*guard{plain, checked} {
		l.Addr = g.listeners["smtp"]
		for g.messages < b.attempts {
			l.Messages = min(b.attempts-g.messages, 50000)
			if _, err := b.generator(ctx, l); err != nil {
				return err
			}
			g.messages += l.Messages
		}
		if err := g.stop(); err != nil { // it writes down what it holds
			return err
		}
		info, err := os.Stat(filepath.Join(g.dir, "records.db"))
		if err != nil {
			return err
		}
		each = append(each, fmt.Sprintf("%.0f (%d attempts, %.1f MB)", float64(info.Size())/float64(g.messages), g.messages, float64(info.Size())/(1<<20)))
	}
	b.report.tell("octets an attempt in records.db, without and with checks", "%s", strings.Join(each, "; "))
	return nil
}

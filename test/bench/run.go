package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// config is what the command line asked for.
type config struct {
	dir                        string
	runs, messages, fill, idle int
	fillSize                   int // octets of each message of a filled store
	queued, relayed            int
	sizes                      []int // of the IMAP mailboxes
	profiles                   string
	only, lines                map[string]bool
	peers                      bool
	binary                     string
	attempts                   int // recorded
	greylisted, offered        int // entries, keys
}

func (c config) wants(parts ...string) bool {
	return len(c.only) == 0 || slices.ContainsFunc(parts, func(p string) bool { return c.only[p] })
}

// asks reports whether an IMAP operation is measured.
func (c config) asks(op string) bool { return len(c.lines) == 0 || c.lines[op] }

// bench is one run of the benchmark.
type bench struct {
	config
	self   string
	report report
}

const accounts = 100

func benchmark(ctx context.Context, c config) error {
	b := &bench{config: c}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "posthorn-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	// Postfix and Dovecot drop privileges and must still reach their folders.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	if b.binary == "" {
		if b.binary, err = build(b.dir); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d cores, scratch folder %s\n", runtime.Version(), runtime.NumCPU(), b.dir)
	for _, part := range []struct {
		names []string
		run   func(context.Context) error
	}{
		{[]string{"start"}, b.start}, {[]string{"smtp"}, b.smtp}, {[]string{"large"}, b.large}, {[]string{"idle"}, b.clients},
		{[]string{"imap", "pop3"}, b.mailboxes}, {[]string{"relay"}, b.relay}, {[]string{"start"}, b.restarts},
		{[]string{"policy", "checks", "scan"}, b.policy}, {[]string{"policy", "memory"}, b.tables},
	} {
		if !b.wants(part.names...) {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.names[0], err)
		}
	}
	b.report.leftOut(b.config)
	b.report.print(os.Stdout)
	return nil
}

// point is one load: connections and size.
type point struct{ connections, size int }

func (p point) String() string {
	return fmt.Sprintf("%d connections, %d KB", p.connections, p.size>>10)
}

var points = []point{{1, 2 << 10}, {10, 2 << 10}, {100, 2 << 10}, {1000, 2 << 10}, {10, 50 << 10}, {100, 50 << 10}}

// sample is one measured run of one system.
type sample struct {
	result
	serverCPU float64 // seconds
	delivered float64 // seconds until the last message stood in its mailbox
	syncs     float64 // a message; negative: not known
	written   float64 // octets a message
}

func (s sample) perSecond() float64 { return ratio(float64(s.Messages), max(s.Seconds, s.delivered)) }

// median takes the run with the middle rate.
func median(all []sample) sample {
	slices.SortFunc(all, func(a, b sample) int {
		switch {
		case a.perSecond() < b.perSecond():
			return -1
		case a.perSecond() > b.perSecond():
			return 1
		}
		return 0
	})
	return all[len(all)/2]
}

// smtp measures SMTP to durable mailbox, all systems alternating.
func (b *bench) smtp(ctx context.Context) error {
	house, err := startPosthorn(ctx, b.binary, filepath.Join(b.dir, "empty"), accounts)
	if err != nil {
		return err
	}
	defer house.stop() //nolint:errcheck // the figures are taken
	sink, stop, err := b.startSink(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var p *peer
	if b.peers {
		if p, err = startPeer(ctx, filepath.Join(b.dir, "peer")); err != nil {
			return err
		}
		defer p.stop()
	}
	var full *server
	if b.fill > 0 {
		if full, err = b.filled(ctx); err != nil {
			return err
		}
		defer full.stop() //nolint:errcheck
	}
	for _, pt := range points {
		if err := b.smtpPoint(ctx, pt, house, full, p, sink); err != nil {
			return fmt.Errorf("%s: %w", pt, err)
		}
	}
	return nil
}

func (b *bench) smtpPoint(ctx context.Context, pt point, house, full *server, p *peer, sink string) error {
	row := smtpRow{point: pt}
	n := b.messages
	if pt.connections == 1 {
		n = max(n/4, 100)
	}
	if pt.size > 10<<10 {
		n = max(n/4, 200)
	}
	var ours, filled, peers, sinks []sample
	for range b.runs {
		s, err := b.onPosthorn(ctx, house, pt, n)
		if err != nil {
			return err
		}
		ours = append(ours, s)
		if full != nil {
			if s, err = b.onPosthorn(ctx, full, pt, n); err != nil {
				return err
			}
			filled = append(filled, s)
		}
		if p != nil {
			if s, err = b.onPeer(ctx, p, pt, max(n/10, 100, pt.connections)); err != nil {
				return err
			}
			peers = append(peers, s)
		}
		r, err := b.generator(ctx, load{Addr: sink, Connections: pt.connections, Messages: n, Size: pt.size, Recipients: "user%d@example.test", Accounts: accounts})
		if err != nil {
			return err
		}
		sinks = append(sinks, sample{result: r})
	}
	row.posthorn, row.sink = median(ours), median(sinks)
	if filled != nil {
		row.filled = median(filled)
	}
	if peers != nil {
		row.peer = median(peers)
	}
	rate, _, err := groupLog(b.dir, pt.connections, n, pt.size)
	if err != nil {
		return err
	}
	row.log = rate
	b.report.smtp = append(b.report.smtp, row)
	fmt.Printf("measured %s\n", pt)
	return nil
}

// onPosthorn sends n messages and counts them back by IMAP.
func (b *bench) onPosthorn(ctx context.Context, s *server, pt point, n int) (sample, error) {
	before, err := imapCount(s.listeners["imap"], "user%d@example.test", password, accounts)
	if err != nil {
		return sample{}, err
	}
	stats0, err := s.stats()
	if err != nil {
		return sample{}, err
	}
	cpu0, written0 := s.cpu(), s.written()
	r, err := b.generator(ctx, load{Addr: s.listeners["smtp"], Connections: pt.connections, Messages: n, Size: pt.size, Recipients: "user%d@example.test", Accounts: accounts})
	if err != nil {
		return sample{}, err
	}
	out := sample{result: r, serverCPU: s.cpu() - cpu0, written: float64(s.written()-written0) / float64(n)}
	stats1, err := s.stats()
	if err != nil {
		return sample{}, err
	}
	out.syncs = float64(stats1.Syncs-stats0.Syncs) / float64(n)
	after, err := imapCount(s.listeners["imap"], "user%d@example.test", password, accounts)
	if err == nil && after-before != n {
		err = fmt.Errorf("%d messages sent, %d arrived", n, after-before)
	}
	return out, err
}

// onPeer does the same with Postfix and Dovecot and waits for the last one.
func (b *bench) onPeer(ctx context.Context, p *peer, pt point, n int) (sample, error) {
	before, err := imapCount(p.imap, "user%d@example.test", "secret", accounts)
	if err != nil {
		return sample{}, err
	}
	cpu0, start := p.cpu(), time.Now()
	r, err := b.generator(ctx, load{Addr: p.smtp, Connections: pt.connections, Messages: n, Size: pt.size, Recipients: "user%d@example.test", Accounts: accounts})
	if err != nil {
		return sample{}, err
	}
	if err := p.drained(2 * time.Minute); err != nil {
		return sample{}, err
	}
	out := sample{result: r, delivered: time.Since(start).Seconds(), serverCPU: p.cpu() - cpu0, syncs: -1}
	after, err := imapCount(p.imap, "user%d@example.test", "secret", accounts)
	if err == nil && after-before != n {
		err = fmt.Errorf("peer: %d messages sent, %d arrived", n, after-before)
	}
	return out, err
}

// generator runs the load generator in a process of its own.
func (b *bench) generator(ctx context.Context, l load) (result, error) {
	args := []string{"generate", "-addr", l.Addr, "-connections", fmt.Sprint(l.Connections), "-messages", fmt.Sprint(l.Messages),
		"-size", fmt.Sprint(l.Size), "-recipients", l.Recipients, "-accounts", fmt.Sprint(l.Accounts),
		"-source", l.Source, "-client", l.Client, "-key", l.Key}
	var r result
	err := b.ask(ctx, args, &r)
	return r, err
}

// startSink runs the discarding server in a process of its own.
func (b *bench) startSink(ctx context.Context, args ...string) (addr string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	c := exec.CommandContext(ctx, b.self, append([]string{"sink"}, args...)...)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err == nil {
		_, err = fmt.Fscanln(out, &addr)
	}
	return addr, func() { cancel(); _ = c.Wait() }, err
}

// filled starts a posthorn whose store already holds many messages; it is
// filled once.
func (b *bench) filled(ctx context.Context) (*server, error) {
	dir := filepath.Join(b.dir, "filled")
	_, missing := os.Stat(dir)
	s, err := startPosthorn(ctx, b.binary, dir, accounts)
	if err != nil || missing == nil {
		return s, err
	}
	fmt.Printf("filling a store with %d messages\n", b.fill)
	start := time.Now()
	r, err := b.generator(ctx, load{Addr: s.listeners["smtp"], Connections: 100, Messages: b.fill, Size: b.fillSize, Recipients: "user%d@example.test", Accounts: accounts})
	if err == nil {
		fmt.Printf("filled in %s, %.0f messages/s\n", time.Since(start).Round(time.Second), r.rate())
	}
	return s, err
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// How relaying is measured: the generator feeds a server, which takes
// responsibility for every message and hands it to the sink.
const relayConnections = 10

// relayer is a server that hands everything to the sink.
type relayer struct {
	smtp   string
	fed    float64 // seconds until the last message was accepted, in the last run
	server *server // nil for Postfix
	cpu    func() float64
	pids   func() []int
	stop   func()
}

// relay measures the way through the durable queue to a sink that discards,
// until the sink has every message once.
func (b *bench) relay(ctx context.Context) error {
	sink, stop, err := b.startSink(ctx, "-distinct")
	if err != nil {
		return err
	}
	defer stop()
	ours, err := b.posthornRelay(ctx, sink)
	if errors.Is(err, errNoSetting) {
		fmt.Printf("relay: this posthorn does not relay: %v\n", err)
	} else if err != nil {
		return err
	} else {
		defer ours.stop()
	}
	var theirs *relayer
	if b.peers {
		if theirs, err = b.postfixRelay(ctx, sink); err != nil {
			return err
		}
		defer theirs.stop()
	}
	d := duel{part: "relay", what: fmt.Sprintf("%d messages of 2 KB from %d connections", b.relayed, relayConnections), count: b.relayed}
	for range b.runs {
		for _, side := range []struct {
			who  string
			r    *relayer
			runs *[]trialRun
		}{{"posthorn", ours, &d.ours}, {"Postfix", theirs, &d.theirs}} {
			if side.r == nil {
				continue
			}
			run, err := b.relayOnce(ctx, side.r, sink)
			if err != nil {
				return fmt.Errorf("%s: %w", side.who, err)
			}
			fmt.Printf("relay by %s: %.0f messages/s (accepted at %.0f), %.3f ms of CPU, %s syncs a message\n", side.who, float64(b.relayed)/run.seconds, float64(b.relayed)/side.r.fed, run.cpu*1000/float64(b.relayed), known(run.syncs))
			*side.runs = append(*side.runs, run)
		}
	}
	b.report.duels = append(b.report.duels, d)
	b.report.judgeRelay(d)
	if ours == nil {
		return nil
	}
	return b.profiled("relay", ours.server, func() error {
		_, err := b.relayOnce(ctx, ours, sink)
		return err
	})
}

func (r *report) judgeRelay(d duel) {
	ours, theirs := mid(d.ours), mid(d.theirs)
	if len(d.ours) == 0 {
		r.unknown("relay through the queue to a sink", ">= 3 x Postfix; CPU <= 0.6 ms", fmt.Sprintf("this posthorn does not relay (Postfix %.0f/s)", float64(d.count)/theirs.seconds))
		return
	}
	if len(d.theirs) > 0 {
		r.add("relay through the queue to a sink", ">= 3 x Postfix", d.ahead() >= 3, "%.2f (%.0f/s to %.0f/s)", d.ahead(), float64(d.count)/ours.seconds, float64(d.count)/theirs.seconds)
	}
	each := ours.cpu * 1000 / float64(d.count)
	r.add("relay: CPU a message", "<= 0.6 ms", each <= 0.6, "%.3f ms (Postfix %.2f ms); syncs a message %s (Postfix %s)",
		each, theirs.cpu*1000/float64(d.count), known(ours.syncs), known(theirs.syncs))
}

func known(n float64) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", n)
}

func (b *bench) relayOnce(ctx context.Context, r *relayer, sink string) (trialRun, error) {
	before, err := sunk(sink)
	if err != nil {
		return trialRun{}, err
	}
	syncs := countSyncs(r.pids())
	cpu, begin := r.cpu(), time.Now()
	l := load{Addr: r.smtp, Connections: relayConnections, Messages: b.relayed, Size: 2 << 10, Recipients: "user%d@remote.test", Accounts: accounts}
	if _, err := b.generator(ctx, l); err != nil {
		return trialRun{}, err
	}
	r.fed = time.Since(begin).Seconds()
	for have := before; have < before+b.relayed; time.Sleep(2 * time.Millisecond) {
		if have, err = sunk(sink); err != nil {
			return trialRun{}, err
		}
		if time.Since(begin) > 5*time.Minute {
			return trialRun{}, fmt.Errorf("%d of %d messages arrived in five minutes", have-before, b.relayed)
		}
	}
	out := trialRun{seconds: time.Since(begin).Seconds()}
	time.Sleep(500 * time.Millisecond) // what a server does after handing over is its work too
	out.cpu = r.cpu() - cpu
	out.syncs = syncs() / float64(b.relayed)
	return out, nil
}

var errNoSetting = errors.New("no such setting")

// posthornRelay starts a posthorn that trusts this machine and relays to the
// sink.
func (b *bench) posthornRelay(ctx context.Context, sink string) (*relayer, error) {
	s, err := startReal(ctx, b.binary, filepath.Join(b.dir, "relay"))
	if err != nil {
		return nil, err
	}
	if err := s.relayTo(sink); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return &relayer{smtp: s.listeners["smtp"], server: s, cpu: s.cpu, pids: func() []int { return []int{s.pid()} }, stop: func() { _ = s.stop() }}, nil
}

func (s *server) relayTo(addr string) error {
	if err := s.trustLoopback(); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(addr)
	for _, x := range [][2]string{{"relay.hosts", host}, {"relay.port", port}, {"relay.mode", "relay"}} {
		if err := s.set(x[0], x[1]); err != nil {
			return fmt.Errorf("%w: %w", errNoSetting, err)
		}
	}
	return nil
}

func (s *server) trustLoopback() error { return s.set("policy.trust.clients", "127.0.0.1/32") }

func (b *bench) postfixRelay(ctx context.Context, sink string) (*relayer, error) {
	p, err := startPostfix(ctx, filepath.Join(b.dir, "relay-peer"), fmt.Sprintf(postfixRelays, port(sink)))
	if err != nil {
		return nil, err
	}
	return &relayer{smtp: p.smtp, cpu: p.cpu, pids: func() []int { return tree(p.cmd.Process.Pid) }, stop: p.stop}, nil
}

// sunk asks the sink how many different messages it has swallowed.
func sunk(addr string) (int, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := fmt.Fprint(c, "COUNT\r\n"); err != nil {
		return 0, err
	}
	in, n := bufio.NewReader(c), 0
	if _, err := in.ReadString('\n'); err != nil {
		return 0, err
	}
	_, err = fmt.Fscanf(in, "250 %d\r\n", &n)
	return n, err
}

// countSyncs counts fsync and fdatasync of processes and of those they start
// until the function it returns is called. That answers -1 without perf.
func countSyncs(pids []int) func() float64 {
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(pids), " ", ","), "[]")
	var text strings.Builder
	c := exec.Command("perf", "stat", "-x", ";", "-e", "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync", "-p", list)
	c.Stderr = &text
	unknown := func() float64 { return -1e9 }
	if err := c.Start(); err != nil {
		return unknown
	}
	time.Sleep(300 * time.Millisecond) // it attaches
	return func() float64 {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait() // the interrupt is how it was meant to end
		sum, found := 0.0, false
		for line := range strings.Lines(text.String()) {
			var n float64
			if _, err := fmt.Sscanf(line, "%g;", &n); err == nil && strings.Contains(line, "sys_enter_f") {
				sum, found = sum+n, true
			}
		}
		if !found {
			return unknown()
		}
		return sum
	}
}

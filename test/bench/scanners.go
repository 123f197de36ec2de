package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	clamdConfig = "DatabaseDirectory DIR\nTCPSocket PORT\nTCPAddr 127.0.0.1\nForeground yes\nMaxThreads 4\n"
	// rspamdConfig keeps to itself: nothing is looked up. tld is short because
	// the list that rspamd brings takes seconds to compile.
	rspamdConfig = `options {
  pidfile = "DIR/pid"; tempdir = "DIR"; hs_cache_dir = "DIR"; cache_file = "DIR/cache"; history_file = "DIR/history"; url_tld = "DIR/tld";
  disable_hyperscan = true; local_addrs = []; dns { nameserver = ["127.0.0.1:1"]; timeout = 0.05s; retransmits = 1; }
}
logging { type = "file"; filename = "DIR/log"; level = "error"; }
worker "normal" { bind_socket = "127.0.0.1:PORT"; count = 1; }
actions { reject = 15; add_header = 6; greylist = 4; }
`
	scanSignatures = 1000
)

// scanner is a program that judges content.
type scanner struct {
	name, program string
	prepare       func(dir, addr string) (args []string, err error)
	// on and off are settings; ADDR is where it listens. mark is what the
	// header of a scanned message has.
	on, off, mark string
}

var scannerList = []scanner{
	{"ClamAV, 1,000 signatures", "clamd", prepareClamd,
		"policy.virus.server=ADDR policy.virus.mark_clean=true policy.virus.when_down=defer", "policy.virus.server=", "X-Virus"},
	{"rspamd, no network rules", "rspamd", prepareRspamd,
		"policy.spam.url=http://ADDR policy.spam.when_down=defer policy.spam.refuse_from=0 policy.spam.junk_from=0 policy.spam.mark_from=0 policy.spam.greylist=false",
		"policy.spam.url=", "X-Spam-Status"},
}

// spell is what one message took, in milliseconds.
type spell struct{ elapsed, cpu, scanner float64 }

// scanners measures each scanner alone over loopback, beside the same server
// without it: from MAIL to the 250, and the CPU of posthorn and of the scanner.
func (b *bench) scanners(ctx context.Context, g *guard, l load) error {
	l.Connections, l.Messages = 1, max(50, b.messages/10)
	for _, size := range policySizes {
		l.Size = size
		if _, err := b.spell(ctx, g, l, nil); err != nil { // warms up
			return err
		}
		base, err := b.spell(ctx, g, l, nil)
		if err != nil {
			return err
		}
		for _, s := range scannerList {
			what := fmt.Sprintf("added by %s, %d KB, one connection", s.name, size>>10)
			got, err := b.scanned(ctx, g, l, s)
			if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
				b.report.unknown(what, "-", s.program+" is not installed")
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", s.program, err)
			}
			b.report.tell(what, "%+.2f ms on %.2f ms; CPU of posthorn %+.3f ms on %.3f ms, of the scanner %.2f ms",
				got.elapsed-base.elapsed, base.elapsed, got.cpu-base.cpu, base.cpu, got.scanner)
		}
	}
	return nil
}

// spell sends the load once.
func (b *bench) spell(ctx context.Context, g *guard, l load, scanner *exec.Cmd) (spell, error) {
	theirs := 0.0
	if scanner != nil {
		theirs = treeCPU(scanner.Process.Pid)
	}
	r, err := b.guarded(ctx, g, l)
	if err != nil {
		return spell{}, err
	}
	out := spell{elapsed: r.P50, cpu: g.cpu[len(g.cpu)-1]}
	if scanner != nil {
		out.scanner = (treeCPU(scanner.Process.Pid) - theirs) * 1000 / float64(l.Messages)
	}
	return out, nil
}

// scanned starts a scanner, lets the server ask it, and puts all back.
func (b *bench) scanned(ctx context.Context, g *guard, l load, s scanner) (out spell, err error) {
	program, err := exec.LookPath(s.program)
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/" + s.program) // not in everybody's PATH
	}
	if err != nil {
		return out, err
	}
	addr, err := freeAddr()
	if err != nil {
		return out, err
	}
	dir := filepath.Join(b.dir, s.program)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return out, err
	}
	args, err := s.prepare(dir, addr)
	if err != nil {
		return out, err
	}
	cmd, err := runScanner(ctx, dir, program, args...)
	if err != nil {
		return out, err
	}
	defer end(cmd)
	if err := waitFor(addr, 30*time.Second); err != nil {
		return out, err
	}
	if err := g.change(strings.ReplaceAll(s.on, "ADDR", addr)); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, g.change(s.off)) }()
	few := l
	few.Messages = 10 // both warm up
	if _, err := b.spell(ctx, g, few, cmd); err != nil {
		return out, err
	}
	if out, err = b.spell(ctx, g, l, cmd); err != nil {
		return out, err
	}
	if err := g.marked(s.mark); err != nil {
		return out, err
	}
	return out, b.profiled(fmt.Sprintf("policy %s %d KB", s.program, l.Size>>10), g.server, func() error {
		_, err := b.guarded(ctx, g, l)
		return err
	})
}

// prepareClamd writes signatures that match nothing here.
func prepareClamd(dir, addr string) ([]string, error) {
	var signatures strings.Builder
	for i := range scanSignatures {
		fmt.Fprintf(&signatures, "Bench.Test-%d:0:*:%s\n", i, hex.EncodeToString(fmt.Appendf(nil, "signature %d of the benchmark", i)))
	}
	config := filepath.Join(dir, "clamd.conf")
	return []string{"--config-file=" + config}, errors.Join(os.WriteFile(filepath.Join(dir, "bench.ndb"), []byte(signatures.String()), 0o644),
		os.WriteFile(config, []byte(strings.NewReplacer("DIR", dir, "PORT", port(addr)).Replace(clamdConfig)), 0o644))
}

// prepareRspamd leaves the rules that it has built in.
func prepareRspamd(dir, addr string) ([]string, error) {
	config := filepath.Join(dir, "rspamd.conf")
	args := []string{"-f", "-c", config}
	if os.Getuid() == 0 {
		args = append(args, "-i") // it stays root: nobody else enters the folder
	}
	return args, errors.Join(os.WriteFile(filepath.Join(dir, "tld"), []byte("test\nexample\n"), 0o644),
		os.WriteFile(config, []byte(strings.NewReplacer("DIR", dir, "PORT", port(addr)).Replace(rspamdConfig)), 0o644))
}

// runScanner starts a program that ends with this one.
func runScanner(ctx context.Context, dir, program string, args ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // its workers too
	return cmd, cmd.Start()
}

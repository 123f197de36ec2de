package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy/scan"
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

// scanner is a program that judges content, and how posthorn asks it.
type scanner struct {
	cmd  *exec.Cmd
	scan func(ctx context.Context, message []byte) error
}

// scanners measures each scanner alone over loopback: the time of one scan, the
// CPU of who asks with posthorn's own client, and that of the scanner.
func (b *bench) scanners(ctx context.Context) error {
	for _, x := range []struct {
		name, program string
		start         func(ctx context.Context, program, dir, addr string) (*scanner, error)
	}{{"ClamAV, " + thousands(scanSignatures) + " signatures", "clamd", startClamd}, {"rspamd without network rules", "rspamd", startRspamd}} {
		program, err := exec.LookPath(x.program)
		if err != nil {
			program, err = exec.LookPath("/usr/sbin/" + x.program) // not in everybody's PATH
		}
		if err != nil {
			b.report.unknown("a scan by "+x.name, "-", "it is not installed")
			continue
		}
		if err := b.scanner(ctx, x.name, func(dir, addr string) (*scanner, error) { return x.start(ctx, program, dir, addr) }, filepath.Join(b.dir, x.program)); err != nil {
			return fmt.Errorf("%s: %w", x.program, err)
		}
	}
	return nil
}

func (b *bench) scanner(ctx context.Context, name string, start func(dir, addr string) (*scanner, error), dir string) error {
	addr, err := freeAddr()
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	s, err := start(dir, addr)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := waitFor(addr, 30*time.Second); err != nil {
		return err
	}
	n := max(20, b.messages/10)
	for _, size := range policySizes {
		message := append(appendHeader(nil, 0, 0, "user0@example.test"), content(size)...)
		for range 5 { // both warm up
			if err := s.scan(ctx, message); err != nil {
				return err
			}
		}
		theirs, ours, begin := treeCPU(s.cmd.Process.Pid), selfCPU(), time.Now()
		for range n {
			if err := s.scan(ctx, message); err != nil {
				return err
			}
		}
		each := func(seconds float64) float64 { return seconds * 1000 / float64(n) }
		b.report.tell(fmt.Sprintf("a scan by %s, %d KB, one at a time", name, size>>10), "%.2f ms; CPU of posthorn's client %.3f ms, of the scanner %.2f ms",
			each(time.Since(begin).Seconds()), each(selfCPU()-ours), each(treeCPU(s.cmd.Process.Pid)-theirs))
	}
	return nil
}

func (s *scanner) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait() // the signal is how it was meant to end
}

// dialScanner dials addresses.
func dialScanner(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// startClamd runs one with signatures that match nothing here.
func startClamd(ctx context.Context, program, dir, addr string) (*scanner, error) {
	var signatures strings.Builder
	for i := range scanSignatures {
		fmt.Fprintf(&signatures, "Bench.Test-%d:0:*:%s\n", i, hex.EncodeToString(fmt.Appendf(nil, "signature %d of the benchmark", i)))
	}
	config := filepath.Join(dir, "clamd.conf")
	err := errors.Join(os.WriteFile(filepath.Join(dir, "bench.ndb"), []byte(signatures.String()), 0o644),
		os.WriteFile(config, []byte(strings.NewReplacer("DIR", dir, "PORT", port(addr)).Replace(clamdConfig)), 0o644))
	if err != nil {
		return nil, err
	}
	cmd, err := runScanner(ctx, dir, program, "--config-file="+config)
	c := scan.NewClamAV(scan.ClamAVOptions{Endpoint: scan.Endpoint{Network: "tcp", Address: addr}, Dial: dialScanner, Timeout: time.Minute, Width: 1, Queue: 1})
	return &scanner{cmd, func(ctx context.Context, message []byte) error {
		found, err := c.Scan(ctx, bytes.NewReader(message))
		if err == nil && found.Infected {
			err = fmt.Errorf("%s in a clean message", found.Signature)
		}
		return err
	}}, err
}

// startRspamd runs one with the rules it brings that ask nobody.
func startRspamd(ctx context.Context, program, dir, addr string) (*scanner, error) {
	config := filepath.Join(dir, "rspamd.conf")
	err := errors.Join(os.WriteFile(filepath.Join(dir, "tld"), []byte("test\nexample\n"), 0o644),
		os.WriteFile(config, []byte(strings.NewReplacer("DIR", dir, "PORT", port(addr)).Replace(rspamdConfig)), 0o644))
	if err != nil {
		return nil, err
	}
	args := []string{"-f", "-c", config}
	if os.Getuid() == 0 {
		args = append(args, "-i") // it stays root: nobody else enters the folder
	}
	cmd, err := runScanner(ctx, dir, program, args...)
	if err != nil {
		return nil, err
	}
	r, err := scan.NewRspamd(scan.RspamdOptions{URL: "http://" + addr, Dial: dialScanner, Timeout: time.Minute, Width: 1, Queue: 1})
	if err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress("sender0@" + senderDomain)
	if err != nil {
		return nil, err
	}
	to, err := mail.ParseAddress("user0@example.test")
	return &scanner{cmd, func(ctx context.Context, message []byte) error {
		score, err := r.Scan(ctx, &scan.Message{Content: bytes.NewReader(message), Size: int64(len(message)), Sender: from, Recipients: []mail.Address{to},
			Client: netip.MustParseAddr(firstClient), Helo: senderDomain, Hostname: senderDomain, QueueID: "bench"})
		if err == nil && score.Skipped {
			err = errors.New("rspamd did not look at the message")
		}
		return err
	}}, err
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, cmd.Start()
}

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// start measures exec to first banner, and memory after five seconds.
func (b *bench) start(ctx context.Context) error {
	dir := filepath.Join(b.dir, "start")
	var times []time.Duration
	var memory int64
	for i := range 7 {
		s := &server{dir: dir, binary: b.binary, listeners: map[string]string{}, serve: true}
		begin := time.Now()
		if err := s.start(ctx); err != nil {
			return err
		}
		if err := banner(s.listeners["smtp"]); err != nil {
			return err
		}
		times = append(times, time.Since(begin))
		if i == 6 {
			time.Sleep(5 * time.Second)
			memory = rss(s.pid())
		}
		if err := s.stop(); err != nil {
			return err
		}
	}
	first := times[0]
	slices.Sort(times)
	mid := times[len(times)/2]
	b.report.add("start to first banner, median (first start with new data: "+first.Round(time.Millisecond).String()+")", "<= 50 ms", mid <= 50*time.Millisecond, "%d ms", mid.Milliseconds())
	b.report.add("memory 5 s after start, empty store", "<= 40 MB", memory <= 40<<20, "%.1f MB", float64(memory)/(1<<20))
	return nil
}

func banner(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = bufio.NewReader(c).ReadString('\n')
	return err
}

// large sends one message of 100 MB and watches the server's memory.
func (b *bench) large(ctx context.Context) error {
	s, err := startPosthorn(ctx, b.binary, filepath.Join(b.dir, "large"), 1)
	if err != nil {
		return err
	}
	defer s.stop() //nolint:errcheck
	for name, value := range map[string]string{"policy.size.inbound": "200MB"} {
		if err := s.set(name, value); err != nil {
			return err
		}
	}
	if _, err := b.generator(ctx, load{Addr: s.listeners["smtp"], Connections: 1, Messages: 50, Size: 2048, Recipients: "user%d@example.test", Accounts: 1}); err != nil {
		return err
	}
	before, peak := rss(s.pid()), int64(0)
	done := make(chan error, 1)
	go func() {
		_, err := b.generator(ctx, load{Addr: s.listeners["smtp"], Connections: 1, Messages: 1, Size: 100 << 20, Recipients: "user%d@example.test", Accounts: 1})
		done <- err
	}()
	for {
		select {
		case err := <-done:
			grown := float64(peak-before) / (1 << 20)
			b.report.add("memory for one message of 100 MB", "<= +16 MB", grown <= 16, "%+.1f MB", grown)
			return err
		case <-time.After(2 * time.Millisecond):
			peak = max(peak, rss(s.pid()))
		}
	}
}

// clients measures idle connections and the way from 250 to IDLE.
func (b *bench) clients(ctx context.Context) error {
	s, err := startPosthorn(ctx, b.binary, filepath.Join(b.dir, "idle"), 1)
	if err != nil {
		return err
	}
	defer s.stop() //nolint:errcheck
	if err := b.notification(ctx, s); err != nil {
		return err
	}
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	time.Sleep(2 * time.Second)
	before := rss(s.pid())
	for i := range b.idle {
		c, _, err := idle(s.listeners["imap"])
		if err != nil {
			return fmt.Errorf("idle connection %d: %w", i, err)
		}
		open = append(open, c)
	}
	time.Sleep(5 * time.Second)
	each := float64(rss(s.pid())-before) / float64(max(b.idle, 1)) / 1024
	what := fmt.Sprintf("idle IMAP connection, %d in IDLE", b.idle)
	if each <= 0 {
		b.report.unknown(what, "<= 20 KiB", "too few connections to be seen in the server's memory")
		return nil
	}
	b.report.add(what, "<= 20 KiB", each <= 20, "%.1f KiB", each)
	return nil
}

// notification measures from the 250 of a delivery to EXISTS in IDLE.
func (b *bench) notification(ctx context.Context, s *server) error {
	c, in, err := idle(s.listeners["imap"])
	if err != nil {
		return err
	}
	defer c.Close()
	smtp, err := dial(ctx, load{Addr: s.listeners["smtp"], Size: 2048, Recipients: "user%d@example.test", Accounts: 1})
	if err != nil {
		return err
	}
	defer smtp.conn.Close()
	var took []time.Duration
	for i := range 200 {
		seen := make(chan time.Time, 1)
		go func() {
			for {
				line, err := in.ReadString('\n')
				if err != nil || strings.HasSuffix(line, " EXISTS\r\n") {
					seen <- time.Now()
					return
				}
			}
		}()
		if err := smtp.send(0, i); err != nil {
			return err
		}
		accepted := time.Now()
		select {
		case at := <-seen:
			took = append(took, max(0, at.Sub(accepted)))
		case <-time.After(10 * time.Second):
			return fmt.Errorf("no notification of message %d in 10 s", i)
		}
	}
	slices.Sort(took)
	p50 := took[len(took)/2]
	b.report.add("IDLE notification after the 250, p50", "<= 5 ms", p50 <= 5*time.Millisecond, "%.2f ms (p99 %.2f ms)", float64(p50.Microseconds())/1000, percentile(took, 99))
	return nil
}

// idle opens an IMAP connection in IDLE on INBOX.
func idle(addr string) (net.Conn, *bufio.Reader, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(c, 512)
	step := func(send, until string) error {
		if _, err := io.WriteString(c, send); err != nil {
			return err
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if strings.HasPrefix(line, until) {
				return nil
			}
			if strings.HasPrefix(line, "a NO") || strings.HasPrefix(line, "a BAD") || strings.HasPrefix(line, "* BYE") {
				return fmt.Errorf("%s", strings.TrimSpace(line))
			}
		}
	}
	for _, x := range []struct{ send, until string }{
		{"", "* OK"}, {"a LOGIN user0@example.test " + password + "\r\n", "a OK"}, {"a SELECT INBOX\r\n", "a OK"}, {"a IDLE\r\n", "+"},
	} {
		if err := step(x.send, x.until); err != nil {
			_ = c.Close()
			return nil, nil, err
		}
	}
	return c, in, nil
}

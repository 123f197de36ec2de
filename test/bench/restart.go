package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// restarts measures exec to first banner on data that a killed server left
// (reliability.md row 4).
func (b *bench) restarts(ctx context.Context) error {
	full, err := b.withQueue(ctx)
	if err != nil {
		return err
	}
	if err := b.restart(ctx, full, fmt.Sprintf("restart after a kill, %d messages queued", b.queued)); err != nil || b.fill == 0 {
		return err
	}
	if full, err = b.filled(ctx); err != nil {
		return err
	}
	return b.restart(ctx, full, fmt.Sprintf("restart after a kill, %d messages stored", b.fill))
}

// restart kills and starts a server several times; the slowest start counts.
func (b *bench) restart(ctx context.Context, s *server, what string) error {
	s.serve = true // the trial sets up its accounts at every start
	var times []time.Duration
	for range max(3, b.runs) {
		if err := s.cmd.Process.Kill(); err != nil {
			return err
		}
		_ = s.cmd.Wait() // it was killed
		begin := time.Now()
		if err := s.start(ctx); err != nil {
			return err
		}
		if err := banner(s.listeners["smtp"]); err != nil {
			return err
		}
		times = append(times, time.Since(begin))
	}
	slowest := slices.Max(times)
	size, err := folderSize(s.dir)
	if err != nil {
		return err
	}
	b.report.add(fmt.Sprintf("%s, %.1f GB", what, float64(size)/(1<<30)), "< 2 s", slowest < 2*time.Second, "%d ms at most of %v", slowest.Milliseconds(), times)
	return s.stop()
}

func folderSize(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		}
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			err = nil
		}
		return err
	})
	return sum, err
}

// withQueue is a posthorn whose queue holds messages for a host that does not
// answer.
func (b *bench) withQueue(ctx context.Context) (*server, error) {
	s, err := startReal(ctx, b.binary, filepath.Join(b.dir, "queue"))
	if err != nil {
		return nil, err
	}
	// Nothing listens there any more. A posthorn that cannot relay keeps mail
	// to other domains in its queue by itself.
	dead, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if err := s.relayTo(dead); err != nil {
		fmt.Printf("restart: %v\n", err)
	}
	fmt.Printf("queueing %d messages\n", b.queued)
	begin := time.Now()
	_, err = b.generator(ctx, load{Addr: s.listeners["smtp"], Connections: 100, Messages: b.queued, Size: 2 << 10, Recipients: "user%d@remote.test", Accounts: accounts})
	if err != nil {
		return nil, err
	}
	fmt.Printf("queued in %s\n", time.Since(begin).Round(time.Second))
	n, err := s.waiting()
	if err == nil && n != b.queued {
		err = fmt.Errorf("%d messages in the queue, not %d", n, b.queued)
	}
	return s, err
}

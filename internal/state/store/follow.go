package store

import (
	"context"
	"time"

	"posthorn/internal/base/wait"
)

// Versioned is a list that nodes keep in memory: Access, Bans.
type Versioned interface {
	// Version grows with every change by any node; Changed, always the same
	// channel, wakes on changes made through this process.
	Version(ctx context.Context) (int64, error)
	Changed() <-chan struct{}
}

// loading is the part of the time that a long list may take to be read again
// and again: a twentieth.
const loading = 20

// Follow calls load until ctx ends: soon after a change made through this
// process, within the time every after one by another node, and never so often
// that a list changed all the time takes more than a twentieth of the time. load
// returns the version it found; version is that of the load before. failed is
// told of the first error of an outage.
func Follow(ctx context.Context, v Versioned, version int64, every time.Duration, load func(context.Context) (int64, error), failed func(error)) {
	Repeat(ctx, every, v.Changed(), func(ctx context.Context) error {
		began := time.Now()
		now, err := v.Version(ctx)
		if err == nil && now != version {
			if now, err = load(ctx); err == nil {
				version = now
			}
		}
		if err == nil {
			wait.For(ctx, min(every, loading*time.Since(began)))
		}
		return err
	}, failed)
}

// Repeat calls work until ctx ends, every so often and when woken; a nil channel
// wakes nobody. failed is told of the first error of an outage.
func Repeat(ctx context.Context, every time.Duration, wake <-chan struct{}, work func(context.Context) error, failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-tick.C:
		}
		err := work(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			failed(err)
		}
		failing = err != nil
	}
}

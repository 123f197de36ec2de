package dns

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is one look-up on its way and those who wait for it. When the last of
// them leaves it is called off.
type flight struct {
	done    chan struct{}
	result  result
	waiting int
	cancel  context.CancelFunc
}

// known returns what is remembered of a question.
func (r *Resolver) known(k key, now time.Time) (result, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res, _, ok := r.cache.get(k, now)
	if ok {
		r.stats.Hits++
	}
	return res, ok
}

// remember returns what is known of a question, or lets load find out, once
// for all who ask at the same time.
func (r *Resolver) remember(ctx context.Context, k key, now time.Time, load func(context.Context) result) result {
	if err := ctx.Err(); err != nil {
		return result{err: ended(k, err)}
	}
	r.mu.Lock()
	known, hold, ok := r.cache.get(k, now)
	if ok {
		r.stats.Hits++
		r.mu.Unlock()
		return known
	}
	f := r.flights[k]
	if f == nil {
		f = r.start(ctx, k, hold, load)
	}
	f.waiting++
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.result
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if r.flights[k] == f {
			delete(r.flights, k)
		}
	}
	return result{err: ended(k, ctx.Err())}
}

func ended(k key, err error) error { return fmt.Errorf("%w: %s: %w", ErrTemporary, k, err) }

// start begins a flight, which outlives the caller's context for the sake of
// others who wait. r.mu is held.
func (r *Resolver) start(ctx context.Context, k key, hold time.Duration, load func(context.Context) result) *flight {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), overall)
	f := &flight{done: make(chan struct{}), cancel: cancel}
	r.flights[k] = f
	r.stats.Misses++
	go func() {
		defer cancel()
		res := load(ctx)
		now := time.Now()
		if errors.Is(res.err, ErrTemporary) {
			res.hold = min(max(2*hold, minHold), maxHold)
			res.expires = now.Add(res.hold)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if res.hold > 0 {
			r.stats.Failures++
		}
		f.result = res
		close(f.done)
		if r.flights[k] == f { // else everybody has left, and the result says only that
			delete(r.flights, k)
			if now.Before(res.expires) {
				r.cache.put(k, res)
			}
		}
	}()
	return f
}

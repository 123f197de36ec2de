// Package wait lets time pass.
package wait

import (
	"context"
	"time"
)

// For waits until the time has passed or ctx ends; it reports whether the time
// passed.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

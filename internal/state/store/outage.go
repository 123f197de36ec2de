package store

import (
	"context"
	"errors"
	"time"

	"posthorn/internal/base/wait"
)

// How long a store that is away is waited for, and the pauses between two
// questions.
const (
	outageMost       = time.Minute
	outageFirstPause = 100 * time.Millisecond
	outageMostPause  = 2 * time.Second
)

// OverOutage repeats what only reads, or may happen twice, while the store is
// away: an outage of seconds, as when another database takes over, must not make
// mail wait for minutes. It gives up with ctx, and after a minute: what lasts
// longer may be the trouble of one message alone.
func OverOutage[T any](ctx context.Context, try func() (T, error)) (T, error) {
	end := time.Now().Add(outageMost)
	for pause := outageFirstPause; ; pause = min(2*pause, outageMostPause) {
		got, err := try()
		if !errors.Is(err, ErrUnavailable) || time.Now().After(end) || !wait.For(ctx, pause) {
			return got, err
		}
	}
}

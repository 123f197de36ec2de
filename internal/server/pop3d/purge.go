package pop3d

import (
	"context"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
)

// purgeEvery is how often the trash is looked at. Times in it are full hours,
// so that an account has one of them for many sessions.
const purgeEvery = time.Hour

// purgeTime is the first moment, from t on, at which a message may go.
func purgeTime(t time.Time) time.Time {
	full := t.Truncate(purgeEvery)
	if full.Before(t) {
		full = full.Add(purgeEvery)
	}
	return full
}

// Purge removes deleted messages whose time in the trash is over
// (Settings.KeepDeleted) until ctx ends. Of several nodes each may run it.
func (s *Server) Purge(ctx context.Context) {
	for {
		s.purge(ctx)
		now := time.Now()
		timer := time.NewTimer(purgeTime(now.Add(time.Second)).Sub(now))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// purge removes what is due, in small commits. What fails is due next time.
func (s *Server) purge(ctx context.Context) {
	total := 0
	for more := true; more && ctx.Err() == nil; {
		var removed int
		var err error
		removed, more, err = s.d.Store.Purge(ctx)
		total += removed
		if err != nil && ctx.Err() == nil {
			s.d.Log.Log(event.StoreFailed, event.Err(err))
		}
	}
	if total > 0 {
		s.d.Log.Log(event.StoreMaintained, slog.Int("trash", total))
	}
}

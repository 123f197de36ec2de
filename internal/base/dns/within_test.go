package dns

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimeForALookUpEndsWhetherSomebodyWaitsOrNot(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]func(context.Context) error{
		"waiting": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"later":   func(ctx context.Context) error { time.Sleep(time.Second); return ctx.Err() },
		"derived": func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		},
	} {
		for which, end := range map[string]error{"its own": context.DeadlineExceeded, "stop": context.Canceled, "parent": context.Canceled, "parent's deadline": context.DeadlineExceeded} {
			synctest.Test(t, func(t *testing.T) {
				begin, half := time.Now(), 500*time.Millisecond
				parent, cancel := context.WithCancel(context.Background())
				defer cancel()
				most := time.Second
				if which == "parent's deadline" {
					parent, cancel = context.WithTimeout(parent, half)
					defer cancel()
				}
				ctx, stop := Within(parent, most)
				defer stop()
				if err := ctx.Err(); err != nil {
					t.Fatal(err)
				}
				d, _ := ctx.Deadline()
				switch which {
				case "stop":
					time.AfterFunc(half, stop)
				case "parent":
					time.AfterFunc(half, cancel)
				}
				want := map[bool]time.Duration{true: time.Second, false: half}[which == "its own"]
				if err := look(ctx); !errors.Is(err, end) || name != "later" && time.Since(begin) != want {
					t.Errorf("%s, %s: %v after %s", name, which, err, time.Since(begin))
				}
				if got := d.Sub(begin); got != time.Second && which != "parent's deadline" {
					t.Errorf("deadline %s", got)
				}
			})
		}
	}
}

func TestALookUpFromMemorySetsNoTimer(t *testing.T) {
	type key struct{}
	parent := context.WithValue(context.Background(), key{}, 1)
	ctx, stop := Within(parent, time.Hour)
	stop()
	if ctx.Value(key{}) != 1 || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("%v, %v", ctx.Value(key{}), ctx.Err())
	}
	if n := testing.AllocsPerRun(100, func() {
		ctx, stop := Within(parent, time.Hour)
		_ = ctx.Err()
		stop()
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

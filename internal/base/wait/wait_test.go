package wait_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/wait"
)

func TestForEndsWithTheTimeOrTheContext(t *testing.T) {
	for _, tt := range []struct {
		name       string
		time, ends time.Duration
		want       bool
	}{
		{"the time first", time.Minute, time.Hour, true},
		{"the context first", time.Hour, time.Minute, false},
		{"an ended context", time.Hour, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.ends)
				defer cancel()
				began := time.Now()
				if got := wait.For(ctx, tt.time); got != tt.want {
					t.Errorf("For = %v, want %v", got, tt.want)
				}
				if got, want := time.Since(began), min(tt.time, tt.ends); got != want {
					t.Errorf("it took %v, want %v", got, want)
				}
			})
		})
	}
}

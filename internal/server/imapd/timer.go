package imapd

import (
	"context"
	"slices"
)

// timer ends work on many messages that takes longer than a search may. It
// looks at the context every few thousand steps, so a step may be short.
type timer struct {
	ctx   context.Context
	steps uint
	err   error // once the time is over; what was made then is of no use
}

// timerSteps is a power of two.
const timerSteps = 1 << 12

// over counts a step and reports whether the time is.
func (t *timer) over() bool {
	if t.err == nil {
		if t.steps++; t.steps%timerSteps == 0 {
			t.err = searchTime(t.ctx)
		}
	}
	return t.err != nil
}

// sortTimed sorts; when the time is over it leaves the rest as it stands.
func sortTimed[E any](t *timer, list []E, order func(a, b E) int) {
	slices.SortFunc(list, func(a, b E) int {
		if t.over() {
			return 0
		}
		return order(a, b)
	})
}

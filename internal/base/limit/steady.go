package limit

import "math"

// steady makes a clock that may be set back go on from where it was (reliability
// row 15): then nothing ends twice and nothing waits for a time that had been.
// A little back, up to slack, is callers overtaking one another: time stands.
type steady struct {
	slack  int64
	latest int64
	skew   int64
}

func newSteady(slack int64) steady { return steady{slack: slack, latest: math.MinInt64} }

// at turns what the caller's clock shows into a time that never goes back.
func (s *steady) at(shown int64) int64 {
	now := shown + s.skew
	if now >= s.latest {
		s.latest = now
		return now
	}
	if back := s.latest - now; back > s.slack {
		s.skew += back
	}
	return s.latest
}

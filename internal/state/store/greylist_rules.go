package store

import "time"

// Judge applies the table of requirements.md 1.11 to an attempt: what is known
// of the client becomes next, and wait is 0 when the attempt passes. Times have
// the resolution of a store, a microsecond.
func (r GreylistRules) Judge(have GreylistRow, known bool, now time.Time) (next GreylistRow, wait time.Duration) {
	next = have
	next.Last = now
	if known {
		next.First, next.Confirmed = earlier(have.First, now), earlier(have.Confirmed, now)
	}
	switch {
	case !known:
		next = begin(next, now)
	case r.over(next, have.Last, now):
		if next.Confirmed.IsZero() {
			next.Deferred, next.Passed = 0, 0 // it is unknown again
		}
		next = begin(next, now)
	case next.Confirmed.IsZero() && !now.Before(next.First.Add(r.Interval)):
		next.Confirmed = now
	}
	if !next.Confirmed.IsZero() {
		next.Passed++
		return next, 0
	}
	next.Deferred++
	return next, max(next.First.Add(r.Interval).Sub(now), time.Microsecond)
}

func begin(g GreylistRow, now time.Time) GreylistRow {
	g.First, g.Confirmed = now, time.Time{}
	return g
}

// over says whether an entry counts no more. last is the attempt before: while
// a client is confirmed, every attempt is accepted.
func (r GreylistRules) over(g GreylistRow, last, now time.Time) bool {
	switch {
	case g.Confirmed.IsZero():
		return now.Sub(g.First) > r.Wait
	case r.Renew:
		return now.Sub(g.Confirmed) > r.Expiry && now.Sub(last) > r.Expiry
	case r.FromFirst:
		return now.Sub(g.First) > r.Expiry
	}
	return now.Sub(g.Confirmed) > r.Expiry
}

func earlier(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

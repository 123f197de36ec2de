package limit

import "time"

// Rate is how often something may happen: Count in every Per, of which Burst
// (at least 1; 0 means Count) at once. The zero Rate means without bound.
type Rate struct {
	Count int
	Per   time.Duration
	Burst int
}

// Unbounded reports a rate that never says no.
func (r Rate) Unbounded() bool { return r.Count <= 0 || r.Per <= 0 }

func (r Rate) burst() float64 {
	if r.Burst > 0 {
		return float64(r.Burst)
	}
	return float64(max(1, r.Count))
}

// Bucket is a token bucket, full when zero. It holds no lock: keep it in a
// Table, or guard it. The rate is given with each call, so that a changed
// setting works at once.
type Bucket struct {
	spent float64 // tokens missing from a full bucket
	last  time.Time
}

// Take takes n tokens. It returns 0 when they were there, or takes nothing
// and returns how long to wait for them. More than a burst can never be had at once; Take
// then asks for the full bucket and leaves a debt that later calls wait for.
func (b *Bucket) Take(now time.Time, r Rate, n int) time.Duration {
	if r.Unbounded() || n <= 0 {
		return 0
	}
	b.refill(now, r)
	need := min(float64(n), r.burst())
	if missing := b.spent + need - r.burst(); missing > 0 {
		return time.Duration(missing / float64(r.Count) * float64(r.Per))
	}
	b.spent += float64(n)
	return 0
}

// refill gives back what has flowed in. A clock that went backwards gives
// nothing and takes nothing (reliability row 15).
func (b *Bucket) refill(now time.Time, r Rate) {
	if elapsed := now.Sub(b.last); elapsed > 0 && !b.last.IsZero() {
		b.spent = max(0, b.spent-float64(elapsed)/float64(r.Per)*float64(r.Count))
	}
	b.last = now
}

// Rates keeps one bucket a key in a bounded table. Use NewRates.
type Rates[K comparable] struct {
	table *Table[K, Bucket]
}

// NewRates returns buckets for at most size keys. A key not seen for expiry
// starts with a full bucket again; let it be no shorter than the longest Per.
func NewRates[K comparable](size int, expiry time.Duration) *Rates[K] {
	return &Rates[K]{table: NewTable[K, Bucket](size, expiry)}
}

// Take is Bucket.Take on the key's bucket, now.
func (rs *Rates[K]) Take(key K, r Rate, n int) time.Duration {
	if r.Unbounded() {
		return 0
	}
	var wait time.Duration
	rs.table.Update(key, func(b *Bucket) { wait = b.Take(time.Now(), r, n) })
	return wait
}

// Forget fills the key's bucket.
func (rs *Rates[K]) Forget(key K) { rs.table.Delete(key) }

// Len returns the number of keys known.
func (rs *Rates[K]) Len() int { return rs.table.Len() }

package sqlstore

import (
	"sync"
	"time"
)

// queueClock is the time the queue lives in: microseconds that grow with the
// monotonic clock while a node runs, and over a restart by what the wall clock
// says, at least nothing and at most maxRestart (reliability.md hostile row
// 48). While nothing jumps it equals the wall clock, so that exact times come
// back exactly; after a jump it differs from it by offset.
type queueClock struct {
	wall func() time.Time                // the present, with a monotonic reading
	mono func(now, then time.Time) int64 // microseconds between two readings
	// shared reads the wall clock that the stored pair is of: the database's,
	// where several nodes use it, for theirs may differ. nil: wall.
	shared func(t tx) (micros int64, err error)

	mu     sync.Mutex
	loaded bool
	base   int64     // queue time at anchor
	anchor time.Time // reading of wall
	offset int64     // queue time minus wall time
	saved  time.Time // reading of wall when the pair was stored last
	jumped bool      // since then
}

const (
	maxRestart = 24 * time.Hour
	// tolerated is how far wall and monotonic clock drift apart before it
	// counts as a jump.
	tolerated = int64(time.Second / time.Microsecond)
	// keepEvery is how often the pair is stored while the queue is in use,
	// keepIdle while only asked for work.
	keepEvery = 30 * time.Second
	keepIdle  = 10 * time.Minute
)

func newQueueClock() *queueClock {
	return &queueClock{
		wall: time.Now,
		mono: func(now, then time.Time) int64 { return now.Sub(then).Microseconds() },
	}
}

// moment is the present in both times.
type moment struct {
	now    time.Time
	offset int64
}

// tick reads the clock; the first one after opening reads what was stored.
func (c *queueClock) tick(t tx) (moment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.wall()
	if !c.loaded {
		if err := c.load(t, now); err != nil {
			return moment{}, err
		}
	}
	c.steady(now)
	return moment{now, c.offset}, nil
}

// load goes on from the stored pair.
func (c *queueClock) load(t tx, now time.Time) error {
	pair, err := readClock(t)
	if err != nil {
		return err
	}
	wall, err := c.common(t, now)
	if err != nil {
		return err
	}
	c.base = wall
	if pair.wall != 0 {
		gone := min(max(wall-pair.wall, 0), maxRestart.Microseconds())
		c.base = pair.steady + gone
	}
	c.anchor, c.loaded = now, true
	c.offset = c.base - now.UnixMicro()
	return nil
}

// common is the present by the clock that all nodes share, in microseconds. One
// that agrees with the node's own is not better, and asking takes time: so exact
// times stay exact.
func (c *queueClock) common(t tx, now time.Time) (int64, error) {
	own := now.UnixMicro()
	if c.shared == nil {
		return own, nil
	}
	shared, err := c.shared(t)
	if d := shared - own; err == nil && d > -tolerated && d < tolerated {
		return own, nil
	}
	return shared, err
}

// databaseTime is the shared clock of nodes with one PostgreSQL.
func databaseTime(t tx) (micros int64, err error) {
	_, err = one(t, `SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT`, nil, func(r row) error {
		micros = r.int(0)
		return nil
	})
	return micros, err
}

// steady returns the queue time of now and adjusts the offset after a jump.
func (c *queueClock) steady(now time.Time) int64 {
	s := c.base + c.mono(now, c.anchor)
	if drift := s - now.UnixMicro() - c.offset; drift > tolerated || drift < -tolerated {
		c.offset += drift
		c.jumped = true
	}
	return now.UnixMicro() + c.offset
}

// keep stores the pair when the last time is longer ago than every. Of several
// nodes the furthest is right. Claims call it, before they lock anything else.
func (c *queueClock) keep(t *txn, every time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.wall()
	if !c.due(now, every) {
		return nil
	}
	pair, err := readClock(t)
	if err != nil {
		return err
	}
	wall, err := c.common(t, now)
	if err != nil {
		return err
	}
	s := c.steady(now)
	if ahead := pair.steady - s; ahead > 0 {
		c.base += ahead
		s = c.steady(now)
	}
	if err := t.put(putCounter, clockSteady, s); err != nil {
		return err
	}
	if err := t.put(putCounter, clockWall, wall); err != nil {
		return err
	}
	t.onCommit(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.saved, c.jumped = now, false
	})
	return nil
}

// stale reports whether keep would store.
func (c *queueClock) stale(every time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.due(c.wall(), every)
}

func (c *queueClock) due(now time.Time, every time.Duration) bool {
	return c.loaded && (c.jumped || c.saved.IsZero() || c.mono(now, c.saved) >= every.Microseconds())
}

const (
	clockSteady = "queue.steady"
	clockWall   = "queue.wall"
	putCounter  = `INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

type clockPair struct{ steady, wall int64 }

func readClock(t tx) (clockPair, error) {
	var p clockPair
	err := t.query(`SELECT name, value FROM counter WHERE name IN (?, ?)`, []any{clockSteady, clockWall}, func(r row) error {
		if r.text(0) == clockSteady {
			p.steady = r.int(1)
		} else {
			p.wall = r.int(1)
		}
		return nil
	})
	return p, err
}

// steady is the present in queue time.
func (m moment) steady() int64 { return m.now.UnixMicro() + m.offset }

// stored turns a caller's time into queue time. A time that was read from the
// clock before it jumped keeps its true distance.
func (m moment) stored(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	us := t.UnixMicro() + m.offset
	if d := t.Sub(m.now).Microseconds() + m.steady() - us; d > tolerated || d < -tolerated {
		us += d
	}
	return us
}

// time turns queue time into wall time, with a monotonic reading so that it
// stays right while the caller holds it.
func (m moment) time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return m.now.Add(time.UnixMicro(us - m.offset).Sub(m.now)).UTC()
}

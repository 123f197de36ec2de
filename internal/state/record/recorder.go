package record

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/base/unit"
)

// Settings bound what is kept on disk.
type Settings struct {
	// MaxAge is how long decision records are kept.
	MaxAge time.Duration `default:"720h" min:"1h"`
	// MaxSize is the space decision records may take; the oldest go first.
	MaxSize unit.Size `default:"512MB" min:"1MB"`
}

// Options say where records are kept.
type Options struct {
	// Path of the file, records.db in the data folder.
	Path string
	// Settings returns the bounds in force.
	Settings func() Settings
	// Failed, if not nil, is told what went wrong while writing.
	Failed func(error)
}

// Timing and bounds of the writer.
const (
	linger   = 250 * time.Millisecond // how long records gather before they are written
	pruning  = 10 * time.Minute       // how often the bounds on disk are looked at
	maxQueue = 8 << 20                // octets waiting in memory
	// maxPending bounds full segments that could not be written yet.
	maxPending = 64
	// maxSpan is the time a segment may cover: pruning takes whole segments.
	maxSpan = time.Hour
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("record: closed")

// Recorder keeps records. Its methods may be called by many goroutines; those
// that hand records in never wait for the disk. A nil Recorder keeps nothing.
type Recorder struct {
	o      Options
	traces sync.Pool // *Trace
	spare  sync.Pool // *entry

	mu     sync.Mutex
	queue  []*entry
	octets int

	wake chan struct{}
	sync chan chan struct{}
	stop chan struct{}
	once sync.Once
	done chan struct{}

	file *file // locked by itself
	open *segment
	full []*segment // waiting to be written

	kept, dropped atomic.Int64
}

// entry is a record on its way to the writer.
type entry struct {
	data []byte
	keys []uint64
	time int64 // when it was handed in
}

// Open opens or makes the file and starts the writer. A damaged file is set
// aside, not an error.
func Open(o Options) (*Recorder, error) {
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	f, err := openFile(o.Path, o.Failed)
	if err != nil {
		return nil, err
	}
	r := &Recorder{
		o: o, file: f,
		wake: make(chan struct{}, 1), sync: make(chan chan struct{}),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go r.write()
	return r, nil
}

// Close writes what is waiting and closes the file.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.once.Do(func() { close(r.stop) })
	<-r.done
	return r.file.close()
}

// Stats counts records since Open: those handed to the file, and those lost
// because they came faster than they could be kept.
type Stats struct{ Kept, Dropped int64 }

// Stats returns the counters.
func (r *Recorder) Stats() Stats { return Stats{r.kept.Load(), r.dropped.Load()} }

// Flush waits until what was handed in before is in the file, as far as the
// file can be written.
func (r *Recorder) Flush(ctx context.Context) error {
	reply := make(chan struct{})
	select {
	case r.sync <- reply:
	case <-r.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-reply:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Recorder) entry() *entry {
	if e, ok := r.spare.Get().(*entry); ok {
		return e
	}
	return &entry{}
}

// put queues the record. When too much waits, the oldest is lost.
func (r *Recorder) put(e *entry) {
	e.time = time.Now().UnixMicro()
	r.mu.Lock()
	r.queue = append(r.queue, e)
	r.octets += len(e.data)
	first := 0
	for r.octets > maxQueue && first < len(r.queue)-1 {
		r.octets -= len(r.queue[first].data)
		r.queue[first] = nil
		first++
	}
	r.queue = r.queue[first:]
	r.mu.Unlock()
	r.dropped.Add(int64(first))
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (r *Recorder) take() []*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queue
	r.queue, r.octets = make([]*entry, 0, min(cap(q), 1024)), 0
	return q
}

// write is the writer: it gathers what comes within a moment and writes it in
// one transaction.
func (r *Recorder) write() {
	defer close(r.done)
	tick := time.NewTicker(pruning)
	defer tick.Stop()
	r.prune()
	for {
		select {
		case <-r.wake:
			r.gather()
		case reply := <-r.sync:
			r.flush()
			close(reply)
		case <-tick.C:
			r.flush()
			r.prune()
		case <-r.stop:
			r.flush()
			return
		}
	}
}

// gather waits for more before it flushes, but not when somebody asks.
func (r *Recorder) gather() {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-timer.C:
		r.flush()
	case reply := <-r.sync:
		r.flush()
		close(reply)
	case <-r.stop: // seen again by write
	}
}

// flush moves the queue into segments and writes those that changed.
func (r *Recorder) flush() {
	for _, e := range r.take() {
		if r.open == nil {
			r.open = newSegment()
		}
		r.open.add(e)
		r.kept.Add(1)
		if cap(e.data) <= maxSteps {
			e.data, e.keys = e.data[:0], e.keys[:0]
			r.spare.Put(e)
		}
		if r.open.full() {
			r.full = append(r.full, r.open)
			r.open = nil
		}
	}
	changed := r.full
	if r.open != nil && r.open.dirty {
		changed = append(changed[:len(changed):len(changed)], r.open)
	}
	if len(changed) == 0 {
		return
	}
	if err := r.file.write(changed); err != nil {
		r.o.Failed(fmt.Errorf("record: write: %w", err))
		r.forget()
		return
	}
	r.full = nil
}

// forget drops the oldest of too many segments that cannot be written.
func (r *Recorder) forget() {
	for len(r.full) > maxPending {
		r.dropped.Add(int64(r.full[0].records))
		r.full = r.full[1:]
	}
}

// prune keeps the bounds on disk.
func (r *Recorder) prune() {
	if r.open != nil && !r.open.dirty && time.Since(time.UnixMicro(r.open.first)) > maxSpan {
		r.open = nil
	}
	s := r.o.Settings()
	if err := r.file.prune(time.Now().Add(-s.MaxAge), int64(s.MaxSize)); err != nil {
		r.o.Failed(fmt.Errorf("record: prune: %w", err))
	}
}

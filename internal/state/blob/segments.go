// Package blob keeps large message bodies in append-only segment files, and
// holds drafts: messages that are still arriving.
//
// A segment is one file of a fixed, preallocated size. Bodies are appended
// one after another; the store's database knows which stretch (Place) belongs
// to which body. Nothing in a file says where a body begins: what the
// database does not refer to is free space, which is also the rule for a tail
// torn by a crash. Content is synced before the commit that refers to it.
//
//	000001.seg  |body|body|  dead  |body| ... |body| free ............ |
//
// The package knows neither messages nor transactions.
package blob

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"posthorn/internal/base/event"
)

// Place is a stretch of a segment.
type Place struct{ Segment, Start, Length int64 }

// Tail says up to where a segment is in use according to the database.
type Tail struct{ Segment, End int64 }

// ErrFailed is wrapped by every error after a sync failed: what the system
// kept of the written pages is unknown, so nothing more is written or given back.
var ErrFailed = errors.New("blob: an earlier sync failed")

// alignment of what is punched; a stretch in use is never touched.
const pageSize = 4096

// maxIdle bounds the segment files kept open though nobody reads them.
const maxIdle = 64

// Segments is the folder of segment files. Its methods may be called by many
// goroutines.
type Segments struct {
	fs   FS
	size int64
	log  *event.Logger

	mu      sync.Mutex
	open    map[int64]*segment
	active  *segment
	last    int64 // highest id ever used
	failed  error
	written int64
	syncs   int64
	epoch   int64
	pins    map[int64]int // readers by the epoch they began in
	dead    []dead
}

// segment is an open segment file.
type segment struct {
	id    int64
	f     File
	limit int64
	next  int64 // where the next stretch goes
	users int   // readers, drafts and batches that hold it open
	dirty bool  // written since the last sync began
	// syncing is held over a sync, so that nobody takes one under way for done.
	syncing sync.Mutex
}

// dead is room to give back once nobody can be reading it any more.
type dead struct {
	place Place // Length 0: the whole segment
	epoch int64
}

// Open takes up the folder. tails come from the database, with every segment
// it knows. Files it does not know are removed: they hold nothing that was
// committed.
func Open(fs FS, size int64, tails []Tail, log *event.Logger) (*Segments, error) {
	s := &Segments{fs: fs, size: size, log: log,
		open: map[int64]*segment{}, pins: map[int64]int{}}
	known := map[int64]int64{}
	var newest Tail
	for _, t := range tails {
		known[t.Segment] = t.End
		s.last = max(s.last, t.Segment)
		if t.Segment >= newest.Segment {
			newest = t
		}
	}
	if err := s.removeUnknown(known); err != nil {
		return nil, err
	}
	if newest.Segment > 0 && newest.End < size {
		g, err := s.acquire(newest.Segment)
		if err != nil {
			return nil, err
		}
		g.next, g.limit = newest.End, size
		s.active = g
	}
	return s, nil
}

func (s *Segments) removeUnknown(known map[int64]int64) error {
	names, err := s.fs.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		id, err := strconv.ParseInt(strings.TrimSuffix(name, ".seg"), 10, 64)
		if err != nil || fileName(id) != name {
			continue
		}
		s.last = max(s.last, id)
		if _, ok := known[id]; ok {
			continue
		}
		if err := s.fs.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

func fileName(id int64) string { return fmt.Sprintf("%06d.seg", id) }

// acquire returns the open segment, one user more. s.mu is held or s is not
// shared yet.
func (s *Segments) acquire(id int64) (*segment, error) {
	g := s.open[id]
	if g == nil {
		f, err := s.fs.Open(fileName(id))
		if err != nil {
			return nil, err
		}
		g = &segment{id: id, f: f}
		s.open[id] = g
	}
	g.users++
	return g, nil
}

// release undoes acquire. s.mu is held.
func (s *Segments) release(g *segment) {
	g.users--
	if g.users == 0 && g != s.active && !g.dirty && len(s.open) > maxIdle {
		s.closeFile(g)
	}
}

func (s *Segments) closeFile(g *segment) {
	delete(s.open, g.id)
	if err := g.f.Close(); err != nil {
		s.log.Log(event.StoreTrouble, slog.String("what", "closing a file of bodies"), slog.Int64("segment", int64(g.id)), event.Err(err))
	}
}

// Reserve takes a stretch of n octets at the end of the active segment, one
// user more, or begins a new segment. It fails with syscall.ENOSPC when the
// disk has no room.
func (s *Segments) reserve(n int64) (*segment, Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, Place{}, s.failed
	}
	if s.active == nil || s.active.next+n > s.active.limit {
		if err := s.begin(n); err != nil {
			return nil, Place{}, err
		}
	}
	g := s.active
	p := Place{g.id, g.next, n}
	g.next += n
	g.users++
	return g, p, nil
}

// begin makes a new active segment with room for n octets.
func (s *Segments) begin(n int64) error {
	s.last++ // also if this fails: the file may be there afterwards
	id := s.last
	f, err := s.fs.Create(fileName(id))
	if err != nil {
		return err
	}
	limit, err := allocate(f, max(s.size, n), n)
	if err == nil {
		if err = s.fs.SyncDir(); err != nil {
			err = s.fail(fmt.Errorf("the folder of segment %d: %w", id, err))
		}
	}
	if err != nil {
		return errors.Join(err, f.Close(), s.fs.Remove(fileName(id)))
	}
	old := s.active
	s.active = &segment{id: id, f: f, limit: limit, users: 1}
	s.open[id] = s.active
	if old != nil {
		s.release(old)
	}
	return nil
}

// allocate reserves the segment's room, less of it on a nearly full disk.
func allocate(f File, size, least int64) (int64, error) {
	for {
		err := f.Allocate(size)
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			return size, nil
		}
		if !errors.Is(err, syscall.ENOSPC) || size <= least {
			return 0, err
		}
		size = max(size/4, least)
	}
}

// giveBack returns the unused end of a stretch if nothing was put behind it,
// and drops the user. What is not given back is found by compaction.
func (s *Segments) giveBack(g *segment, p Place, used int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.next == p.Start+p.Length {
		g.next = p.Start + used
	}
	s.release(g)
}

// write puts octets into a reserved stretch.
func (s *Segments) write(g *segment, start int64, p []byte) error {
	if _, err := g.f.WriteAt(p, start); err != nil {
		return fmt.Errorf("blob: write segment %d: %w", g.id, err)
	}
	s.mu.Lock()
	g.dirty = true
	s.written += int64(len(p))
	s.mu.Unlock()
	return nil
}

// Sync makes everything written so far in these segments durable. After a
// failure nothing is written any more.
func (s *Segments) Sync(ids ...int64) error {
	for _, id := range ids {
		if err := s.sync(id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Segments) sync(id int64) error {
	s.mu.Lock()
	g := s.open[id]
	if g == nil {
		defer s.mu.Unlock()
		return s.failed
	}
	g.users++
	s.mu.Unlock()
	g.syncing.Lock()
	err := s.syncFile(g)
	g.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(g)
	return err
}

// syncFile syncs what was written to the segment. g.syncing is held.
func (s *Segments) syncFile(g *segment) error {
	s.mu.Lock()
	if s.failed != nil || !g.dirty {
		defer s.mu.Unlock()
		return s.failed
	}
	g.dirty = false
	s.syncs++
	s.mu.Unlock()
	err := g.f.Sync()
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail(fmt.Errorf("segment %d: %w", g.id, err))
}

// fail ends writing; s.mu is held.
func (s *Segments) fail(cause error) error {
	if s.failed == nil {
		s.failed = fmt.Errorf("%w: %w", ErrFailed, cause)
	}
	return s.failed
}

// Fail ends writing because a commit of the database failed in a way that
// leaves open whether it will be there after a restart: whatever it may refer
// to stays as it is.
func (s *Segments) Fail(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.fail(cause) // the caller has the error
}

// Counts returns octets written and syncs issued since Open.
func (s *Segments) Counts() (written, syncs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written, s.syncs
}

// Active returns the segment that is being appended to, 0 for none. It and
// those held open by drafts must not be removed.
func (s *Segments) Active() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == nil {
		return 0
	}
	return s.active.id
}

// Close closes all files; no other call may follow.
func (s *Segments) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, g := range s.open {
		errs = append(errs, g.f.Close())
	}
	s.open = map[int64]*segment{}
	return errors.Join(errs...)
}

// Body reads stretches as one. Close it.
type Body struct {
	s      *Segments
	pin    *Pin
	size   int64
	places []Place
	files  []*segment
}

// Pin keeps the room of deleted bodies from being given back. It is taken
// before the database is asked for places, so that they stay readable.
type Pin struct {
	s     *Segments
	epoch int64
	gone  bool
}

// Pin takes a pin.
func (s *Segments) Pin() *Pin {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins[s.epoch]++
	return &Pin{s: s, epoch: s.epoch}
}

// Release lets go; it may be called more than once.
func (p *Pin) Release() {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.gone {
		return
	}
	p.gone = true
	if s.pins[p.epoch]--; s.pins[p.epoch] == 0 {
		delete(s.pins, p.epoch)
	}
}

// Open opens places for reading; the body owns the pin then, also on error.
func (s *Segments) Open(pin *Pin, places []Place) (*Body, error) {
	b := &Body{s: s, pin: pin, places: places}
	s.mu.Lock()
	var err error
	for _, p := range places {
		var g *segment
		if g, err = s.acquire(p.Segment); err != nil {
			break
		}
		b.files = append(b.files, g)
		b.size += p.Length
	}
	s.mu.Unlock()
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Size returns the octets of the body.
func (b *Body) Size() int64 { return b.size }

// ReadAt implements io.ReaderAt.
func (b *Body) ReadAt(p []byte, off int64) (int, error) {
	total := 0
	for i, place := range b.places {
		if len(p) == 0 {
			return total, nil
		}
		if off >= place.Length {
			off -= place.Length
			continue
		}
		n := min(int64(len(p)), place.Length-off)
		got, err := b.files[i].f.ReadAt(p[:n], place.Start+off)
		total += got
		if int64(got) < n {
			return total, fmt.Errorf("blob: read segment %d: %w", place.Segment, err)
		}
		p, off = p[n:], 0
	}
	if len(p) > 0 {
		return total, io.EOF
	}
	return total, nil
}

// Close ends reading; it may be called more than once.
func (b *Body) Close() error {
	b.s.mu.Lock()
	for _, g := range b.files {
		b.s.release(g)
	}
	b.files, b.places = nil, nil
	b.s.mu.Unlock()
	b.pin.Release()
	return nil
}

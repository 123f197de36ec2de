// Package sqlstore keeps the store in SQL: SQLite for one machine, PostgreSQL
// for a cluster. It is where a message's way ends, and it knows neither
// protocols nor policy: heads, structures and flags are octets and bits to it.
//
// Both engines run the same statements over the same schema (schema/*.sql).
// They differ in how transactions are made:
//
//	            Accept                          other writes            reads
//	SQLite      one writer goroutine commits    same commit, each       few connections,
//	            all that waits (group commit)   under a savepoint       one per core but one
//	PostgreSQL  some writers, each commits      one transaction each    connection pool
//	            all that waits for its accounts
//
// Where things lie:
//
//	entry     (account, mailbox, uid) -> flags, mod_seq, size, dates, message
//	message   in order of arrival     -> structure, number of entries
//	body      same id                 -> head and small body, or head and blob
//	blob      in order of arrival     -> stretch of a segment file, or chunk rows
//	change    (mailbox, mod_seq)      -> flags changed, messages expunged
//	garbage   what the sweeper takes apart later, in small steps
//	trash_due (time, account)         -> deleted by POP3, to be removed then
//
// Arrivals are not logged: they are the entries from a UID on.
package sqlstore

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// Options tune an engine; the zero value is right for production.
type Options struct {
	// Log gets what an administrator should know; nil discards it.
	Log *event.Logger
	// SegmentSize is the size of body segment files in octets; 0 means 256 MB.
	SegmentSize int64
	// Reserve is how many octets of disk are kept for deletions; 0 means 16 MB.
	Reserve int64
	// Readers bounds how many reads run at once; 0 means one core less than
	// there are, at least one.
	Readers int
	// Cache bounds the memory that SQLite's pages take, in octets; 0 means 128 MB.
	Cache int64
	// KeepLog is how many change rows a mailbox keeps at least; 0 means 10,000.
	KeepLog int

	// files replaces the file system of bodies (fault injection).
	files blob.FS
	// beforeCommit, when set, runs before each commit of the SQLite writer and
	// fails it (fault injection).
	beforeCommit func() error
	// answer replaces answerTime.
	answer time.Duration
	// schema replaces the scripts the program brings.
	schema []migration
}

func (o Options) withDefaults() Options {
	if o.SegmentSize == 0 {
		o.SegmentSize = 256 << 20
	}
	if o.Reserve == 0 {
		o.Reserve = 16 << 20
	}
	if o.Readers == 0 {
		o.Readers = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if o.Cache == 0 {
		o.Cache = 128 << 20
	}
	if o.answer == 0 {
		o.answer = answerTime
	}
	if o.KeepLog == 0 {
		o.KeepLog = 10_000
	}
	return o
}

// engine makes transactions.
type engine interface {
	// write runs fn in a transaction that is durable when write returns nil.
	// fn may run more than once. removes marks operations that free space:
	// they may use the reserve when the disk is full.
	write(ctx context.Context, removes bool, fn func(t *txn) error) error
	// read runs fn in one consistent view.
	read(ctx context.Context, fn func(t tx) error) error
	// get is read for one query that has at most one row, with nothing around
	// it; it reports whether it had. scan may run more than once.
	get(ctx context.Context, query string, args []any, scan func(r row) error) (bool, error)
	// deliver makes d durable together with others.
	deliver(ctx context.Context, d *delivery) error
	room(ctx context.Context) (store.Room, error)
	stats() store.Stats
	close() error
}

// Store implements store.Store on one of the engines.
type Store struct {
	engine
	o         Options
	bodies    bodies
	hub       store.Hub
	directory *directory
	settings  *settings
	queue     *queue
	access    *access
	greylist  *greylist
	bans      *bans
	sweeper   sweeper
	closing   sync.Once
}

var _ store.Store = (*Store)(nil)

// opened is the last step of opening.
func (s *Store) opened(engine string, began time.Time) {
	s.sweeper.start(s)
	s.o.Log.Log(event.StoreOpened, slog.String("engine", engine), slog.Duration("took", time.Since(began).Round(time.Millisecond)))
}

// newStore joins the parts that know nothing of the engine.
func newStore(o Options) *Store {
	s := &Store{o: o}
	s.directory = newDirectory(s)
	s.settings = newSettings(s)
	s.queue = newQueue(s)
	s.access = &access{newVersioned(s, accessCounter)}
	s.greylist = newGreylist(s)
	s.bans = &bans{newVersioned(s, banCounter)}
	return s
}

// write runs fn in one durable transaction. When fn returns an error nothing
// of it remains. fn may run more than once, so it sets results, never adds.
func (s *Store) write(ctx context.Context, fn func(t *txn) error) error {
	return s.engine.write(ctx, false, fn)
}

// remove is write for operations that free space; they still work when the
// disk is full.
func (s *Store) remove(ctx context.Context, fn func(t *txn) error) error {
	return s.engine.write(ctx, true, fn)
}

// read runs fn in one consistent view of the database.
func (s *Store) read(ctx context.Context, fn func(t tx) error) error {
	return s.engine.read(ctx, fn)
}

// Account implements store.Store.
func (s *Store) Account(id store.AccountID) store.Account { return &account{s: s, id: id} }

// Directory implements store.Store.
func (s *Store) Directory() store.Directory { return s.directory }

// Settings implements store.Store.
func (s *Store) Settings() store.Settings { return s.settings }

// Tokens implements store.Store.
func (s *Store) Tokens() store.Tokens { return &tokens{s} }

// Queue implements store.Store.
func (s *Store) Queue() store.Queue { return s.queue }

// Access implements store.Store.
func (s *Store) Access() store.Access { return s.access }

// Greylist implements store.Store.
func (s *Store) Greylist() store.Greylist { return s.greylist }

// Bans implements store.Store.
func (s *Store) Bans() store.Bans { return s.bans }

// Regulars implements store.Store.
func (s *Store) Regulars() store.Regulars { return &regulars{s} }

// Reports implements store.Store.
func (s *Store) Reports() store.Reports { return &reports{s} }

// Watch implements store.Store.
func (s *Store) Watch(id store.AccountID) *store.Watch { return s.hub.Watch(id) }

// Room implements store.Store.
func (s *Store) Room(ctx context.Context) (store.Room, error) { return s.engine.room(ctx) }

// Stats implements store.Store.
func (s *Store) Stats() store.Stats {
	st := s.engine.stats()
	st.BodyBytes = s.bodies.written()
	return st
}

// Close ends all goroutines of the store. Writes that were handed in before
// are finished.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.sweeper.stop()
		err = s.engine.close()
		if e := s.bodies.close(); err == nil {
			err = e
		}
	})
	return err
}

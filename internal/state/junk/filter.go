package junk

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"posthorn/internal/base/limit"
	"posthorn/internal/base/unit"
)

// Options say where the filter keeps what it learns.
type Options struct {
	// Path of the file, junk.db in the data folder.
	Path string
	// Key is at least 16 secret octets of this installation. With another key
	// learning begins anew.
	Key []byte
	// Settings returns what is in force.
	Settings func() Settings
	// Own reports whether a host, in lower case, is this server: a Received
	// field by it tells the client. Nil means that none is.
	Own func(host string) bool
	// Cache is the memory for models of accounts that mail comes for, beside
	// the one of everybody; 0 means 32 MB.
	Cache unit.Size
	// Failed, if not nil, is told what went wrong in the background. It must
	// not call the filter.
	Failed func(error)
}

// Filter learns and judges. Its methods may be called by many goroutines.
type Filter struct {
	hasher
	o     Options
	file  *file
	cache *cache
	gate  *limit.Gate
	spare sync.Pool // *collector

	requests chan *request
	stop     chan struct{}
	once     sync.Once
	done     chan struct{}

	scored, learned, octets atomic.Int64
}

// tokenizer changes when messages give other tokens than before.
const tokenizer = 1

// maxScoring is how many scores may wait for a processor; more are refused.
const maxScoring = 1000

// Open opens or makes the file and starts the writer. A damaged file, or one
// made with another key, is set aside and not an error.
func Open(o Options) (*Filter, error) {
	if len(o.Key) < keySize {
		return nil, fmt.Errorf("junk: a key of %d octets, at least %d are needed", len(o.Key), keySize)
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Own == nil {
		o.Own = nobody
	}
	if o.Cache <= 0 {
		o.Cache = 32 * unit.MB
	}
	f := &Filter{
		hasher: newHasher(o.Key), o: o, cache: newCache(int64(o.Cache)), gate: limit.NewGate(runtime.GOMAXPROCS(0), maxScoring),
		requests: make(chan *request), stop: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	if f.file, err = openFile(o.Path, f.sum(fmt.Appendf(nil, "mark %d", tokenizer)), o.Failed, f.begun); err != nil {
		return nil, err
	}
	if err := f.file.use(context.Background(), f.file.write, f.measure); err != nil {
		return nil, fmt.Errorf("junk: open %s: %w", o.Path, err)
	}
	go f.serve()
	return f, nil
}

// begun follows a new file.
func (f *Filter) begun() {
	f.cache.clear()
	f.octets.Store(0)
}

// measure adds up what all models take.
func (f *Filter) measure(conn *sqlite.Conn) error {
	return sqlitex.Execute(conn, "SELECT coalesce(sum(octets), 0) FROM account", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		f.octets.Store(s.ColumnInt64(0))
		return nil
	}})
}

// Close waits for the lesson being written and closes the file.
func (f *Filter) Close() error {
	f.once.Do(func() { close(f.stop) })
	<-f.done
	return f.file.close()
}

// Stats says what the filter did since Open and how much it keeps.
type Stats struct {
	Scored, Learned int64
	// Renewed counts files set aside.
	Renewed int64
	// Octets is about the size of what is kept, Cached what of it is in memory.
	Octets, Cached int64
}

// Stats returns the counters.
func (f *Filter) Stats() Stats {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	return Stats{Scored: f.scored.Load(), Learned: f.learned.Load(), Renewed: f.file.setAsides.Load(), Octets: f.octets.Load(), Cached: f.cache.octets}
}

// Score judges a message for one account. After an error (of the context, of
// the disk, limit.ErrCrowded) the judgement is not Known and may be used as it is.
func (f *Filter) Score(ctx context.Context, account Account, t *Tokens) (Judgement, error) {
	none := Judgement{Probability: unknown, Tokens: t.Len()}
	if t == nil {
		return none, nil
	}
	if err := f.gate.Enter(ctx); err != nil {
		return none, fmt.Errorf("junk: score: %w", err)
	}
	defer f.gate.Leave()
	s := f.o.Settings()
	own, err := f.model(ctx, account)
	if err != nil {
		return none, fmt.Errorf("junk: score: %w", err)
	}
	var others *model
	if s.Shared {
		if others, err = f.model(ctx, everybody); err != nil {
			return none, fmt.Errorf("junk: score: %w", err)
		}
	}
	f.scored.Add(1)
	return judge(t, own, others, s.MinLearned), nil
}

// model returns what an account has learned, from memory or the file.
func (f *Filter) model(ctx context.Context, a Account) (*model, error) {
	m, changes := f.cache.get(a)
	if m != nil {
		return m, nil
	}
	err := f.file.use(ctx, f.file.read, func(conn *sqlite.Conn) error {
		return within(conn, "BEGIN", func() (err error) { // one state of both tables
			m, err = load(conn, a)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	f.cache.keep(a, m, changes)
	return m, nil
}

// load reads a model; an account that never learned has an empty one.
func load(conn *sqlite.Conn, a Account) (*model, error) {
	m := &model{}
	err := sqlitex.Execute(conn, "SELECT spam, ham, given_spam, given_ham, remembered FROM account WHERE id = ?", &sqlitex.ExecOptions{
		Args: []any{int64(a)},
		ResultFunc: func(s *sqlite.Stmt) error {
			m.spam, m.ham, m.givenSpam, m.givenHam, m.remembered = s.ColumnInt(0), s.ColumnInt(1), s.ColumnInt(2), s.ColumnInt(3), s.ColumnInt(4)
			return nil
		}})
	if err != nil {
		return nil, err
	}
	err = sqlitex.Execute(conn, "SELECT level, data FROM run WHERE account = ? ORDER BY level", &sqlitex.ExecOptions{
		Args: []any{int64(a)},
		ResultFunc: func(s *sqlite.Stmt) error {
			level, r := s.ColumnInt(0), make(run, s.ColumnLen(1))
			s.ColumnBytes(1, r)
			if level < 0 || level > maxLevel || !r.valid() {
				return fmt.Errorf("run %d of account %d: %w", level, a, errDamaged)
			}
			for len(m.levels) <= level {
				m.levels = append(m.levels, nil)
			}
			m.levels[level] = r
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return m, nil
}

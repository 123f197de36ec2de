package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"posthorn/internal/state/store"
)

// pgEngine keeps the store in PostgreSQL, which several nodes may share.
// Operations of one account happen in order under the lock of its row.
type pgEngine struct {
	s      *Store
	pool   *pgxpool.Pool
	texts  texts
	lines  []*waitingLine // one per delivering goroutine; an account has its line
	ended  sync.WaitGroup
	ids    pgIDs
	bodies *chunkBodies
	hints  hints

	commits, writes     atomic.Int64
	lastBatch, maxBatch atomic.Int64
	meter               meter
}

// deliverers is how many goroutines commit deliveries.
const deliverers = 2

// answerTime is how long PostgreSQL may take to answer one round trip of a
// delivery, and to settle a batch of them; functions, whose statements are
// larger, have slowly times as much. A connection without an answer is given
// up: a network that swallows packets, or a server that stands still, would
// keep everybody in the line for as long as it likes. It is a fraction of what
// the senders wait, so that a commit in doubt can still be asked for.
const (
	answerTime = time.Minute
	slowly     = 5
)

// Bounds on getting a connection.
const (
	connectTime = 10 * time.Second // where the connection string has none
	pingTime    = 5 * time.Second
)

// attempts bounds how often a transaction is tried again.
const attempts = 10

// OpenPostgres opens the store in a PostgreSQL database (version 15 or later,
// encoding UTF8). dsn may name several hosts; only one that takes writes is
// used. Close ends everything it started.
func OpenPostgres(ctx context.Context, dsn string, o Options) (store.Store, error) {
	s, err := openPostgres(ctx, dsn, o)
	if err != nil {
		return nil, fmt.Errorf("open store in PostgreSQL: %w", err)
	}
	return s, nil
}

func openPostgres(ctx context.Context, dsn string, o Options) (*Store, error) {
	began := time.Now()
	s := newStore(o.withDefaults())
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	configure(config, dsn, s.o)
	e := &pgEngine{s: s, ids: pgIDs{most: s.o.answer}}
	s.engine = e
	s.queue.clock.shared = databaseTime
	if e.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	// Identifiers have a connection of their own: they are taken while all
	// others may be busy.
	config.MaxConns = 1
	if e.ids.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		e.pool.Close()
		return nil, err
	}
	if err := e.migrate(ctx); err != nil {
		e.pool.Close()
		e.ids.pool.Close()
		return nil, classifyPG(err)
	}
	e.bodies = &chunkBodies{e: e}
	s.bodies = e.bodies
	e.hints.start(e)
	for range deliverers {
		l := newLine()
		e.lines = append(e.lines, l)
		e.ended.Go(func() { e.run(l) })
	}
	s.opened("PostgreSQL", began)
	return s, nil
}

// configure sets what the store relies on, whatever the string says.
func configure(c *pgxpool.Config, dsn string, o Options) {
	c.MaxConns = max(c.MaxConns, deliverers+int32(o.Readers)+4)
	if !strings.Contains(dsn, "target_session_attrs") {
		c.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = connectTime
	}
	c.ConnConfig.DialFunc = noticing(c.ConnConfig.DialFunc)
	c.PingTimeout = pingTime
	params := c.ConnConfig.RuntimeParams
	params["application_name"] = "posthorn"
	params["default_transaction_isolation"] = "read committed"
	c.AfterConnect = demandDurable
	// Code 01000 at COMMIT: it was cancelled while it waited for a standby.
	c.ConnConfig.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if n.Code == "01000" {
			conn.CustomData()[noticeWarned] = true
		}
	}
}

const noticeWarned = "posthorn.warned"

// pgTuning is what the first version adds for this engine: mail is stored as
// it came, and rows that change often keep room to change in place.
var pgTuning = []string{
	`ALTER TABLE body ALTER COLUMN content SET STORAGE EXTERNAL`,
	`ALTER TABLE blob_chunk ALTER COLUMN data SET STORAGE EXTERNAL`,
	`ALTER TABLE mailbox SET (fillfactor = 50)`,
	`ALTER TABLE account_mail SET (fillfactor = 50)`,
}

// migrate brings the schema up to date, one transaction a step; nodes that
// start together wait for each other.
func (e *pgEngine) migrate(ctx context.Context) error {
	for try := 0; ; try++ {
		_, err := e.pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)`)
		if err == nil {
			break
		}
		if code := pgCode(err); code != "23505" && code != "42P07" || try == attempts {
			return err // other than somebody else creating it just now
		}
	}
	for steps := 0; ; steps++ {
		version, more := 0, false
		err := pgx.BeginFunc(ctx, e.pool, func(t pgx.Tx) error {
			var err error
			version, more, err = migrateStep(ctx, t, e.s.o)
			return err
		})
		if err != nil {
			return err
		}
		if !more {
			e.s.o.migrated(version-steps, steps)
			return nil
		}
	}
}

// migrateStep takes one step from the version found, if there is one.
func migrateStep(ctx context.Context, t pgx.Tx, o Options) (version int, more bool, err error) {
	if _, err := t.Exec(ctx, `LOCK TABLE schema_version IN EXCLUSIVE MODE`); err != nil {
		return 0, false, err
	}
	if err := t.QueryRow(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version); err != nil {
		return 0, false, err
	}
	steps, err := o.pending(version)
	if err != nil || len(steps) == 0 {
		return version, false, err
	}
	var script []string
	for _, s := range statements(steps[0].script) {
		script = append(script, forPostgres(s))
	}
	if steps[0].version == 1 {
		script = append(script, pgTuning...)
	}
	for _, s := range script {
		if _, err := t.Exec(ctx, s); err != nil {
			return version, false, fmt.Errorf("schema version %d: %s: %w", steps[0].version, s, err)
		}
	}
	_, err = t.Exec(ctx, `INSERT INTO schema_version (version) VALUES ($1)`, steps[0].version)
	return version, true, err
}

// read runs fn in one consistent view.
func (e *pgEngine) read(ctx context.Context, fn func(t tx) error) error {
	for try := 0; ; try++ {
		err := e.readOnce(ctx, fn)
		if try == attempts || !again(err) {
			return classifyPG(err)
		}
	}
}

func (e *pgEngine) readOnce(ctx context.Context, fn func(t tx) error) error {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return unreachable(err)
	}
	defer conn.Release()
	x := &pgTx{ctx: ctx, conn: conn.Conn(), texts: &e.texts}
	x.add(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`, nil, nil)
	err = fn(x)
	if conn.Conn().PgConn().TxStatus() != 'I' && !conn.Conn().IsClosed() {
		if _, e := conn.Exec(context.WithoutCancel(ctx), `ROLLBACK`); err == nil {
			err = e
		}
	}
	return err
}

// get implements engine: one round trip.
func (e *pgEngine) get(ctx context.Context, query string, args []any, scan func(r row) error) (bool, error) {
	for try := 0; ; try++ {
		found, err := e.getOnce(ctx, query, slices.Clone(args), scan)
		if try == attempts || !again(err) {
			return found, classifyPG(err)
		}
	}
}

func (e *pgEngine) getOnce(ctx context.Context, query string, args []any, scan func(r row) error) (bool, error) {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return false, unreachable(err)
	}
	defer conn.Release()
	return one(&pgTx{ctx: ctx, conn: conn.Conn(), texts: &e.texts}, query, args, scan)
}

// write implements engine. Nothing but the end of the server or of the
// connection, or a server that does not answer, interrupts a transaction that
// began: the context is looked at before.
func (e *pgEngine) write(ctx context.Context, _ bool, fn func(t *txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := time.Now()
	for try := 0; ; try++ {
		unknown, err := e.transact(ctx, slowly*e.s.o.answer, fn)
		switch {
		case unknown:
			return fmt.Errorf("%w: %w", store.ErrUnknownOutcome, err)
		case err == nil:
			e.commits.Add(1)
			e.writes.Add(1)
			e.meter.commit(1, began)
			return nil
		case try == attempts || !again(err):
			return classifyPG(err)
		}
		pause(try)
	}
}

// pause waits a little, longer with every try and never the same for two.
func pause(try int) {
	time.Sleep(rand.N(time.Millisecond << min(try+1, 8)))
}

// transact runs fn in one transaction, of which each round trip may take so
// long at most. unknown: it may have been committed.
func (e *pgEngine) transact(ctx context.Context, most time.Duration, fn func(t *txn) error) (unknown bool, err error) {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return false, unreachable(err)
	}
	defer conn.Release()
	ctx = context.WithoutCancel(ctx)
	x := &pgTx{ctx: ctx, conn: conn.Conn(), texts: &e.texts, most: most}
	t := &txn{tx: x, s: e.s, ids: &e.ids, accounts: map[store.AccountID]*accountState{}, lock: true}
	x.add(`BEGIN`, nil, nil)
	if err = fn(t); err == nil {
		err = t.flush()
	}
	if err == nil {
		unknown, err = x.commit()
	}
	if err != nil {
		if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
			last, end := x.within()
			defer end()
			if _, e := conn.Exec(last, `ROLLBACK`); e != nil {
				e := conn.Conn().Close(last)
				_ = e // the connection is of no use; the pool makes another
			}
		}
		return unknown, err
	}
	for _, fn := range t.after {
		fn()
	}
	for _, st := range t.untouch() {
		e.s.hub.Wake(st.id)
		e.hints.add(st.id)
	}
	return false, nil
}

// commit sends what waits and COMMIT in one round trip. When the connection
// breaks, or the server warns that it did not wait for its standby, whether
// the transaction happened is unknown.
func (x *pgTx) commit() (unknown bool, err error) {
	data := x.conn.PgConn().CustomData()
	delete(data, noticeWarned)
	x.add(`COMMIT`, nil, nil)
	last, err := x.flush()
	switch {
	case err != nil:
		return !rolledBack(err), err
	case data[noticeWarned] != nil:
		return true, errors.New("the commit was not confirmed by the standby")
	case last.tag.String() != "COMMIT":
		return false, fmt.Errorf("COMMIT answered %s", last.tag)
	}
	return false, nil
}

// rolledBack reports an error after which the server says that the transaction
// did not happen. FATAL and PANIC end the connection, perhaps while the record
// of the commit was on its way to the disk. Only the second severity is the
// same in every language of the server.
func rolledBack(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR"
}

func (e *pgEngine) room(ctx context.Context) (store.Room, error) {
	// The server's disk is not ours to see; a full one shows as ErrFull.
	return store.Room{Free: math.MaxInt64 / 2, Total: math.MaxInt64 / 2}, classifyPG(e.pool.Ping(ctx))
}

func (e *pgEngine) stats() store.Stats {
	return e.meter.fill(store.Stats{Commits: e.commits.Load(), Writes: e.writes.Load(), Syncs: -1,
		LastBatch: int(e.lastBatch.Load()), MaxBatch: int(e.maxBatch.Load())})
}

func (e *pgEngine) close() error {
	for _, l := range e.lines {
		l.close()
	}
	e.ended.Wait()
	e.hints.stop()
	e.pool.Close()
	e.ids.pool.Close()
	return nil
}

// pgIDs is the idSource: blocks of each counter, taken in transactions of
// their own, so that no other transaction waits for a counter's row.
type pgIDs struct {
	pool   *pgxpool.Pool
	most   time.Duration // a round trip may take
	mu     sync.Mutex
	blocks map[string]idBlock
}

func (p *pgIDs) next(_ *txn, name string) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.blocks[name]
	if b.next == b.end {
		var end int64
		ctx, done := context.WithTimeout(context.Background(), p.most)
		defer done()
		err := p.pool.QueryRow(ctx, `INSERT INTO counter (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value`,
			name, blockSize(name)).Scan(&end)
		if err != nil {
			if ctx.Err() != nil {
				err = overdue(err)
			}
			return 0, unreachable(fmt.Errorf("next %s id: %w", name, err))
		}
		b = idBlock{end - blockSize(name), end}
	}
	b.next++
	if p.blocks == nil {
		p.blocks = map[string]idBlock{}
	}
	p.blocks[name] = b
	return b.next, nil
}

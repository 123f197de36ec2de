package passwd

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

// ErrBusy says that too many computations wait already. It is a temporary
// failure: try again later (454 4.7.0, [UNAVAILABLE], [SYS/TEMP]).
var ErrBusy = errors.New("passwd: too many logins at once")

// Options of a Verifier; the zero value is the recommended one.
type Options struct {
	// Params is the cost of new hashes; Recommended if zero.
	Params Params
	// Parallel is how many computations run at once; the number of cores if zero.
	Parallel int
	// Waiting is how many may wait for a turn before ErrBusy; 32 for each
	// one running if zero, about a second of waiting.
	Waiting int
	// Remembered is how many recent successes are kept; 4096 if zero, none if negative.
	Remembered int
	// Remember is how long; ten minutes if zero.
	Remember time.Duration
}

// Verifier verifies passwords and makes what is stored for new ones. All that
// costs processor time and memory runs through one gate, first come, first
// served. It may be used by many goroutines at once. Use NewVerifier.
//
// Each argon2id computation allocates its memory anew (19 MiB), so the heap
// in use is at most Parallel times that, and as much garbage until the next
// collection.
type Verifier struct {
	params  Params
	dummy   Hash
	gate    chan struct{}
	waiting atomic.Int64
	most    int64
	cache   *cache
}

// NewVerifier returns a Verifier. It costs no computation.
func NewVerifier(o Options) *Verifier {
	if o.Params == (Params{}) {
		o.Params = Recommended()
	}
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.Waiting <= 0 {
		o.Waiting = 32 * o.Parallel
	}
	if o.Remembered == 0 {
		o.Remembered = 4096
	}
	if o.Remember <= 0 {
		o.Remember = 10 * time.Minute
	}
	return &Verifier{
		params: o.Params,
		dummy:  Hash{Params: o.Params, Salt: make([]byte, saltLength), Sum: make([]byte, hashLength)},
		gate:   make(chan struct{}, o.Parallel),
		most:   int64(o.Waiting),
		cache:  newCache(o.Remembered, o.Remember),
	}
}

// Verify compares a password with a stored hash. identity names the account
// beyond doubt (its id, never the name the client typed): it is part of the
// key under which a success is remembered, as is the stored hash, so a new
// password ends the memory of the old one. The caller reads stored anew for
// every call and has checked that the account may log in.
//
// upgrade says that the hash is right but was made with other parameters than
// new ones are: store NewHash of the same password. Errors: ErrMismatch, also
// for a password that is empty or over MaxPassword octets; ErrBusy; an error wrapping ErrSyntax for an
// unreadable hash, after the cost of a readable one; the context's.
func (v *Verifier) Verify(ctx context.Context, identity, stored, password string) (upgrade bool, err error) {
	h, parseErr := ParseHash(stored)
	if parseErr != nil || password == "" || len(password) > MaxPassword {
		if err := v.Dummy(ctx, ""); !errors.Is(err, ErrMismatch) {
			return false, err
		}
		if parseErr != nil {
			return false, parseErr
		}
		return false, ErrMismatch
	}
	key := v.cache.key(identity, stored, password)
	if v.cache.has(key) {
		return v.outdated(h), nil
	}
	if err := v.enter(ctx); err != nil {
		return false, err
	}
	defer v.leave()
	// A client that opens several connections at once is computed once.
	if !v.cache.has(key) {
		if !h.matches(password) {
			return false, ErrMismatch
		}
		v.cache.add(key)
	}
	return v.outdated(h), nil
}

func (v *Verifier) outdated(h Hash) bool {
	return h.Params != v.params || len(h.Sum) != hashLength || len(h.Salt) < saltLength
}

// Dummy costs what Verify costs and always fails, so that a name that does
// not exist takes as long as a wrong password (ErrMismatch, ErrBusy or the
// context's error). Hashes of other parameters than new ones have take
// another time; Verify's upgrade hint makes them disappear.
func (v *Verifier) Dummy(ctx context.Context, password string) error {
	if err := v.enter(ctx); err != nil {
		return err
	}
	defer v.leave()
	v.dummy.matches(password)
	return ErrMismatch
}

// NewHash returns the text to store for a new password. Errors: ErrTooLong,
// ErrBusy, the context's.
func (v *Verifier) NewHash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxPassword {
		return "", ErrTooLong
	}
	if err := v.enter(ctx); err != nil {
		return "", err
	}
	defer v.leave()
	return newHash(password, v.params).String(), nil
}

// NewScram returns the SCRAM verifier to store for a new password, with
// Iterations rounds and a random salt. Errors: ErrTooLong, ErrBusy, the
// context's, and one for an unknown hash.
func (v *Verifier) NewScram(ctx context.Context, h ScramHash, password string) (Scram, error) {
	if len(password) > MaxPassword {
		return Scram{}, ErrTooLong
	}
	if err := v.enter(ctx); err != nil {
		return Scram{}, err
	}
	defer v.leave()
	return newScram(h, password)
}

// Forget drops every remembered success, for an administrator who wants all
// clients to prove themselves anew.
func (v *Verifier) Forget() { v.cache.clear() }

// enter waits for a turn.
func (v *Verifier) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case v.gate <- struct{}{}:
		return nil
	default:
	}
	if v.waiting.Add(1) > v.most {
		v.waiting.Add(-1)
		return ErrBusy
	}
	defer v.waiting.Add(-1)
	select {
	case v.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *Verifier) leave() { <-v.gate }

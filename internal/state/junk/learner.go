package junk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
)

// Body is the content of a message that moved, while it is read.
type Body interface {
	io.ReaderAt
	io.Closer
}

// Move is a message that its owner moved. What the filter filed by itself is
// no Move: it would teach itself its own mistakes.
type Move struct {
	Account Account
	// Key names the message within the account and survives the move, as the
	// store's number of the content does.
	Key string
	// Class is Spam for a message moved into Junk, Ham for one moved out of it.
	Class Class
	// Open is called once in the background, if at all. An error that wraps
	// fs.ErrNotExist, for a message expunged meanwhile, is no fault.
	Open func(ctx context.Context) (Message, Body, error)
}

const (
	// maxMoves is how many moves wait; beyond it the oldest are lost.
	maxMoves = 4096
	// maxTogether is how many are learned in one commit.
	maxTogether = 32
)

// Learner teaches a filter in the background what the owners of accounts move.
type Learner struct {
	filter *Filter
	failed func(error)

	mu    sync.Mutex
	queue []Move
	// places says where a message waits, by number; the first of queue is first.
	places map[place]int
	first  int

	wake   chan struct{}
	flush  chan chan struct{}
	cancel context.CancelFunc
	done   chan struct{}

	learned, dropped, lost atomic.Int64
}

type place struct {
	account Account
	key     string
}

// NewLearner starts a learner. failed, if not nil, is told of messages that
// could not be read or learned. The caller closes the learner before the filter.
func NewLearner(f *Filter, failed func(error)) *Learner {
	if failed == nil {
		failed = func(error) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Learner{
		filter: f, failed: failed, places: map[place]int{}, wake: make(chan struct{}, 1),
		flush: make(chan chan struct{}), cancel: cancel, done: make(chan struct{}),
	}
	go l.serve(ctx)
	return l
}

// Moved hands in a move and never waits. Of several moves of one message that
// wait, only the last is learned. While the settings say not to learn, none is.
func (l *Learner) Moved(m Move) {
	if !l.filter.o.Settings().Learn {
		return
	}
	l.mu.Lock()
	l.put(m)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Learner) put(m Move) {
	p := place{m.Account, m.Key}
	if i, ok := l.places[p]; ok {
		l.queue[i-l.first] = m
		return
	}
	if len(l.queue) == maxMoves {
		l.pop()
		l.dropped.Add(1)
	}
	l.places[p] = l.first + len(l.queue)
	l.queue = append(l.queue, m)
}

func (l *Learner) pop() Move {
	m := l.queue[0]
	l.queue[0] = Move{} // what Open holds may go
	l.queue = l.queue[1:]
	l.first++
	delete(l.places, place{m.Account, m.Key})
	return m
}

// take returns the moves to be learned next.
func (l *Learner) take() []Move {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Move
	for len(l.queue) > 0 && len(list) < maxTogether {
		list = append(list, l.pop())
	}
	return list
}

// LearnerStats counts moves since the start: those learned, those lost because
// they came faster than they could be learned or because of Close, those whose
// message could not be read or learned, and those that wait.
type LearnerStats struct{ Learned, Dropped, Failed, Waiting int64 }

// Stats returns the counters.
func (l *Learner) Stats() LearnerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LearnerStats{l.learned.Load(), l.dropped.Load(), l.lost.Load(), int64(len(l.queue))}
}

// Flush waits until what was handed in before is learned.
func (l *Learner) Flush(ctx context.Context) error {
	reply := make(chan struct{})
	select {
	case l.flush <- reply:
	case <-l.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-reply:
		return nil
	case <-l.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the learner. Moves that wait are lost; call Flush before it to
// keep them.
func (l *Learner) Close() {
	l.cancel()
	<-l.done
}

func (l *Learner) serve(ctx context.Context) {
	defer close(l.done)
	for {
		select {
		case <-l.wake:
			l.drain(ctx)
		case reply := <-l.flush:
			l.drain(ctx)
			close(reply)
		case <-ctx.Done():
			l.mu.Lock()
			l.dropped.Add(int64(len(l.queue)))
			l.queue, l.places = nil, map[place]int{}
			l.mu.Unlock()
			return
		}
	}
}

func (l *Learner) drain(ctx context.Context) {
	for ctx.Err() == nil {
		moves := l.take()
		if len(moves) == 0 {
			return
		}
		l.learn(ctx, moves)
	}
}

func (l *Learner) learn(ctx context.Context, moves []Move) {
	lessons := make([]Lesson, 0, len(moves))
	for i := range moves {
		switch lesson, err := l.read(ctx, &moves[i]); {
		case errors.Is(err, fs.ErrNotExist):
			l.lost.Add(1)
		case err != nil:
			l.fail(1, fmt.Errorf("junk: message %q of account %d: %w", moves[i].Key, moves[i].Account, err))
		default:
			lessons = append(lessons, lesson)
		}
	}
	if err := l.filter.Learn(ctx, lessons...); err != nil {
		l.fail(len(lessons), err)
		return
	}
	l.learned.Add(int64(len(lessons)))
}

func (l *Learner) fail(n int, err error) {
	l.lost.Add(int64(n))
	l.failed(err)
}

func (l *Learner) read(ctx context.Context, m *Move) (lesson Lesson, err error) {
	message, body, err := m.Open(ctx)
	if err != nil {
		return Lesson{}, err
	}
	defer func() {
		if cerr := body.Close(); err == nil {
			err = cerr
		}
	}()
	lesson = Lesson{Account: m.Account, Key: m.Key, Class: m.Class}
	if lesson.Tokens, err = l.filter.Read(message); err != nil {
		return lesson, err
	}
	return lesson, lesson.check()
}

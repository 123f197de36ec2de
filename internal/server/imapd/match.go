package imapd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/mime"
)

// truth is what is known of a key for one message.
type truth uint8

const (
	isFalse truth = iota
	isTrue
	unknown // more of the message has to be read
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// candidate is one message under examination, with as much of it as has been
// read: first the entry, then its row of header fields, then the text.
type candidate struct {
	index   int
	entry   *store.Entry
	headers *headers
	row     int
	text    *texts
}

// searcher evaluates a program. Each message is asked three times at most,
// each time with more at hand, and only as far as its answer is still open.
type searcher struct {
	v      *view
	key    *imap.SearchKey
	now    time.Time
	flags  map[string]store.Flags // bits of the names in the key
	last   uint32                 // greatest UID
	needle map[string]*needle
	room   []byte                  // that all needles stream through
	saved  map[store.UID]time.Time // if the key asks for it
}

// search returns the indexes that match, ascending.
func (v *view) search(ctx context.Context, key *imap.SearchKey) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, v.c.set.SearchTime)
	defer cancel()
	s := &searcher{v: v, key: key, now: time.Now(), flags: map[string]store.Flags{}, last: uint32(v.told.Last()), needle: map[string]*needle{}}
	if err := s.check(key); err != nil {
		return nil, err
	}
	if key.Uses(imap.KeySavedBefore) || key.Uses(imap.KeySavedOn) || key.Uses(imap.KeySavedSince) {
		var err error
		if s.saved, err = v.saveDates(ctx, everything); err != nil {
			return nil, err
		}
	}
	found := make([]truth, v.exists())
	open, err := s.index(ctx, found)
	if err != nil {
		return nil, err
	}
	if err := s.look(ctx, open, found); err != nil {
		return nil, err
	}
	n := 0
	for _, t := range found {
		if t == isTrue {
			n++
		}
	}
	out := make([]int, 0, n)
	for i, t := range found {
		if t == isTrue {
			out = append(out, i)
		}
	}
	return out, nil
}

// timeEvery is how many messages are asked between two looks at the time.
const timeEvery = 256

// index answers with what the mailbox index knows, and returns the messages
// it could not decide.
func (s *searcher) index(ctx context.Context, found []truth) (open []int, err error) {
	s.v.told.Range(0, len(found), func(i int, e *store.Entry) bool {
		if i > 0 && i%timeEvery == 0 {
			if err = searchTime(ctx); err != nil {
				return false
			}
		}
		c := candidate{index: i, entry: e}
		if found[i] = s.eval(s.key, &c); found[i] == unknown {
			open = append(open, i)
		}
		return true
	})
	return open, err
}

// check refuses sequence numbers beyond the mailbox.
func (s *searcher) check(k *imap.SearchKey) error {
	switch k.Op {
	case imap.KeySeq:
		n := uint32(s.v.exists())
		if !k.Set.Saved() && (k.Set.Highest() > n || k.Set.HasStar() && n == 0) {
			return errBeyond
		}
	}
	for i := range k.Keys {
		if err := s.check(&k.Keys[i]); err != nil {
			return err
		}
	}
	return nil
}

// eval evaluates a key with what is at hand.
func (s *searcher) eval(k *imap.SearchKey, c *candidate) truth {
	switch k.Op {
	case imap.KeyAnd:
		return s.all(k.Keys, c)
	case imap.KeyOr:
		return s.any(k.Keys, c)
	case imap.KeyNot:
		switch s.eval(&k.Keys[0], c) {
		case isTrue:
			return isFalse
		case isFalse:
			return isTrue
		}
		return unknown
	case imap.KeyHeader, imap.KeyBody, imap.KeyText, imap.KeySentBefore, imap.KeySentOn, imap.KeySentSince:
		return s.content(k, c)
	}
	return truthOf(s.entry(k, c))
}

func (s *searcher) all(keys []imap.SearchKey, c *candidate) truth {
	result := isTrue
	for i := range keys {
		switch s.eval(&keys[i], c) {
		case isFalse:
			return isFalse
		case unknown:
			result = unknown
		}
	}
	return result
}

func (s *searcher) any(keys []imap.SearchKey, c *candidate) truth {
	result := isFalse
	for i := range keys {
		switch s.eval(&keys[i], c) {
		case isTrue:
			return isTrue
		case unknown:
			result = unknown
		}
	}
	return result
}

// entry evaluates what the mailbox index knows.
func (s *searcher) entry(k *imap.SearchKey, c *candidate) bool {
	e := c.entry
	switch k.Op {
	case imap.KeyAll, imap.KeySaveDateSupported:
		return true
	case imap.KeySeq:
		if k.Set.Saved() {
			return s.v.saved.Contains(uint32(e.UID), s.last)
		}
		return k.Set.Contains(uint32(c.index+1), uint32(s.v.exists()))
	case imap.KeyUID:
		if k.Set.Saved() {
			return s.v.saved.Contains(uint32(e.UID), s.last)
		}
		return k.Set.Contains(uint32(e.UID), s.last)
	case imap.KeyFlag:
		return s.hasFlag(k.Text, e)
	case imap.KeyUnflag:
		return !s.hasFlag(k.Text, e)
	case imap.KeyLarger:
		return e.Size > int64(k.Number)
	case imap.KeySmaller:
		return e.Size < int64(k.Number)
	case imap.KeyBefore, imap.KeyOn, imap.KeySince:
		return onDay(k.Op-imap.KeyBefore, time.UnixMicro(e.Internal).UTC(), k.Date)
	case imap.KeySavedBefore, imap.KeySavedOn, imap.KeySavedSince:
		saved, ok := s.saved[e.UID]
		return ok && onDay(k.Op-imap.KeySavedBefore, saved, k.Date)
	case imap.KeyOlder:
		return s.age(e) >= time.Duration(k.Number)*time.Second
	case imap.KeyYounger:
		return s.age(e) <= time.Duration(k.Number)*time.Second
	case imap.KeyModSeq:
		return uint64(e.ModSeq) >= k.Number
	case imap.KeyEmailID:
		return k.Text == emailID(e.Message)
	}
	return false // THREADID: there are no threads
}

func (s *searcher) age(e *store.Entry) time.Duration { return s.now.Sub(time.UnixMicro(e.Internal)) }

func (s *searcher) hasFlag(name string, e *store.Entry) bool {
	bits, ok := s.flags[name]
	if !ok {
		if bits = recentBit; !strings.EqualFold(name, imap.FlagRecent) {
			bits = flagBits(name, s.v.told.Keywords)
		}
		s.flags[name] = bits
	}
	if bits == recentBit {
		return s.v.isRecent(e.UID)
	}
	return e.Flags&bits != 0
}

// onDay compares days as they are written, without zone (RFC 3501 §6.4.4); op
// is 0 for before, 1 for on, 2 for since.
func onDay(op imap.SearchOp, t, day time.Time) bool {
	y, m, d := t.Date()
	t = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	switch op {
	case 0:
		return t.Before(day)
	case 1:
		return t.Equal(day)
	}
	return !t.Before(day)
}

// searchTime reports that a search took too long, or its client is gone.
func searchTime(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	return nil
}

// look answers for messages that the index could not decide, with the header
// columns if the key speaks of what they have, and reads the rest.
func (s *searcher) look(ctx context.Context, open []int, found []truth) error {
	if !s.sentToo() && !usesColumn(s.key) {
		return s.read(ctx, open, found)
	}
	w := s.v.headers()
	rest := open[:0]
	for k, i := range open {
		if k%timeEvery == 0 {
			if err := searchTime(ctx); err != nil {
				return err
			}
		}
		c := candidate{index: i, entry: s.v.told.At(i)}
		var ok bool
		var err error
		if c.headers, c.row, ok, err = w.row(ctx, c.entry.UID); err != nil {
			return err
		}
		found[i] = isFalse // one that is gone matches nothing
		if ok {
			found[i] = s.eval(s.key, &c)
		}
		if found[i] == unknown {
			rest = append(rest, i)
		}
	}
	return s.read(ctx, rest, found)
}

// usesColumn reports whether a header field in the key has a column.
func usesColumn(k *imap.SearchKey) bool {
	return k.Op == imap.KeyHeader && slices.Contains(fieldNames[:], k.Field) ||
		slices.ContainsFunc(k.Keys, func(k imap.SearchKey) bool { return usesColumn(&k) })
}

// sentToo reports whether the key speaks of the Date field, which only the
// columns have.
func (s *searcher) sentToo() bool {
	return s.key.Uses(imap.KeySentBefore) || s.key.Uses(imap.KeySentOn) || s.key.Uses(imap.KeySentSince)
}

// read answers for messages whose text has to be read.
func (s *searcher) read(ctx context.Context, open []int, found []truth) error {
	w, sent := s.v.headers(), s.sentToo()
	bodies := s.v.c.shelf(open)
	defer bodies.clear()
	for len(open) > 0 {
		if err := searchTime(ctx); err != nil {
			return err
		}
		batch := open[:min(len(open), metaBatch)]
		open = open[len(batch):]
		metas, err := s.v.metas(ctx, batch)
		if err != nil {
			return err
		}
		for _, i := range batch {
			c := candidate{index: i, entry: s.v.told.At(i)}
			if sent {
				var ok bool
				if c.headers, c.row, ok, err = w.row(ctx, c.entry.UID); err != nil {
					return err
				}
				if !ok {
					found[i] = isFalse
					continue
				}
			}
			if found[i], err = s.examine(ctx, &c, metas[c.entry.Message], bodies); err != nil {
				return err
			}
		}
	}
	return nil
}

// examine asks a message again with its text. One that is gone matches nothing.
func (s *searcher) examine(ctx context.Context, c *candidate, meta []byte, bodies *shelf) (truth, error) {
	if meta == nil {
		return isFalse, nil
	}
	if err := searchTime(ctx); err != nil {
		return isFalse, err
	}
	var m mime.Structure
	if err := m.UnmarshalBinary(meta); err != nil {
		return isFalse, err
	}
	body, err := bodies.take(ctx, c.index)
	if err != nil || body == nil {
		return isFalse, err
	}
	defer closeBody(s.v.c, body)
	c.text = &texts{ctx: ctx, body: body, structure: &m, room: &s.room}
	t := s.eval(s.key, c)
	return t, c.text.err
}

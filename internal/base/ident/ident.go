// Package ident makes the identifiers that tie one message's or session's
// life together: in the Received field, the reply, the log, the trace and the
// queue. An ID is a UUIDv7 (RFC 9562 §5.7) written as 26 base32 characters.
package ident

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ID is a UUIDv7: time-ordered, so that keys of rows made together lie
// together. The zero ID means "none".
type ID [16]byte

// Length is the number of characters of an ID in text form.
const Length = 26

// encoding is Crockford's alphabet in lower case: no i, l, o, u, and text
// sorts as the bytes do.
var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// ErrSyntax is returned by Parse for text that is not an ID.
var ErrSyntax = errors.New("not an identifier of 26 base32 characters")

// String returns the 26 characters.
func (id ID) String() string {
	var b [Length]byte
	encoding.Encode(b[:], id[:])
	return string(b[:])
}

// AppendText appends the 26 characters to b.
func (id ID) AppendText(b []byte) ([]byte, error) { return encoding.AppendEncode(b, id[:]), nil }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) error {
	got, err := Parse(string(b))
	if err == nil {
		*id = got
	}
	return err
}

// IsZero reports the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// Time returns the millisecond the ID was made in.
func (id ID) Time() time.Time {
	ms := int64(binary.BigEndian.Uint64(id[:8]) >> 16)
	return time.UnixMilli(ms).UTC()
}

// Parse reads the text form. Upper case is taken too, because people type
// identifiers from paper.
func Parse(s string) (ID, error) {
	var id ID
	if len(s) != Length {
		return id, fmt.Errorf("%w: %d characters", ErrSyntax, len(s))
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	// The last character has bits to spare: one identifier has one text.
	if _, err := encoding.Decode(id[:], b); err != nil || id.String() != string(b) {
		return ID{}, fmt.Errorf("%w: %q", ErrSyntax, s)
	}
	return id, nil
}

// Source makes IDs that never repeat and, within one Source, always grow,
// even when the clock stands still or goes backwards. It may be used by many
// goroutines at once. Use NewSource.
type Source struct {
	mu   sync.Mutex
	last uint64 // milliseconds<<12 | counter, the 60 ordered bits
	pool [512]byte
	left int
}

// NewSource returns a Source.
func NewSource() *Source { return &Source{} }

// New returns the next ID at the current time.
func (s *Source) New() ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := uint64(time.Now().UnixMilli()) << 12
	if next <= s.last {
		next = s.last + 1
	}
	s.last = next
	if s.left < 8 {
		_, _ = rand.Read(s.pool[:]) // never fails (crypto/rand)
		s.left = len(s.pool)
	}
	var id ID
	binary.BigEndian.PutUint64(id[:8], next>>12<<16|0x7000|next&0xfff)
	copy(id[8:], s.pool[s.left-8:s.left])
	s.left -= 8
	id[8] = id[8]&0x3f | 0x80
	return id
}

package record

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// segmentSize is the octets of records after which a segment is full.
const segmentSize = 64 << 10

// maxSegment bounds what is unpacked: a full segment and one more record.
const maxSegment = 4 << 20

// segment is a row of the file: records in the order they came, each with its
// length before it.
type segment struct {
	n           int64
	first, last int64 // times of the records, microseconds
	records     int
	raw         []byte
	keys        []uint64
	dirty       bool // changed since it was written
	stored      int  // octets of its row as last written
}

func newSegment() *segment {
	return &segment{raw: make([]byte, 0, segmentSize+segmentSize/8), keys: make([]uint64, 0, 1024)}
}

func (s *segment) add(e *entry) {
	if s.records == 0 || e.time < s.first {
		s.first = e.time
	}
	s.last = max(s.last, e.time)
	s.raw = binary.AppendUvarint(s.raw, uint64(len(e.data)))
	s.raw = append(s.raw, e.data...)
	s.keys = append(s.keys, e.keys...)
	s.records++
	s.dirty = true
}

func (s *segment) full() bool { return len(s.raw) >= segmentSize }

// pack compresses the records, into dst if there is room.
func (s *segment) pack(dst []byte) []byte { return s2.EncodeBetter(dst[:cap(dst)], s.raw) }

// unpack is the way back from pack.
func unpack(data []byte) ([]byte, error) {
	n, err := s2.DecodedLen(data)
	if err != nil || n > maxSegment {
		return nil, fmt.Errorf("record: segment of %d octets: %w", n, errDamaged)
	}
	raw, err := s2.Decode(nil, data)
	if err != nil {
		return nil, fmt.Errorf("record: segment: %w", errDamaged)
	}
	return raw, nil
}

// split returns the records of a segment. It refers to raw.
func split(raw []byte) ([][]byte, error) {
	var list [][]byte
	for len(raw) > 0 {
		n, k := binary.Uvarint(raw)
		if k <= 0 || n == 0 || n > uint64(len(raw)-k) {
			return nil, errDamaged
		}
		list = append(list, raw[k:k+int(n)])
		raw = raw[k+int(n):]
	}
	return list, nil
}

package mime

import (
	"bytes"
	"encoding/binary"
)

const highBits = 0x8080808080808080

// has8Bit looks at eight octets at a time: every octet of a message passes here.
func has8Bit(b []byte) bool {
	for len(b) >= 32 {
		w := binary.LittleEndian.Uint64(b) | binary.LittleEndian.Uint64(b[8:]) |
			binary.LittleEndian.Uint64(b[16:]) | binary.LittleEndian.Uint64(b[24:])
		if w&highBits != 0 {
			return true
		}
		b = b[32:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

func hasNUL(b []byte) bool { return bytes.IndexByte(b, 0) >= 0 }

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

// isLWSP adds the line ends that survive in values taken from raw sections.
func isLWSP(c byte) bool { return isWSP(c) || c == '\r' || c == '\n' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// lowerInPlace folds ASCII only: header syntax knows no other letters.
func lowerInPlace(b []byte) []byte {
	for i, c := range b {
		b[i] = lower(c)
	}
	return b
}

// equalFold compares as ASCII, so that no 8-bit octet ever equals a letter.
func equalFold[A, B ~string | ~[]byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func trimLWSP(b []byte) []byte {
	for len(b) > 0 && isLWSP(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isLWSP(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

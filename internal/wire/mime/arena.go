package mime

import "strings"

// arena keeps the strings of one Structure in few allocations. A chunk is only
// ever appended to within its capacity, so strings cut from it stay valid.
type arena struct {
	chunk strings.Builder
	kept  int
}

const arenaChunk = 768

// keep copies v, or returns false when the message has used up its budget.
func (a *arena) keep(v []byte) (string, bool) {
	if len(v) == 0 {
		return "", true
	}
	if a.kept+len(v) > maxKept {
		return "", false
	}
	a.kept += len(v)
	if a.chunk.Cap()-a.chunk.Len() < len(v) {
		a.chunk = strings.Builder{}
		a.chunk.Grow(max(arenaChunk, len(v)))
	}
	start := a.chunk.Len()
	a.chunk.Write(v)
	return a.chunk.String()[start:], true
}

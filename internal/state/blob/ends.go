package blob

import "bytes"

// Uneven is how many octets content grows by once each of its lines ends in
// CRLF: one for a CR or an LF without the other, two for a last line without
// an end. It is 0 for mail as the standards want it.
func Uneven(content []byte) int64 {
	var e ends
	e.note(content)
	return e.uneven()
}

// ends counts line ends, piece by piece.
type ends struct {
	crs, lfs, crlfs int64
	last            byte // octet
	begun           bool
}

func (e *ends) note(b []byte) {
	if len(b) == 0 {
		return
	}
	before := e.last == '\r' // may be the CR of an LF that begins b
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			break
		}
		at += i
		e.lfs++
		if at > 0 && b[at-1] == '\r' || at == 0 && before {
			e.crlfs++
		}
		at++
	}
	e.crs += int64(bytes.Count(b, []byte{'\r'}))
	e.last, e.begun = b[len(b)-1], true
}

func (e *ends) uneven() int64 {
	n := e.crs - e.crlfs + e.lfs - e.crlfs
	if e.begun && e.last != '\r' && e.last != '\n' {
		n += 2
	}
	return n
}

package archive

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"unicode"
)

// hunter looks for entries of a zip's directory in what is written to it. A
// zip is read from its end by most programs, so one may begin as a picture or
// program, or with a member that claims to reach to the end of the file.
type hunter struct {
	window []byte
	found  []Item
}

const (
	centralLen = 46 // without name
	huntWindow = 64 << 10
	maxHunted  = 1000
)

var centralMark = []byte("PK\x01\x02")

func (h *hunter) reset() { h.window, h.found = h.window[:0], nil }

// Write implements io.Writer and never fails.
func (h *hunter) Write(p []byte) (int, error) {
	if len(h.window) == 0 && bytes.IndexByte(p, 'P') < 0 {
		return len(p), nil
	}
	h.window = append(h.window, p...)
	if len(h.window) >= huntWindow {
		h.search(false)
	}
	return len(p), nil
}

// search takes complete entries out of the window; at the end that is all
// there are.
func (h *hunter) search(end bool) {
	rest := h.window
	for {
		at := bytes.Index(rest, centralMark)
		if at < 0 {
			rest = rest[max(0, len(rest)-len(centralMark)+1):]
			break
		}
		rest = rest[at:]
		if len(rest) < centralLen+MaxName && !end {
			break
		}
		if it, ok := centralEntry(rest); ok && len(h.found) < maxHunted {
			h.found = append(h.found, it)
		}
		rest = rest[len(centralMark):]
	}
	h.window = h.window[:copy(h.window, rest)]
}

// centralEntry reads an entry that looks like a real one of a file with a name
// of reasonable length.
func centralEntry(b []byte) (Item, bool) {
	const highestVersion, mostExtra = 63, 4 << 10
	if len(b) < centralLen {
		return Item{}, false
	}
	var m member
	m.fields(b[8:])
	n := int(binary.LittleEndian.Uint16(b[28:]))
	methods := []uint16{zipStored, zipDeflate, 9, zipBzip2, 14, 93, 95, 98, 99}
	if b[6] > highestVersion || !slices.Contains(methods, m.method) || n == 0 || n > MaxName || len(b) < centralLen+n ||
		binary.LittleEndian.Uint16(b[30:]) > mostExtra {
		return Item{}, false
	}
	m.name = zipName(b[centralLen : centralLen+n])
	if m.folder() || strings.ContainsFunc(m.name, unicode.IsControl) {
		return Item{}, false
	}
	return Item{Name: m.name, Size: m.unpacked, Encrypted: m.encrypted()}, true
}

// list adds what was found to the items.
func (h *hunter) list(w *walker, parent int) error {
	h.search(true)
	for _, it := range h.found {
		if _, err := w.add(parent, it); err != nil {
			return err
		}
	}
	return nil
}

// hunt reads the rest of a file that is no archive by its beginning.
func (w *walker) hunt(r io.Reader) {
	var h hunter
	if _, err := io.Copy(&h, r); err == nil {
		_ = h.list(w, 0) // fails only when the walk has ended
	}
}

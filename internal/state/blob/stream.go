package blob

import "io"

// Stretches a stream reserves: small first, doubled while the size is unknown.
const (
	firstStretch = 256 << 10
	maxStretch   = 16 << 20
)

// Stream writes one large body into stretches reserved for it.
type Stream struct {
	s        *Segments
	held     []*segment
	places   []Place // Length is what is reserved, for the last one
	used     int64   // of the last place
	expected int64
	size     int64
}

// NewStream begins a body of about size octets. The disk is asked for room at
// once.
func (s *Segments) NewStream(size int64) (Spill, error) {
	w := &Stream{s: s, expected: size}
	if err := w.extend(); err != nil {
		return nil, err
	}
	return w, nil
}

// extend reserves the next stretch.
func (w *Stream) extend() error {
	n := w.expected - w.size
	if n <= 0 {
		n = max(firstStretch, w.size)
	}
	n = min(max(n, pageSize), maxStretch, w.s.size)
	g, p, err := w.s.reserve(n)
	if err != nil {
		return err
	}
	w.held = append(w.held, g)
	w.places = append(w.places, p)
	w.used = 0
	return nil
}

// Write appends p.
func (w *Stream) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		i := len(w.places) - 1
		room := w.places[i].Length - w.used
		if room == 0 {
			if err := w.extend(); err != nil {
				return total, err
			}
			continue
		}
		n := min(int64(len(p)), room)
		if err := w.s.write(w.held[i], w.places[i].Start+w.used, p[:n]); err != nil {
			return total, err
		}
		w.used += n
		w.size += n
		total += int(n)
		p = p[n:]
	}
	return total, nil
}

// Finish gives the unused end back. The segments stay held until Discard or
// Settle.
func (w *Stream) Finish() error {
	i := len(w.places) - 1
	g, p := w.held[i], w.places[i]
	w.s.mu.Lock()
	g.users++ // giveBack drops one
	w.s.mu.Unlock()
	w.s.giveBack(g, p, w.used)
	w.places[i].Length = w.used
	return nil
}

// Places returns where a finished stream lies.
func (w *Stream) Places() []Place { return w.places }

// ReadAt implements io.ReaderAt on a finished stream.
func (w *Stream) ReadAt(p []byte, off int64) (int, error) {
	if off >= w.size {
		return 0, io.EOF
	}
	b := Body{s: w.s, places: w.places, files: w.held, size: w.size}
	return b.ReadAt(p, off)
}

// Settle lets the segments go after the commit that refers to the places.
func (w *Stream) Settle() { w.drop() }

// Discard gives the room back.
func (w *Stream) Discard() {
	places := w.places
	w.drop()
	w.s.Free(places...)
}

func (w *Stream) drop() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for _, g := range w.held {
		w.s.release(g)
	}
	w.held = nil
}

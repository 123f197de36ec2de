package blob

import "errors"

// maxDead bounds what is remembered for giving back; compaction finds the rest.
const maxDead = 10_000

// Free marks stretches that no body uses any more. Their room is given back
// when no reader can hold them.
func (s *Segments) Free(places ...Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	for _, p := range places {
		if len(s.dead) < maxDead && p.Length >= pageSize {
			s.dead = append(s.dead, dead{p, s.epoch})
		}
	}
}

// Remove marks a whole segment that holds no body any more.
func (s *Segments) Remove(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.dead = append(s.dead, dead{Place{Segment: id}, s.epoch})
}

// Held reports whether a segment is appended to, arriving into or being read.
func (s *Segments) Held(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.open[id]
	return g != nil && g.users > 0
}

// Size returns how large a segment's file is.
func (s *Segments) Size(id int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.acquire(id)
	if err != nil {
		return 0, err
	}
	defer s.release(g)
	return g.f.Size()
}

// Reclaim gives room back that nobody can be reading; the store calls it now
// and then. It does at most a bounded number of steps and reports whether
// there is more that can be done now.
func (s *Segments) Reclaim() (more bool, err error) {
	const steps = 64
	ready := s.ready(steps)
	var errs []error
	for _, d := range ready {
		if d.place.Length == 0 {
			errs = append(errs, s.unlink(d.place.Segment))
		} else {
			errs = append(errs, s.punch(d.place))
		}
	}
	return len(ready) == steps, errors.Join(errs...)
}

// ready takes up to n dead stretches that lie before every reader.
func (s *Segments) ready(n int) []dead {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil { // a commit whose outcome is open may refer to it
		return nil
	}
	oldest := s.epoch + 1
	for epoch := range s.pins {
		oldest = min(oldest, epoch)
	}
	i := 0
	for i < len(s.dead) && i < n && s.dead[i].epoch <= oldest {
		i++
	}
	ready := append([]dead(nil), s.dead[:i]...)
	s.dead = append(s.dead[:0], s.dead[i:]...)
	return ready
}

func (s *Segments) unlink(id int64) error {
	s.mu.Lock()
	if g := s.open[id]; g != nil && g.users == 0 {
		s.closeFile(g)
	}
	s.mu.Unlock()
	if err := s.fs.Remove(fileName(id)); err != nil {
		return err
	}
	return s.fs.SyncDir()
}

// punch gives the whole pages of a stretch back to the file system.
func (s *Segments) punch(p Place) error {
	start := (p.Start + pageSize - 1) / pageSize * pageSize
	end := (p.Start + p.Length) / pageSize * pageSize
	if end <= start {
		return nil
	}
	s.mu.Lock()
	g, err := s.acquire(p.Segment)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	err = g.f.Punch(start, end-start)
	s.mu.Lock()
	s.release(g)
	s.mu.Unlock()
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

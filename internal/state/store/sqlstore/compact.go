package sqlstore

// tidy implements bodies: it removes segments that hold nothing, moves what is
// left in mostly empty ones, and gives freed room back.
func (b *segmentBodies) tidy() (more bool, err error) {
	return b.segments.Reclaim()
}

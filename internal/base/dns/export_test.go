package dns

// Used tells how much of the cache's room is taken.
func (r *Resolver) Used() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache.used
}

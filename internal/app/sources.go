package app

import "posthorn/internal/policy"

// newSources are what checks of live sessions may ask: those that count do.
func (h *House) newSources() policy.Sources {
	return policy.Sources{Usage: h, Senders: h.Directory}
}

// looking are sources that tell the same and change nothing, for what is only
// tried.
func (h *House) looking() policy.Sources {
	return h.sources
}

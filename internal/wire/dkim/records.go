package dkim

import "sync"

const (
	// maxRecords bounds the key records that are kept.
	maxRecords = 512
	// maxRecord bounds the text of one; an RSA key of 8192 bits fits in.
	maxRecord = 2 << 10
)

// Records keeps key records as they were read, so that a key many messages are
// signed with is read once. It goes by the text of the record: DNS is asked all
// the same. The zero value is ready; several goroutines may use it. It needs
// about 2 MiB at most.
type Records struct {
	mu   sync.Mutex
	read map[string]record
}

// record is what parseKey says of a text. Nobody changes it.
type record struct {
	key   *key
	fault *fault
}

// Keys returns Keys for one message, as NewKeys does, that read their records here.
func (r *Records) Keys(from Resolver, minRSABits int) *Keys {
	return &Keys{resolver: from, minBits: max(minRSABits, MinRSABits), records: r, known: map[string]*lookup{}}
}

func (r *Records) parse(text string) (*key, *fault) {
	r.mu.Lock()
	known, ok := r.read[text]
	r.mu.Unlock()
	if ok {
		return known.key, known.fault
	}
	k, f := parseKey(text)
	if len(text) <= maxRecord {
		r.keep(text, record{k, f})
	}
	return k, f
}

// keep makes room by dropping any other: what is in use is soon back.
func (r *Records) keep(text string, read record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.read == nil {
		r.read = map[string]record{}
	}
	if len(r.read) >= maxRecords {
		for other := range r.read {
			delete(r.read, other)
			break
		}
	}
	r.read[text] = read
}

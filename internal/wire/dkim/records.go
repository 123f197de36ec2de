package dkim

import "posthorn/internal/base/limit"

// Records keeps key records as they were read, so that a key many messages are
// signed with is read once. It goes by the text of the record: DNS is asked all
// the same. The zero value is ready; several goroutines may use it. It needs
// about 2 MiB at most.
type Records struct{ read limit.Texts[record] }

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
	got := r.read.Read(text, func(text string) record {
		k, f := parseKey(text)
		return record{k, f}
	})
	return got.key, got.fault
}

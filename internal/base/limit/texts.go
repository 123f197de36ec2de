package limit

import "sync"

const (
	// MaxTexts is how many texts Texts keeps, MaxText the octets of the longest.
	MaxTexts = 512
	MaxText  = 2 << 10
)

// Texts remembers what was read from short texts that come again and again, such
// as DNS records: the same text always means the same. When it is full, any
// other goes. The zero value is ready.
type Texts[T any] struct {
	mu   sync.Mutex
	read map[string]T
}

// Read returns what the text means. Others get the same value: it must not be
// changed.
func (t *Texts[T]) Read(text string, read func(string) T) T {
	t.mu.Lock()
	value, ok := t.read[text]
	t.mu.Unlock()
	if ok {
		return value
	}
	value = read(text)
	if len(text) > MaxText {
		return value
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read == nil {
		t.read = map[string]T{}
	}
	if len(t.read) >= MaxTexts {
		for other := range t.read {
			delete(t.read, other)
			break
		}
	}
	t.read[text] = value
	return value
}

// Len is how many are kept.
func (t *Texts[T]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.read)
}

package junk

import (
	"maps"
	"slices"
)

// model is what one account has learned, or all together. Once it is
// published it is never changed.
type model struct {
	spam, ham int // messages
	// givenSpam and givenHam count those of them that everybody's model has too.
	givenSpam, givenHam int
	// remembered counts the messages known by key.
	remembered int
	// levels are runs, the newest first; each may hold growth times the one
	// before it, so that a lesson rewrites little and a look-up searches few.
	// What is known of a token is the sum over all.
	levels []run
}

const (
	firstLevel = 1000 // entries
	growth     = 8
	// maxMessages of one class; beyond it that class counts half, so that old
	// mail loses its weight.
	maxMessages = 10_000
	// fresh is how many days a token that was seen once is not forgotten with
	// the rest.
	fresh = 60
)

// get adds up what is known of a token; what was taken back too often is 0.
func (m *model) get(hash uint64) (spam, ham int) {
	for _, r := range m.levels {
		if i, ok := r.find(hash); ok {
			e := r.at(i)
			spam, ham = spam+e.spam, ham+e.ham
		}
	}
	return max(spam, 0), max(ham, 0)
}

func (m *model) empty() bool {
	return m.spam == 0 && m.ham == 0 && m.remembered == 0 && m.entries() == 0
}

// octets is what the model takes in memory and in the file.
func (m *model) octets() int64 {
	if m.empty() {
		return 0
	}
	n := int64(m.remembered)*learnedSize + 64
	for _, r := range m.levels {
		n += int64(len(r))
	}
	return n
}

func (m *model) entries() int {
	n := 0
	for _, r := range m.levels {
		n += r.len()
	}
	return n
}

// clone returns a copy that may be changed.
func (m *model) clone() *model {
	c := *m
	c.levels = slices.Clone(m.levels)
	return &c
}

// count changes the number of messages of a class.
func (m *model) count(c Class, n int, given bool) {
	messages, shared := &m.spam, &m.givenSpam
	if c == Ham {
		messages, shared = &m.ham, &m.givenHam
	}
	*messages = max(0, *messages+n)
	if given {
		*shared = max(0, *shared+n)
	}
}

// push puts what was learned in, and returns the levels that changed. The
// model is kept below most entries.
func (m *model) push(r run, day uint16, most int) (changed []int) {
	touched := map[int]bool{}
	capacity := firstLevel
	for i := 0; ; i++ {
		if i == len(m.levels) {
			m.levels = append(m.levels, nil)
		}
		r = merge(m.levels[i], r)
		touched[i] = true
		if r.len() <= capacity {
			m.levels[i] = r
			break
		}
		m.levels[i] = nil
		capacity *= growth
	}
	if m.spam > maxMessages || m.ham > maxMessages || m.entries() > most {
		m.compact(day, most)
		for i := range m.levels {
			touched[i] = true
		}
	}
	return slices.Sorted(maps.Keys(touched))
}

// compact makes one run of all, halves a class that has grown too large, and
// forgets the entries worth least when there are too many.
func (m *model) compact(day uint16, most int) {
	var all run
	for _, r := range m.levels {
		all = merge(all, r)
	}
	clear(m.levels)
	halfSpam, halfHam := m.spam > maxMessages, m.ham > maxMessages
	if halfSpam {
		m.spam, m.givenSpam = m.spam/2, m.givenSpam/2
	}
	if halfHam {
		m.ham, m.givenHam = m.ham/2, m.givenHam/2
	}
	all = all.filtered(func(e entry) entry {
		e.spam, e.ham = max(e.spam, 0), max(e.ham, 0)
		keep := 0
		if age(e, day) <= fresh {
			keep = 1 // round up
		}
		if halfSpam {
			e.spam = (e.spam + keep) / 2
		}
		if halfHam {
			e.ham = (e.ham + keep) / 2
		}
		return e
	})
	if all.len() > most {
		all = evict(all, day, most/4*3)
	}
	level, capacity := 0, firstLevel
	for all.len() > capacity {
		level++
		capacity *= growth
	}
	for len(m.levels) <= level {
		m.levels = append(m.levels, nil)
	}
	m.levels[level] = all
}

func age(e entry, day uint16) int { return max(0, int(day)-int(e.day)) }

// worths is how many grades of worth there are.
const worths = 1024

// worth grades an entry: a token seen in many messages outlives one seen in
// few, and each doubling of that number is worth another sixty days.
func worth(e entry, day uint16) int {
	w := worths/2 - age(e, day)
	for n := e.spam + e.ham; n > 1; n /= 2 {
		w += fresh
	}
	return max(0, min(worths-1, w))
}

// evict keeps the entries worth most, at most so many.
func evict(r run, day uint16, most int) run {
	var grades [worths]int
	for i := range r.len() {
		grades[worth(r.at(i), day)]++
	}
	least, left := worths-1, most
	for ; least >= 0 && grades[least] <= left; least-- {
		left -= grades[least]
	}
	// Of the grade that fits in part, the hash chooses, which means chance.
	return r.filtered(func(e entry) entry {
		switch w := worth(e, day); {
		case w > least:
			return e
		case w == least && left > 0:
			left--
			return e
		}
		return entry{}
	})
}

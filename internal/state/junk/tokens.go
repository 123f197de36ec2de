package junk

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is taken from one message.
const (
	maxWords  = 2000      // distinct tokens of the text
	maxMarks  = 500       // distinct tokens of everything else
	maxText   = 256 << 10 // octets of text looked at
	maxHeader = 64 << 10  // octets of the header section looked at
	maxRead   = 2 << 20   // octets of content read to find that text
	maxParts  = 100
	maxLinks  = 500

	maxRunes  = 32 // of a word
	maxOctets = 96 // of a token
)

// kind tells apart equal texts from different places; it is hashed with them.
type kind byte

const (
	kindWord    kind = 'w'
	kindSubject kind = 's'
	kindPair    kind = 'p' // two words of the subject
	kindFrom    kind = 'f'
	kindName    kind = 'n' // display name of the author
	kindReply   kind = 'r'
	kindID      kind = 'i' // domain of the Message-ID
	kindMailer  kind = 'x'
	kindField   kind = 'h' // a header field is there
	kindType    kind = 't'
	kindFile    kind = 'a'
	kindLink    kind = 'u'
	kindClient  kind = 'c'
	kindForm    kind = '!' // something odd about the message's form
)

var kindNames = map[kind]string{
	kindWord: "word", kindSubject: "subject", kindPair: "subject", kindFrom: "from", kindName: "author's name", kindReply: "reply-to",
	kindID: "message-id", kindMailer: "mailer", kindField: "field", kindType: "type", kindFile: "file", kindLink: "link",
	kindClient: "client", kindForm: "form",
}

// Tokens are what the filter looks at in one message: immutable, safe for
// concurrent use, at most 2,500, each once.
type Tokens struct {
	list []token // ascending by hash
	text []byte
}

// token is one of them; its text begins with the kind.
type token struct {
	hash uint64
	at   uint32
	size uint16
	mark bool // not from the text
}

// Len is the number of distinct tokens.
func (t *Tokens) Len() int {
	if t == nil {
		return 0
	}
	return len(t.list)
}

func (t *Tokens) show(i int) (where, text string) {
	at := t.list[i]
	b := t.text[at.at:][:at.size]
	return kindNames[kind(b[0])], printable(string(b[1:]))
}

// printable cuts a text to what a record may show.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) && r != utf8.RuneError {
			return r
		}
		return -1
	}, s)
	if len(s) <= MaxReason {
		return s
	}
	n := MaxReason
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// collector gathers the tokens of one message. It is used again for others.
type collector struct {
	hasher
	list  []token
	text  []byte
	seen  map[uint64]struct{}
	words int // tokens of list that are no marks
	marks int
	links int
	// limit is the hash from which on words are left out.
	limit uint64

	read, folded []byte // text of a part
	word         []byte // while it is put together
	prev         []byte // the word before it
}

func newCollector(h hasher) *collector {
	return &collector{hasher: h, seen: map[uint64]struct{}{}, limit: ^uint64(0)}
}

func (c *collector) reset() {
	c.list, c.text = c.list[:0], c.text[:0]
	clear(c.seen)
	c.words, c.marks, c.links, c.limit = 0, 0, 0, ^uint64(0)
}

// add takes one token. Of more words than fit those with the lowest keyed
// hashes stay: a sample that no sender can steer by putting innocent words
// first, and that is the same whenever the message is read.
func (c *collector) add(k kind, text []byte) {
	if len(text) == 0 {
		return
	}
	mark := k != kindWord
	if mark && c.marks == maxMarks {
		return
	}
	at := len(c.text)
	c.text = append(c.text, byte(k))
	c.text = append(c.text, text[:min(len(text), maxOctets)]...)
	h := c.sum(c.text[at:])
	if _, known := c.seen[h]; known || !mark && h > c.limit {
		c.text = c.text[:at]
		return
	}
	c.seen[h] = struct{}{}
	c.list = append(c.list, token{hash: h, at: uint32(at), size: uint16(len(c.text) - at), mark: mark})
	if mark {
		c.marks++
		return
	}
	if c.words++; c.words >= 4*maxWords {
		c.thin()
	}
}

func (c *collector) adds(k kind, text string) {
	c.word = append(c.word[:0], text...)
	c.add(k, c.word)
}

// thin drops the words with the highest hashes beyond maxWords.
func (c *collector) thin() {
	c.sort()
	words := 0
	c.list = slices.DeleteFunc(c.list, func(t token) bool {
		if t.mark {
			return false
		}
		if words++; words > maxWords {
			delete(c.seen, t.hash)
			return true
		}
		c.limit = t.hash
		return false
	})
	c.words = min(words, maxWords)
}

func (c *collector) sort() {
	slices.SortFunc(c.list, func(a, b token) int { return cmp.Compare(a.hash, b.hash) })
}

// tokens returns what was gathered, in memory of its own.
func (c *collector) tokens() *Tokens {
	if c.words > maxWords {
		c.thin()
	} else {
		c.sort()
	}
	size := 0
	for _, t := range c.list {
		size += int(t.size)
	}
	out := &Tokens{list: slices.Clone(c.list), text: make([]byte, 0, size)}
	for i := range out.list {
		t := &out.list[i]
		at := len(out.text)
		out.text = append(out.text, c.text[t.at:][:t.size]...)
		t.at = uint32(at)
	}
	return out
}

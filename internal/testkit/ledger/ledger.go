// Package ledger keeps the books of fault tests: what the server took
// responsibility for while it was killed, cut off or starved, against what
// stands in the mailboxes afterwards.
//
// Every message is unmistakable: its Message-ID names it, its body is derived
// from its number, so that a lost, doubled or torn one shows.
package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Ledger is the list of messages and what the server said to each.
type Ledger struct {
	mu        sync.Mutex
	next      int
	notes     map[int]*note
	acked     int
	closed    bool
	strangers []string // mailboxes in which something else was found
}

// note is one message's line in the books.
type note struct {
	recipients []string
	size       int
	acked      bool
	silent     int            // attempts that got no reply to the final dot
	found      map[string]int // recipient: copies
	removed    map[string]removal
	torn       int
}

// removal is what became of a request to delete a copy.
type removal uint8

const (
	stays   removal = iota // nobody asked
	asked                  // either outcome is allowed
	removed                // the server said that it is gone
)

// New returns empty books.
func New() *Ledger { return &Ledger{notes: map[int]*note{}} }

// Message is one message to send.
type Message struct {
	Number     int
	Recipients []string
	Content    []byte
}

const domain = "ledger.example.test"

// Next enters a new message of about the size for the recipients.
func (l *Ledger) Next(size int, recipients ...string) Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	l.notes[l.next] = &note{recipients: recipients, size: size, found: map[string]int{}}
	return Message{Number: l.next, Recipients: recipients, Content: content(l.next, size)}
}

// Acked enters that the server took responsibility for the message.
func (l *Ledger) Acked(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := l.notes[m.Number]; {
	case l.closed:
		n.silent++ // as good as
	case !n.acked:
		n.acked = true
		l.acked++
	}
}

// Close closes the books, just before the power goes: what is acknowledged from
// now on does not count, because nobody can have read it. Senders that began
// before Open must have ended by then.
func (l *Ledger) Close() { l.setClosed(true) }

// Open opens the books again.
func (l *Ledger) Open() { l.setClosed(false) }

func (l *Ledger) setClosed(to bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = to
}

// Removing enters that the server is about to be asked to delete a recipient's
// copy of a message.
func (l *Ledger) Removing(recipient string, numbers ...int) { l.remove(asked, recipient, numbers) }

// Removed enters that the server said it did.
func (l *Ledger) Removed(recipient string, numbers ...int) { l.remove(removed, recipient, numbers) }

func (l *Ledger) remove(how removal, recipient string, numbers []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, number := range numbers {
		n := l.notes[number]
		if n == nil || l.closed && how == removed {
			continue
		}
		if n.removed == nil {
			n.removed = map[string]removal{}
		}
		n.removed[recipient] = how
	}
}

// Silent enters that the connection broke between the final dot and its reply:
// the client cannot know what became of the message, and each such attempt may
// have left a copy (RFC 1047).
func (l *Ledger) Silent(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes[m.Number].silent++
}

// Silences returns how many attempts got no reply to the final dot.
func (l *Ledger) Silences() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, note := range l.notes {
		n += note.silent
	}
	return n
}

// Count returns how many messages were sent and how many acknowledged.
func (l *Ledger) Count() (sent, acked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.notes), l.acked
}

// Found enters one message read from a recipient's mailbox. What is none of the
// ledger's is a phantom, for example a message whose octets are gone: it returns
// false.
func (l *Ledger) Found(recipient string, raw []byte) bool {
	number, ok := numberOf(raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.notes[number]
	if !ok || n == nil {
		l.strangers = append(l.strangers, recipient)
		return false
	}
	n.found[recipient]++
	if head, whole := bytes.CutSuffix(raw, content(number, n.size)); !whole || bytes.ContainsFunc(head, strange) {
		n.torn++
	}
	return true
}

// strange says what no header field holds that is put before a content.
func strange(r rune) bool { return r > '~' || r < ' ' && r != '\r' && r != '\n' && r != '\t' }

// Forget clears what was found, before another reading.
func (l *Ledger) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strangers = nil
	for _, n := range l.notes {
		n.found, n.torn = map[string]int{}, 0
	}
}

// Verdict is the balance.
type Verdict struct {
	Sent, Acked, Found  int
	Lost, Doubled, Torn int
	Phantom             int // for a recipient it was not sent to, or no message of the books
	Returned            int // found although the server had said it was deleted
	Unacked             int // found although never acknowledged: allowed
	Examples            []string
	PartlyFiled         int // unacknowledged, filed for some recipients only
	// Refused are the copies of attempts that were refused, found nevertheless.
	// A client sends such a message again: it is doubled then. Not part of OK:
	// a server whose disk fails may have to refuse what it no longer knows.
	Refused int
}

// OK reports books that balance.
func (v Verdict) OK() bool {
	return v.Lost == 0 && v.Doubled == 0 && v.Torn == 0 && v.Phantom == 0 && v.Returned == 0 && v.PartlyFiled == 0
}

// String writes the balance in one line.
func (v Verdict) String() string {
	s := fmt.Sprintf("%d sent, %d acknowledged, %d found: %d lost, %d doubled, %d torn, %d phantom, %d returned, %d partly filed (%d found unacknowledged, %d of them refused)",
		v.Sent, v.Acked, v.Found, v.Lost, v.Doubled, v.Torn, v.Phantom, v.Returned, v.PartlyFiled, v.Unacked, v.Refused)
	if len(v.Examples) > 0 {
		s += "; for example " + strings.Join(v.Examples, "; ")
	}
	return s
}

// Balance compares what was acknowledged with what was found.
func (l *Ledger) Balance() Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var v Verdict
	v.Sent, v.Acked = len(l.notes), l.acked
	for _, mailbox := range l.strangers {
		v.Phantom++
		v.example("something else is in %s", mailbox)
	}
	numbers := make([]int, 0, len(l.notes))
	for n := range l.notes {
		numbers = append(numbers, n)
	}
	sort.Ints(numbers)
	for _, number := range numbers {
		v.weigh(number, l.notes[number])
	}
	return v
}

func (v *Verdict) weigh(number int, n *note) {
	present := 0
	for _, r := range n.recipients {
		switch c := n.found[r]; {
		case c > 0 && n.removed[r] == removed:
			v.Returned += c
			v.example("message %d was deleted and is back in %s", number, r)
		case c == 0 && n.acked && n.removed[r] == stays:
			v.Lost++
			v.example("message %d for %s is lost", number, r)
		case c > max(1, n.owed()):
			v.Doubled += c - max(1, n.owed())
			v.example("message %d is %d times in %s", number, c, r)
		}
		if c := n.found[r]; c > n.owed() {
			v.Refused += c - n.owed()
			v.example("message %d is %d times in %s, and all but %d attempts were refused", number, c, r, n.owed())
		}
		if n.found[r] > 0 || n.removed[r] != stays { // only what stood there is removed
			present++
		}
	}
	total := 0
	for _, c := range n.found {
		total += c
	}
	v.Found += total
	if own := n.sum(); total > own {
		v.Phantom += total - own
		v.example("message %d is in a mailbox it was not for", number)
	}
	if n.torn > 0 {
		v.Torn += n.torn
		v.example("message %d is torn", number)
	}
	if !n.acked && present > 0 {
		v.Unacked++
		if present < len(n.recipients) {
			v.PartlyFiled++
			v.example("message %d, never acknowledged, reached %d of %d recipients", number, present, len(n.recipients))
		}
	}
}

// owed is how many copies the attempts may have left: one if it was
// acknowledged, and one for each that got no reply.
func (n *note) owed() int {
	if n.acked {
		return n.silent + 1
	}
	return n.silent
}

// sum counts copies in the mailboxes of the message's own recipients.
func (n *note) sum() int {
	total := 0
	for _, r := range n.recipients {
		total += n.found[r]
	}
	return total
}

func (v *Verdict) example(format string, args ...any) {
	if len(v.Examples) < 5 {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// content makes the message of a number: header and a body that nobody could
// guess from another number.
func content(number, size int) []byte {
	b := make([]byte, 0, size+512)
	b = fmt.Appendf(b, "From: <sender@%s>\r\nTo: <receiver@example.test>\r\nSubject: ledger %d\r\nMessage-ID: <%d@%s>\r\n"+
		"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n", domain, number, number, domain)
	x := uint64(number)*0x9e3779b97f4a7c15 + 1
	var raw [32]byte
	for len(b) < size {
		for i := 0; i < len(raw); i += 8 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			binary.BigEndian.PutUint64(raw[i:], x)
		}
		b = append(hex.AppendEncode(b, raw[:]), "\r\n"...)
	}
	return fmt.Appendf(b, "end of %d\r\n", number)
}

// numberOf reads the number back from the Message-ID.
func numberOf(raw []byte) (int, bool) {
	_, after, ok := bytes.Cut(raw[:min(len(raw), 4096)], []byte("\r\nMessage-ID: <"))
	if !ok {
		return 0, false
	}
	id, _, _ := bytes.Cut(after, []byte(">"))
	number, host, _ := strings.Cut(string(id), "@")
	n, err := strconv.Atoi(number)
	return n, err == nil && host == domain
}

package imapd

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// headers is what SEARCH, SORT and THREAD ask most often of one block of
// messages, in columns: a search over a field is a walk over one piece of
// text. It is made when somebody first asks and costs a delivery nothing.
type headers struct {
	uids []store.UID // ascending
	// through is the greatest UID that had been given out when the block was
	// read: a message up to it that is not here is gone.
	through store.UID
	rows    []header
	text    [indexedFields]column
	refs    []uint64
}

// header is the part of a message's row that has a fixed size.
type header struct {
	sent int64 // of the Date field, UTC seconds
	day  int32 // the day it names in its own zone, counted from 1970
	// opaque: more of the header fields is in the message than was understood.
	dated, reply, opaque bool
	base                 string // base subject, folded
	id                   uint64 // of the message identifier, 0 for none
	firstRef, lastRef    uint32 // in refs
}

// The fields that have a column; those of addresses stand together.
const (
	fieldSubject = iota
	fieldFrom
	fieldTo
	fieldCc
	fieldBcc
	fieldMessageID
	indexedFields
)

// fieldNames are the header fields behind the columns.
var fieldNames = [indexedFields]string{"subject", "from", "to", "cc", "bcc", "message-id"}

// column is one folded text for each row.
type column struct {
	text string
	ends []uint32
}

func (c *column) at(i int) string {
	if c.text == "" {
		return ""
	}
	start := uint32(0)
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.text[start:c.ends[i]]
}

// columnWriter makes a column.
type columnWriter struct {
	b    []byte
	ends []uint32
}

// add folds a text and makes it the next row.
func (w *columnWriter) add(text string) {
	start := len(w.b)
	w.b = append(w.b, text...)
	w.fold(start)
}

// maxRow bounds the octets of an address list in a column, so that messages to
// crowds do not make a block that is too large to be remembered.
const maxRow = 32 << 10

// addAddresses makes an address list the next row, a line for each, and reports
// whether all of it is there.
func (w *columnWriter) addAddresses(list []mime.Address) (whole bool) {
	start := len(w.b)
	for i := range list {
		last := len(w.b)
		w.addAddress(&list[i])
		if len(w.b)-start > maxRow {
			w.b = w.b[:last]
			w.fold(start)
			return false
		}
	}
	w.fold(start)
	return true
}

func (w *columnWriter) addAddress(a *mime.Address) {
	if a.Kind != mime.Mailbox {
		w.b = append(append(w.b, mime.DecodeWords(a.Mailbox)...), '\n')
		return
	}
	if a.Name != "" {
		w.b = append(append(w.b, mime.DecodeWords(a.Name)...), ' ')
	}
	w.b = append(append(append(w.b, '<'), a.Spec()...), ">\n"...)
}

// fold ends the row that begins at start.
func (w *columnWriter) fold(start int) {
	wide := false
	for i, c := range w.b[start:] {
		if c >= 'A' && c <= 'Z' {
			w.b[start+i] = c + 'a' - 'A'
		}
		wide = wide || c >= utf8.RuneSelf
	}
	if wide {
		w.b = append(w.b[:start], fold(string(w.b[start:]))...)
	}
	w.ends = append(w.ends, uint32(len(w.b)))
}

func (w *columnWriter) column() column {
	if len(w.b) == 0 {
		return column{}
	}
	return column{string(w.b), slices.Clip(w.ends)}
}

// headerWriter makes headers of structures.
type headerWriter struct {
	h    *headers
	text [indexedFields]columnWriter
	seed maphash.Seed
}

// readHeaders reads a block of a mailbox.
func readHeaders(ctx context.Context, box *mailbox.Mailbox, block int, seed maphash.Seed) (*headers, error) {
	w := headerWriter{h: &headers{}, seed: seed}
	return w.h, readBlock(ctx, box, block, &w.h.uids, &w.h.through, w.add, w.finish)
}

// readBlock calls add for each message of a block and notes which they were.
func readBlock(ctx context.Context, box *mailbox.Mailbox, block int, uids *[]store.UID, through *store.UID, add func(*mime.Structure), finish func()) error {
	s := box.Snapshot() // before the read, so that it is not ahead of it
	*through = s.Cursor.UIDNext - 1
	err := box.MetasIn(ctx, mailbox.SpanOf(block), func(uid store.UID, _ store.MessageID, meta []byte) error {
		var m mime.Structure
		if err := m.UnmarshalBinary(meta); err != nil {
			return err
		}
		*uids = append(*uids, uid)
		add(&m)
		return nil
	})
	finish()
	return err
}

func (w *headerWriter) add(m *mime.Structure) {
	e := m.Envelope()
	decoded := mime.DecodeWords(e.Subject)
	w.text[fieldSubject].add(decoded)
	w.text[fieldMessageID].add(e.MessageID)
	opaque := m.Opaque != 0
	for i, list := range [...][]mime.Address{e.From, e.To, e.Cc, e.Bcc} {
		if !w.text[fieldFrom+i].addAddresses(list) {
			opaque = true
		}
	}
	r := header{opaque: opaque, firstRef: uint32(len(w.h.refs))}
	base, reply := baseSubject(decoded)
	r.base, r.reply = fold(base), reply
	if t, ok := mime.ParseDate(e.Date); ok {
		r.sent, r.day, r.dated = t.Unix(), dayOf(t), true
	}
	if ids := mime.Identifiers(e.MessageID); len(ids) > 0 {
		r.id = w.hash(ids[0])
	}
	for _, ref := range references(m, e) {
		w.h.refs = append(w.h.refs, w.hash(ref))
	}
	r.lastRef = uint32(len(w.h.refs))
	w.h.rows = append(w.h.rows, r)
}

// references are the identifiers a message answers to, as RFC 5256 §3 takes them.
func references(m *mime.Structure, e *mime.Envelope) []string {
	if refs := mime.Identifiers(m.References); len(refs) > 0 {
		return refs
	}
	ids := mime.Identifiers(e.InReplyTo)
	return ids[:min(len(ids), 1)]
}

// hash stands for an identifier. With 64 bits under a secret seed two of a
// mailbox are never taken for one.
func (w *headerWriter) hash(id string) uint64 { return max(maphash.String(w.seed, id), 1) }

// finish joins the columns. The base of most subjects is a piece of the
// subject, and then shares its memory.
func (w *headerWriter) finish() {
	h := w.h
	for field := range h.text {
		h.text[field] = w.text[field].column()
	}
	for i := range h.rows {
		subject := h.text[fieldSubject].at(i)
		if at := strings.Index(subject, h.rows[i].base); at >= 0 {
			h.rows[i].base = subject[at : at+len(h.rows[i].base)]
		}
	}
	h.refs = slices.Clip(h.refs)
}

// cost is about how many octets the block takes.
func (h *headers) cost() int {
	n := 300 + 80*cap(h.rows) + 4*cap(h.uids) + 8*cap(h.refs)
	for i := range h.text {
		n += len(h.text[i].text) + 4*cap(h.text[i].ends)
	}
	return n
}

func (h *headers) references(row int) []uint64 {
	r := &h.rows[row]
	return h.refs[r.firstRef:r.lastRef]
}

// look looks for a text in a field. What it finds is there; what it does not
// find is decided by the message itself where the column may have less than that.
func (h *headers) look(row int, field string, n *needle) truth {
	at := slices.Index(fieldNames[:], field)
	switch {
	case at < 0 || n.empty():
		return unknown
	case strings.Contains(h.text[at].at(row), n.text):
		return isTrue
	case h.rows[row].opaque || at != fieldSubject && n.punctuated:
		return unknown
	}
	return isFalse
}

// dayOf counts the day of t, as its zone has it, from 1970.
func dayOf(t time.Time) int32 {
	y, m, d := t.Date()
	days := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
	return int32(max(min(days, math.MaxInt32), math.MinInt32))
}

package imapd

import (
	"context"
	"slices"

	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// What is remembered of header fields, for all mailboxes of the node.
const (
	headerMemory = 96 << 20
	wordMemory   = 16 << 20
)

// walker finds the rows of messages in blocks, one after the other. What the
// server does not remember is read.
type walker[B any] struct {
	box   *mailbox.Mailbox
	known *mailbox.Blocks[B]
	read  func(ctx context.Context, box *mailbox.Mailbox, block int) (B, error)
	cost  func(B) int
	rows  func(B) (uids []store.UID, through store.UID)

	block   int // that current is, -1 for none
	current B
	next    int // row
}

// row returns where a message is. Messages are asked for in ascending order;
// ok is false for one that is gone.
func (w *walker[B]) row(ctx context.Context, uid store.UID) (b B, row int, ok bool, err error) {
	if n := mailbox.BlockOf(uid); n != w.block {
		if err := w.load(ctx, n, uid); err != nil {
			return b, 0, false, err
		}
	}
	uids, through := w.rows(w.current)
	if uid > through {
		if err := w.load(ctx, w.block, uid); err != nil {
			return b, 0, false, err
		}
		uids, _ = w.rows(w.current)
	}
	n, found := slices.BinarySearch(uids[w.next:], uid)
	if w.next < len(uids) && uids[w.next] == uid { // the usual case
		n, found = 0, true
	}
	w.next += n
	return w.current, w.next, found, nil
}

// load makes a block that knows of a UID the current one.
func (w *walker[B]) load(ctx context.Context, block int, uid store.UID) error {
	w.block, w.next = block, 0
	if b, ok := w.known.Get(w.box, block); ok {
		if _, through := w.rows(b); uid <= through {
			w.current = b
			return nil
		}
	}
	if err := searchTime(ctx); err != nil {
		w.block = -1
		return err
	}
	b, err := w.read(ctx, w.box, block)
	if err != nil {
		w.block = -1
		return err
	}
	w.current = b
	w.known.Put(w.box, block, b, w.cost(b))
	return nil
}

// headers walks over the header columns of the mailbox.
func (v *view) headers() *walker[*headers] {
	s := v.c.s
	return &walker[*headers]{box: v.box, known: s.headers, block: -1,
		read: func(ctx context.Context, box *mailbox.Mailbox, block int) (*headers, error) {
			return readHeaders(ctx, box, block, s.seed)
		},
		cost: (*headers).cost,
		rows: func(h *headers) ([]store.UID, store.UID) { return h.uids, h.through },
	}
}

// words is what few clients sort by: names and local parts, folded.
type words struct {
	uids    []store.UID
	through store.UID
	text    [wordColumns]column
}

// The columns of words, in the order of wordOf.
const (
	wordFrom = iota
	wordTo
	wordCc
	wordDisplayFrom
	wordDisplayTo
	wordColumns
)

func readWords(ctx context.Context, box *mailbox.Mailbox, block int) (*words, error) {
	var made words
	var text [wordColumns]columnWriter
	add := func(m *mime.Structure) {
		e := m.Envelope()
		for i, word := range [wordColumns]string{firstMailbox(e.From), firstMailbox(e.To), firstMailbox(e.Cc), firstDisplay(e.From), firstDisplay(e.To)} {
			text[i].add(word)
		}
	}
	err := readBlock(ctx, box, block, &made.uids, &made.through, add, func() {
		for i := range text {
			made.text[i] = text[i].column()
		}
	})
	return &made, err
}

func (x *words) cost() int {
	n := 300 + 4*cap(x.uids)
	for i := range x.text {
		n += len(x.text[i].text) + 4*cap(x.text[i].ends)
	}
	return n
}

// words walks over the columns that few clients sort by.
func (v *view) words() *walker[*words] {
	return &walker[*words]{box: v.box, known: v.c.s.words, block: -1, read: readWords, cost: (*words).cost,
		rows: func(x *words) ([]store.UID, store.UID) { return x.uids, x.through }}
}

// firstMailbox is the local part of the first address (RFC 5256 §3).
func firstMailbox(list []mime.Address) string {
	for i := range list {
		if list[i].Kind == mime.Mailbox {
			return list[i].Mailbox
		}
	}
	return ""
}

// firstDisplay is what a reader shows for the first address (RFC 5957).
func firstDisplay(list []mime.Address) string {
	if len(list) == 0 {
		return ""
	}
	a := &list[0]
	switch {
	case a.Kind != mime.Mailbox:
		return mime.DecodeWords(a.Mailbox)
	case a.Name != "":
		return mime.DecodeWords(a.Name)
	}
	return a.Spec()
}

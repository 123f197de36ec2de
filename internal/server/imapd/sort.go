package imapd

import (
	"cmp"
	"context"
	"slices"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/mime"
)

// runSort is SORT and UID SORT (RFC 5256, RFC 5957).
func runSort(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	arg, err := c.dec.Sort()
	if err != nil {
		return failed(err)
	}
	if arg.Return.Given {
		return imap.Response{Status: imap.BAD, Text: "ESORT is not offered"}
	}
	v := c.session.view
	found, err := v.search(ctx, &arg.Key)
	if err != nil {
		return failed(err)
	}
	needs := false
	for _, k := range arg.Criteria {
		needs = needs || k.Key != imap.SortArrival && k.Key != imap.SortSize
	}
	letters, err := v.letters(ctx, found, needs, func(l *letter, m *mime.Structure) { l.describe(arg.Criteria, m) })
	if err != nil {
		return failed(err)
	}
	slices.SortStableFunc(letters, func(a, b *letter) int { return compare(arg.Criteria, a, b) })
	c.enc.Untagged()
	c.enc.Atom("SORT")
	for _, l := range letters {
		c.enc.Number(uint64(l.number(cmd.UID)))
	}
	c.enc.End()
	return completed("SORT")
}

// letter is a message as SORT and THREAD see it.
type letter struct {
	index int
	entry *store.Entry
	sent  int64 // UTC seconds; INTERNALDATE where the message does not say
	// subject is the base subject; reply: it had to be cut down to it.
	subject string
	reply   bool
	words   [6]string // by imap.SortKey: folded values of what is sorted by
	id      string
	refs    []string
}

func (l *letter) number(uid bool) uint32 {
	if uid {
		return uint32(l.entry.UID)
	}
	return uint32(l.index + 1)
}

// letters reads what is needed of the messages. Those that are gone have no
// text and sort first.
func (v *view) letters(ctx context.Context, indexes []int, needs bool, describe func(*letter, *mime.Structure)) ([]*letter, error) {
	out := make([]*letter, 0, len(indexes))
	for batch := range slices.Chunk(indexes, metaBatch) {
		if err := searchTime(ctx); err != nil {
			return nil, err
		}
		var metas map[store.MessageID][]byte
		if needs {
			var err error
			if metas, err = v.metas(ctx, batch); err != nil {
				return nil, err
			}
		}
		for _, i := range batch {
			e := v.told.At(i)
			l := &letter{index: i, entry: e, sent: e.Internal / 1e6}
			if meta := metas[e.Message]; meta != nil {
				var m mime.Structure
				if err := m.UnmarshalBinary(meta); err != nil {
					return nil, err
				}
				if t, ok := sent(m.Envelope()); ok {
					l.sent = t.Unix()
				}
				describe(l, &m)
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// places says where a letter keeps the value of a sort key.
var places = map[imap.SortKey]int{imap.SortCc: 0, imap.SortFrom: 1, imap.SortTo: 2, imap.SortSubject: 3, imap.SortDisplayFrom: 4, imap.SortDisplayTo: 5}

// describe keeps what the criteria compare.
func (l *letter) describe(criteria []imap.SortCriterion, m *mime.Structure) {
	e := m.Envelope()
	for _, c := range criteria {
		var text string
		switch c.Key {
		case imap.SortCc:
			text = firstMailbox(e.Cc)
		case imap.SortFrom:
			text = firstMailbox(e.From)
		case imap.SortTo:
			text = firstMailbox(e.To)
		case imap.SortSubject:
			text, _ = baseSubject(e.Subject)
		case imap.SortDisplayFrom:
			text = firstDisplay(e.From)
		case imap.SortDisplayTo:
			text = firstDisplay(e.To)
		default:
			continue
		}
		l.words[places[c.Key]] = fold(text)
	}
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

// compare orders two letters; equal ones stay in mailbox order.
func compare(criteria []imap.SortCriterion, a, b *letter) int {
	for _, c := range criteria {
		n := 0
		switch c.Key {
		case imap.SortArrival:
			n = cmp.Compare(a.entry.Internal/int64(time.Second/time.Microsecond), b.entry.Internal/int64(time.Second/time.Microsecond))
		case imap.SortDate:
			n = cmp.Compare(a.sent, b.sent)
		case imap.SortSize:
			n = cmp.Compare(a.entry.Size, b.entry.Size)
		default:
			n = cmp.Compare(a.words[places[c.Key]], b.words[places[c.Key]])
		}
		if c.Reverse {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return 0
}

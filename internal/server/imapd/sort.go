package imapd

import (
	"cmp"
	"context"
	"slices"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runSort is SORT and UID SORT (RFC 5256, RFC 5957, RFC 5267 §3).
func runSort(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	arg, err := c.dec.Sort()
	if err != nil {
		return failed(err)
	}
	v := c.session.view
	ctx, cancel := context.WithTimeout(ctx, c.set.SearchTime)
	defer cancel()
	found, err := v.search(ctx, &arg.Key)
	if err != nil {
		return failed(err)
	}
	letters, err := v.letters(ctx, found, needsHeaders(arg.Criteria))
	if err == nil {
		err = v.addWords(ctx, letters, arg.Criteria)
	}
	if err != nil {
		return failed(err)
	}
	t := timer{ctx: ctx}
	sortTimed(&t, letters, func(a, b *letter) int { return compare(arg.Criteria, a, b) })
	if t.err != nil {
		return failed(t.err)
	}
	if arg.Return.Given {
		v.sorted(letters, cmd, arg.Return, arg.Key.Uses(imap.KeyModSeq))
		return completed("SORT")
	}
	c.enc.Untagged()
	c.enc.Atom("SORT")
	for _, l := range letters {
		c.enc.Number(uint64(l.number(cmd.UID)))
	}
	c.enc.End()
	return completed("SORT")
}

// sorted writes the result as ESEARCH, where MIN and MAX are the first and the
// last in order.
func (v *view) sorted(letters []*letter, cmd imap.Command, r imap.SearchReturn, modSeq bool) {
	h := hits{v: v, uid: cmd.UID, ordered: true, indexes: make([]int, len(letters))}
	for k, l := range letters {
		h.indexes[k] = l.index
	}
	if modSeq {
		h.modSeq = h.greatestModSeq(r)
	}
	h.extended(cmd.Tag, r)
}

// letter is a message as SORT and THREAD see it.
type letter struct {
	index   int
	entry   *store.Entry
	sent    int64 // UTC seconds; INTERNALDATE where the message does not say
	subject string
	reply   bool
	id      uint64 // 0 for none
	refs    []uint64
	words   []string // one for each criterion that wants one
}

func (l *letter) number(uid bool) uint32 {
	if uid {
		return uint32(l.entry.UID)
	}
	return uint32(l.index + 1)
}

// letters reads what is needed of the messages. Those that are gone have no
// text and sort first.
func (v *view) letters(ctx context.Context, indexes []int, needs bool) ([]*letter, error) {
	out := make([]*letter, len(indexes))
	all := make([]letter, len(indexes))
	w := v.headers()
	for k, i := range indexes {
		e, l := v.told.At(i), &all[k]
		out[k] = l
		l.index, l.entry, l.sent = i, e, e.Internal/1e6
		if !needs {
			continue
		}
		h, row, ok, err := w.row(ctx, e.UID)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		r := &h.rows[row]
		l.subject, l.reply, l.id, l.refs = r.base, r.reply, r.id, h.references(row)
		if r.dated {
			l.sent = r.sent
		}
	}
	return out, nil
}

// wordOf maps sort keys to the columns of words.
var wordOf = map[imap.SortKey]int{imap.SortFrom: wordFrom, imap.SortTo: wordTo, imap.SortCc: wordCc,
	imap.SortDisplayFrom: wordDisplayFrom, imap.SortDisplayTo: wordDisplayTo}

// needsHeaders reports whether the order depends on more than the index.
func needsHeaders(criteria []imap.SortCriterion) bool {
	return slices.ContainsFunc(criteria, func(c imap.SortCriterion) bool { return c.Key == imap.SortDate || c.Key == imap.SortSubject })
}

// addWords gives each letter what it is sorted by, if that is a name.
func (v *view) addWords(ctx context.Context, letters []*letter, criteria []imap.SortCriterion) error {
	var columns []int
	for _, c := range criteria {
		if column, ok := wordOf[c.Key]; ok {
			columns = append(columns, column)
		}
	}
	if len(columns) == 0 {
		return nil
	}
	w := v.words()
	all := make([]string, len(letters)*len(columns))
	for _, l := range letters {
		l.words, all = all[:len(columns):len(columns)], all[len(columns):]
		x, row, ok, err := w.row(ctx, l.entry.UID)
		if err != nil {
			return err
		}
		for k, column := range columns {
			if ok {
				l.words[k] = x.text[column].at(row)
			}
		}
	}
	return nil
}

// compare orders two letters; equal ones stay in mailbox order.
func compare(criteria []imap.SortCriterion, a, b *letter) int {
	word := 0
	for _, c := range criteria {
		n := 0
		switch c.Key {
		case imap.SortArrival:
			n = cmp.Compare(a.entry.Internal/int64(time.Second/time.Microsecond), b.entry.Internal/int64(time.Second/time.Microsecond))
		case imap.SortDate:
			n = cmp.Compare(a.sent, b.sent)
		case imap.SortSize:
			n = cmp.Compare(a.entry.Size, b.entry.Size)
		case imap.SortSubject:
			n = cmp.Compare(a.subject, b.subject)
		default:
			n = cmp.Compare(a.words[word], b.words[word])
			word++
		}
		if c.Reverse {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return cmp.Compare(a.index, b.index)
}

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
	letters, err := v.letters(ctx, found, needs)
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
	*digest
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
	out := make([]*letter, 0, len(indexes))
	all := make([]letter, len(indexes))
	for batch := range slices.Chunk(indexes, metaBatch) {
		if err := searchTime(ctx); err != nil {
			return nil, err
		}
		digests := map[store.MessageID]*digest{}
		if needs {
			if err := v.digests(ctx, batch, digests); err != nil {
				return nil, err
			}
		}
		for _, i := range batch {
			e := v.told.At(i)
			l := &all[len(out)]
			*l = letter{index: i, entry: e, sent: e.Internal / 1e6, digest: digests[e.Message]}
			if l.digest == nil {
				l.digest = &digest{}
			} else if l.dated {
				l.sent = l.date
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// digests finds what SORT and THREAD need to know of messages.
func (v *view) digests(ctx context.Context, batch []int, found map[store.MessageID]*digest) error {
	ids := make([]store.MessageID, len(batch))
	for k, i := range batch {
		ids[k] = v.told.At(i).Message
	}
	account, cache := v.c.session.account.ID(), v.c.s.digests
	missing := cache.Get(account, ids, found)
	if len(missing) == 0 {
		return nil
	}
	metas, err := v.box.Metas(ctx, missing)
	if err != nil {
		return err
	}
	for id, meta := range metas {
		var m mime.Structure
		if err := m.UnmarshalBinary(meta); err != nil {
			return err
		}
		found[id] = newDigest(&m)
		cache.Put(account, id, found[id], len(meta)+digestSize)
	}
	return nil
}

// word returns the text of a message for a sort key.
func (d *digest) word(k imap.SortKey) string {
	switch k {
	case imap.SortCc:
		return d.cc
	case imap.SortFrom:
		return d.from
	case imap.SortTo:
		return d.to
	case imap.SortDisplayFrom:
		return d.displayFrom
	case imap.SortDisplayTo:
		return d.displayTo
	}
	return d.subject
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
			n = cmp.Compare(a.word(c.Key), b.word(c.Key))
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

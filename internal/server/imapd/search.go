package imapd

import (
	"context"
	"slices"
	"strconv"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runSearch is SEARCH and UID SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182,
// RFC 7162 §3.1.5, §3.1.10, RFC 9051 §6.4.4, RFC 9394).
func runSearch(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	arg, err := c.dec.Search()
	if err != nil {
		return failed(err)
	}
	v := c.session.view
	modSeq := arg.Key.Uses(imap.KeyModSeq)
	c.session.condStore = c.session.condStore || modSeq
	found, err := v.search(ctx, &arg.Key)
	if err != nil {
		if arg.Return.Save {
			v.saved = imap.SeqSet{} // RFC 5182 §2.1
		}
		return failed(err)
	}
	h := hits{v: v, uid: cmd.UID, indexes: found}
	if modSeq {
		h.modSeq = h.greatestModSeq(arg.Return)
	}
	if c.session.rev2 && !arg.Return.Given { // RFC 9051 §6.4.4: no other form there
		arg.Return = imap.SearchReturn{Given: true, All: true}
	}
	if arg.Return.Given {
		h.extended(cmd.Tag, arg.Return)
	} else {
		h.plain()
	}
	return completed("SEARCH")
}

// hits are the result of a search.
type hits struct {
	v       *view
	uid     bool
	indexes []int
	// ordered: the order of the indexes is part of the result.
	ordered bool
	modSeq  store.ModSeq
}

// greatestModSeq looks at the messages the response names (RFC 7162 §3.1.10):
// with MIN and MAX alone only at those.
func (h *hits) greatestModSeq(r imap.SearchReturn) store.ModSeq {
	indexes := h.indexes
	if n := len(indexes); n > 0 && (r.Min || r.Max) && !r.All && !r.Count && r.Window == (imap.Window{}) {
		ends := []int{indexes[0], indexes[n-1]}
		switch {
		case !r.Max:
			ends = ends[:1]
		case !r.Min:
			ends = ends[1:]
		}
		indexes = ends
	}
	var m store.ModSeq
	for _, i := range indexes {
		m = max(m, h.v.told.At(i).ModSeq)
	}
	return m
}

func (h *hits) number(k int) uint32 {
	i := h.indexes[k]
	if h.uid {
		return uint32(h.v.told.At(i).UID)
	}
	return uint32(i + 1)
}

// plain writes the response of RFC 3501.
func (h *hits) plain() {
	enc := h.v.c.enc
	enc.Untagged()
	enc.Atom("SEARCH")
	for k := range h.indexes {
		enc.Number(uint64(h.number(k)))
	}
	if h.modSeq > 0 {
		enc.Open()
		enc.Atom("MODSEQ")
		enc.Number(uint64(h.modSeq))
		enc.Close()
	}
	enc.End()
}

// write writes some of the numbers as a set; one whose order counts has them
// one by one (RFC 5267 §3).
func (h *hits) write(lo, hi int) {
	if !h.ordered {
		h.v.c.enc.Set(h.set(lo, hi))
		return
	}
	h.v.c.enc.Appended(func(b []byte) []byte {
		for k := lo; k < hi; k++ {
			if k > lo {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, uint64(h.number(k)), 10)
		}
		return b
	})
}

// set returns some of the numbers as a set, which grows cheaply in ascending
// order alone.
func (h *hits) set(lo, hi int) imap.SeqSet {
	some := hits{v: h.v, uid: h.uid, indexes: h.indexes[lo:hi]}
	if h.ordered {
		some.indexes = slices.Sorted(slices.Values(some.indexes))
	}
	var s imap.SeqSet
	for k := range some.indexes {
		s.Add(some.number(k))
	}
	return s
}

// extended writes ESEARCH and saves the result if asked to.
func (h *hits) extended(tag string, r imap.SearchReturn) {
	if r.Save {
		h.save(r)
		if r == (imap.SearchReturn{Given: true, Save: true}) {
			return // RFC 5182 §2.1: nothing is sent
		}
	}
	enc, n := h.v.c.enc, len(h.indexes)
	enc.Untagged()
	enc.Atom("ESEARCH")
	enc.Open()
	enc.Atom("TAG")
	enc.Text(tag)
	enc.Close()
	if h.uid {
		enc.Atom("UID")
	}
	h.item(r.Min && n > 0, "MIN", func() { enc.Number(uint64(h.number(0))) })
	h.item(r.Max && n > 0, "MAX", func() { enc.Number(uint64(h.number(n - 1))) })
	h.item(r.All && n > 0, "ALL", func() { h.write(0, n) })
	h.item(r.Count, "COUNT", func() { enc.Number(uint64(n)) })
	h.item(r.Window != (imap.Window{}), "PARTIAL", func() { h.window(r.Window) })
	h.item(h.modSeq > 0, "MODSEQ", func() { enc.Number(uint64(h.modSeq)) })
	enc.End()
}

func (h *hits) item(wanted bool, name string, value func()) {
	if wanted {
		h.v.c.enc.Atom(name)
		value()
	}
}

// window writes "(1:100 set)" or "(1:100 NIL)".
func (h *hits) window(w imap.Window) {
	enc := h.v.c.enc
	enc.Open()
	enc.Appended(w.Append)
	if lo, hi := w.Of(len(h.indexes)); lo < hi {
		h.write(lo, hi)
	} else {
		enc.Nil()
	}
	enc.Close()
}

// save keeps the result for "$". With only MIN or MAX, only those are kept
// (RFC 5182 §2.1 table).
func (h *hits) save(r imap.SearchReturn) {
	uids := hits{v: h.v, uid: true, indexes: h.indexes, ordered: h.ordered}
	n := len(h.indexes)
	var s imap.SeqSet
	switch {
	case r.All || r.Count || n == 0:
		s = uids.set(0, n)
	case r.Window != (imap.Window{}): // RFC 9394 §3.1
		lo, hi := r.Window.Of(n)
		s = uids.set(lo, hi)
	case !r.Min && !r.Max:
		s = uids.set(0, n)
	default:
		if r.Min {
			s.Add(uids.number(0))
		}
		if r.Max {
			s.Add(uids.number(n - 1))
		}
	}
	h.v.saved = s
}

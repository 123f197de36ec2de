package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"posthorn/internal/state/store"
)

var bodyTests = []test{
	{name: "EverySizeIsReadBackExactly", run: everySize},
	{name: "DraftsAreReadBeforeTheyAreStored", run: draftsOpen},
	{name: "DiscardedDraftsLeaveNothing", run: draftsDiscarded},
	{name: "DiscardAfterAcceptKeepsTheMessage", run: discardAfterAccept},
	{name: "MetasComeInTheOrderAsked", run: metasInOrder},
	{name: "ManyBodiesOpenAtOnce", run: openBodies},
	{name: "MetasOfARangeComeInUIDOrder", run: metasInRange},
	{name: "OpenBodiesNeverReadWrongOctets", run: openBodyOutlives},
	{name: "MissingBodiesAreNotFound", run: missingBodies},
}

func everySize(e *env) {
	a := e.account()
	sizes := []int{0, 1, 2, 3000, 3999, 4000, 4001, 16_383, 16_384, 16_385, 64 << 10, 1 << 20}
	if !e.o.Short {
		sizes = append(sizes, 5<<20, 5<<20+1)
	}
	heads := []int{0, 1, 100, 5000}
	type stored struct {
		want []byte
		id   store.MessageID
	}
	var list []stored
	for i, n := range sizes {
		body, head := fill(n, byte(i)), fill(heads[i%len(heads)], byte(100+i))
		f := store.Filing{Role: store.RoleInbox, Head: head, Meta: fill(i*1000, 7)}
		got, err := e.accept(e.acceptance(a, body, f))
		e.must(err)
		list = append(list, stored{append(head, body...), got.Filed[0].Message})
	}
	e.must(together(len(list), func(i int) error { return e.compare(a, list[i].id, list[i].want) }))
	for i, x := range e.index(a, e.box(a, "INBOX").ID).Entries {
		if x.Size != int64(len(list[i].want)) {
			e.t.Errorf("size %d of %d octets", x.Size, len(list[i].want))
		}
	}
	e.verify(a)
}

// compare reads a message whole and in random pieces; any goroutine may.
func (e *env) compare(a store.Account, id store.MessageID, want []byte) error {
	b, err := a.OpenBody(e.ctx, id)
	if err != nil {
		return err
	}
	defer b.Close()
	return compareBody(b, want)
}

func compareBody(b store.Body, want []byte) error {
	size := int64(len(want))
	if b.Size() != size {
		return fmt.Errorf("size is %d, want %d", b.Size(), size)
	}
	whole, err := io.ReadAll(io.NewSectionReader(b, 0, size))
	if err != nil || !bytes.Equal(whole, want) {
		return fmt.Errorf("body of %d octets reads differently (%w)", size, err)
	}
	random := rand.New(rand.NewPCG(1, uint64(size)))
	for range 50 {
		off := random.Int64N(size + 1)
		p := make([]byte, random.IntN(10_000)+1)
		n, err := b.ReadAt(p, off)
		left := want[off:]
		if n != min(len(p), len(left)) || !bytes.Equal(p[:n], left[:n]) {
			return fmt.Errorf("ReadAt(%d octets, %d) of %d read %d", len(p), off, size, n)
		}
		if n < len(p) && !errors.Is(err, io.EOF) || n == len(p) && err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("ReadAt(%d octets, %d) of %d: %d, %v", len(p), off, size, n, err)
		}
	}
	if n, err := b.ReadAt(make([]byte, 1), size+10); n != 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("ReadAt behind the end: %d, %v", n, err)
	}
	return nil
}

func draftsOpen(e *env) {
	a := e.account()
	for _, n := range []int{0, 1, 4001, 300_000, 2 << 20} {
		want := fill(n, 3)
		d, err := e.draft(want)
		e.must(err)
		if d.Size() != int64(n) {
			e.t.Errorf("draft of %d octets says %d", n, d.Size())
		}
		for range 2 {
			b, err := d.Open()
			e.must(err)
			if err := compareBody(b, want); err != nil {
				e.t.Errorf("draft: %v", err)
			}
			e.must(b.Close())
		}
		got, err := e.s.Accept(e.ctx, &store.Acceptance{Key: e.ids.New(), Time: time.Now(), Body: d, Account: a.ID(), Filings: []store.Filing{inbox()}})
		e.must(err)
		d.Discard()
		if err := e.compare(a, got.Filed[0].Message, want); err != nil {
			e.t.Error(err)
		}
	}
}

func draftsDiscarded(e *env) {
	a := e.account()
	before := e.state(a)
	for i := range 20 {
		d, err := e.draft(fill(i*100_000, byte(i)))
		e.must(err)
		d.Discard()
		d.Discard()
	}
	e.unchanged(a, before)
	room, err := e.s.Room(e.ctx)
	if err != nil || room.ReadOnly != nil || room.Free <= 0 || room.Total < room.Free {
		e.t.Errorf("room %+v, %v", room, err)
	}
}

func discardAfterAccept(e *env) {
	a := e.account()
	for _, n := range []int{10, 100_000, 1_500_000} {
		body := fill(n, 9)
		m := e.acceptance(a, body, inbox())
		got, err := e.s.Accept(e.ctx, m)
		e.must(err)
		m.Body.Discard()
		m.Body.Discard()
		if err := e.compare(a, got.Filed[0].Message, body); err != nil {
			e.t.Error(err)
		}
	}
}

func metasInOrder(e *env) {
	a := e.account()
	var ids []store.MessageID
	for i := range 150 {
		f := inbox()
		f.Meta = fmt.Appendf(nil, "meta %d", i)
		ids = append(ids, e.file(a, "x", f).Message)
	}
	missing := ids[len(ids)-1] + 10_000
	asked := []store.MessageID{missing, ids[149], ids[0]}
	asked = append(append(asked, ids...), missing, ids[7], ids[7])
	want := append(append([]store.MessageID{ids[149], ids[0]}, ids...), ids[7], ids[7])
	var got []store.MessageID
	e.must(a.Metas(e.ctx, asked, func(id store.MessageID, meta []byte) error {
		if i := int(id - ids[0]); i < 0 || i >= len(ids) || ids[i] == id && string(meta) != fmt.Sprint("meta ", i) {
			e.t.Errorf("message %d has meta %q", id, meta)
		}
		got = append(got, id)
		// The callback may use the store (a client is slow, others go on).
		if len(got) == 1 {
			e.file(a, "meanwhile", inbox())
		}
		return nil
	}))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		e.t.Errorf("metas of %v, want %v", got, want)
	}
	stop := errors.New("enough")
	calls := 0
	err := a.Metas(e.ctx, ids, func(store.MessageID, []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		e.t.Errorf("%d calls, %v", calls, err)
	}
}

func openBodies(e *env) {
	a, other := e.account(), e.account()
	var ids []store.MessageID
	var texts []string
	for i, n := range []int{10, 100_000, 5000, 1 << 20} {
		texts = append(texts, string(fill(n, byte(i))))
		ids = append(ids, e.file(a, texts[i], inbox()).Message)
	}
	foreign := e.file(other, "not yours", inbox()).Message
	asked := append([]store.MessageID{foreign, ids[0] + 1_000_000}, ids...)
	bodies, err := a.OpenBodies(e.ctx, append(asked, ids[1]))
	e.must(err)
	if bodies[0] != nil || bodies[1] != nil {
		e.t.Error("a message that is not there was opened")
	}
	want := append(texts, texts[1])
	for i, b := range bodies[2:] {
		if len(want[i]) > store.SmallBody {
			if got := e.drain(b); got != want[i] {
				e.t.Errorf("body %d has %d octets", i, len(got))
			}
		}
	}
	_, _, err = a.Expunge(e.ctx, e.box(a, "INBOX").ID, all(), false)
	e.must(err)
	for i, b := range bodies[2:] { // the small ones do not go away
		if len(want[i]) <= store.SmallBody {
			if got := e.drain(b); got != want[i] {
				e.t.Errorf("body %d has %d octets", i, len(got))
			}
		}
	}
}

func metasInRange(e *env) {
	a, other := e.account(), e.account()
	box := e.box(a, "INBOX").ID
	for i := range 6 {
		f := inbox()
		f.Meta = fmt.Appendf(nil, "meta %d", i+1)
		e.file(a, "x", f)
		e.file(other, "x", inbox())
	}
	_, _, err := a.Expunge(e.ctx, box, []store.UIDRange{{First: 4, Last: 4}}, false)
	e.must(err)
	got := ""
	e.must(a.MetasIn(e.ctx, box, store.UIDRange{First: 2, Last: 5}, func(uid store.UID, id store.MessageID, meta []byte) error {
		if id == 0 || string(meta) != fmt.Sprint("meta ", uid) {
			e.t.Errorf("UID %d, message %d has meta %q", uid, id, meta)
		}
		if got == "" {
			e.file(a, "meanwhile", inbox()) // the callback may use the store
		}
		got += fmt.Sprint(uid, " ")
		return nil
	}))
	if got != "2 3 5 " {
		e.t.Errorf("metas of %q", got)
	}
	e.fileMany(a, box, 300)
	first := store.UID(8) // they follow on the six and the one that came meanwhile
	for _, last := range []store.UID{first + 63, first + 64, first + 127, 1<<32 - 1} {
		next := first
		e.must(a.MetasIn(e.ctx, box, store.UIDRange{First: first, Last: last}, func(uid store.UID, _ store.MessageID, _ []byte) error {
			if uid != next {
				e.t.Errorf("UID %d where %d comes", uid, next)
			}
			next = uid + 1
			return nil
		}))
		if end := min(uint64(last)+1, uint64(first)+300); uint64(next) != end {
			e.t.Errorf("to %d: it ended before %d", last, next)
		}
	}
	stop, calls := errors.New("enough"), 0
	err = a.MetasIn(e.ctx, box, all()[0], func(store.UID, store.MessageID, []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		e.t.Errorf("%d calls, %v", calls, err)
	}
}

func openBodyOutlives(e *env) {
	a := e.account()
	for _, n := range []int{10, 100_000, 2 << 20} {
		body := fill(n, 5)
		f := e.file(a, string(body), inbox())
		b, err := a.OpenBody(e.ctx, f.Message)
		e.must(err)
		_, _, err = a.Expunge(e.ctx, f.Mailbox, all(), false)
		e.must(err)
		for i := range 5 {
			e.file(a, string(fill(n, byte(10+i))), inbox())
			_, _, err = a.Expunge(e.ctx, f.Mailbox, all(), false)
			e.must(err)
		}
		// An engine may let a message go while it is read, never mix it up.
		text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err == nil && !bytes.Equal(text, body) || !bytes.HasPrefix(body, text) {
			e.t.Error("a body opened before its message was expunged reads differently now")
		}
		e.must(b.Close())
	}
}

func missingBodies(e *env) {
	a := e.account()
	_, err := a.OpenBody(e.ctx, 123_456_789)
	e.wants(err, store.ErrNotFound, "OpenBody of no message")
	_, err = e.s.Queue().OpenBody(e.ctx, e.ids.New())
	e.wants(err, store.ErrNotFound, "OpenBody of no queued message")
}

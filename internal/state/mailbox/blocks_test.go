package mailbox

import (
	"testing"

	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

func TestBlocksCoverAllUIDsOnce(t *testing.T) {
	t.Parallel()
	for _, uid := range []store.UID{1, 2, 255, 256, 257, 511, 512, 1<<32 - 1} {
		span := SpanOf(BlockOf(uid))
		if uid < span.First || uid > span.Last || uid > 1 && BlockOf(span.First) != BlockOf(span.Last) {
			t.Errorf("UID %d is not in %v", uid, span)
		}
	}
}

func TestBlocksKeepWithinTheirBoundAndDoNotChurn(t *testing.T) {
	t.Parallel()
	s, err := sqlstore.OpenSQLite(t.Context(), t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	one, two := &Mailbox{account: s.Account(1), id: 1}, &Mailbox{account: s.Account(1), id: 2}
	b := NewBlocks[int](10 * (100 + blockOverhead))
	for n := range 20 {
		b.Put(one, n, n, 100)
	}
	for n := range 20 {
		if v, ok := b.Get(one, n); ok != (n < 10) || ok && v != n {
			t.Errorf("block %d: %d %t", n, v, ok)
		}
	}
	for n := range 4 {
		b.Put(two, n, -n, 100)
	}
	b.Put(two, 3, 77, 50) // replaces
	if v, ok := b.Get(two, 3); !ok || v != 77 {
		t.Error("a block was not replaced:", v, ok)
	}
	if _, ok := b.Get(one, 0); ok {
		t.Error("the block used longest ago stayed")
	}
	if b.size > b.limit || b.size != 9*(100+blockOverhead)+50+blockOverhead || len(b.at) != 10 || b.used.Len() != 10 {
		t.Errorf("%d octets in %d blocks", b.size, len(b.at))
	}
	three := &Mailbox{account: s.Account(1), id: 3}
	b.Put(three, 99, 0, b.limit)
	if _, ok := b.Get(three, 99); ok {
		t.Error("more than the bound was kept")
	}
	if len(b.at) != 10 {
		t.Errorf("a block above the bound left %d of 10", len(b.at))
	}
}

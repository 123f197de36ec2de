package ban

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"posthorn/internal/state/store"
)

// key names a ban: a host can have one of each kind.
type key struct {
	host netip.Prefix
	kind store.BanKind
}

// kinds are the kinds of bans, the one that holds first in front.
var kinds = [...]store.BanKind{store.BanManual, store.BanDay, store.BanFailures}

// table is the bans in memory.
type table struct {
	rows map[key]store.BanRow
	// lengths are the prefix lengths in use by family, the longest first. One
	// that is not in use any more stays until the table is made anew.
	lengths [2][]int
}

func newTable(rows []store.BanRow) *table {
	t := &table{rows: make(map[key]store.BanRow, len(rows))}
	for _, r := range rows {
		t.put(r)
	}
	return t
}

func (t *table) put(r store.BanRow) {
	t.rows[key{r.Host, r.Kind}] = r
	all := &t.lengths[family(r.Host.Addr())]
	longer := func(a, b int) int { return cmp.Compare(b, a) }
	if i, ok := slices.BinarySearchFunc(*all, r.Host.Bits(), longer); !ok {
		*all = slices.Insert(*all, i, r.Host.Bits())
	}
}

func family(ip netip.Addr) int {
	if ip.Is6() {
		return 1
	}
	return 0
}

// find returns the ban in force of the first kind that has one.
func (t *table) find(client netip.Addr, now time.Time) (store.BanRow, bool) {
	if len(t.rows) == 0 {
		return store.BanRow{}, false
	}
	for _, kind := range kinds {
		for _, bits := range t.lengths[family(client)] {
			p, err := client.Prefix(bits)
			if err != nil {
				continue // no prefix of the family is so long
			}
			if r, ok := t.rows[key{p, kind}]; ok && InForce(r, now) {
				return r, true
			}
		}
	}
	return store.BanRow{}, false
}

// InForce reports a ban that has not ended.
func InForce(r store.BanRow, now time.Time) bool { return r.Until.IsZero() || now.Before(r.Until) }

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/state/greylist"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// held is what something that remembers takes, measured in a process of its own.
type held struct {
	Keys, Cap int   // remembered, and at most
	Heap      int64 // octets more than before
	File      int64 // octets on disk
	Seconds   float64
}

// holdMain fills one thing: hold greylist|windows|distinct N DIR.
func holdMain(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: bench hold greylist|windows|distinct N DIR")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	before, begin := heap(), time.Now()
	var h held
	switch args[0] {
	case "greylist":
		h, err = holdGreylist(ctx, n, args[2], before)
	case "windows":
		h = holdWindows(n, before)
	case "distinct":
		h = holdDistinct(n, before)
	default:
		err = fmt.Errorf("nothing holds %q", args[0])
	}
	if err != nil {
		return err
	}
	h.Seconds = time.Since(begin).Seconds()
	return json.NewEncoder(os.Stdout).Encode(h)
}

// heap is what is in use after garbage was collected.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// stranger is the i-th address; they come in no order and none comes twice.
func stranger(i int) netip.Addr {
	x := uint32(i) * 2654435761
	return netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
}

// holdGreylist lets clients try once, and one of ten a second time.
func holdGreylist(ctx context.Context, n int, dir string, before int64) (h held, err error) {
	s, err := sqlstore.OpenSQLite(ctx, dir, sqlstore.Options{})
	if err != nil {
		return h, err
	}
	rules := store.GreylistRules{Interval: time.Minute, Wait: 8 * time.Hour, Expiry: 35 * 24 * time.Hour, Renew: true, Most: n}
	l := greylist.Open(s.Greylist(), greylist.Options{Rules: func() store.GreylistRules { return rules }})
	now := time.Now()
	err = attempts(ctx, l, n, rules, func(i int) time.Time { return now.Add(time.Duration(i)*time.Microsecond - time.Hour) })
	if err == nil {
		err = attempts(ctx, l, n/10, rules, func(int) time.Time { return now })
	}
	h.Heap, h.Cap = heap()-before, n
	total, _, counted := s.Greylist().Count(ctx)
	h.Keys = int(total)
	if err = errors.Join(err, counted, l.Close(), s.Close()); err != nil {
		return h, err
	}
	info, err := os.Stat(filepath.Join(dir, "posthorn.db"))
	if err == nil {
		h.File = info.Size()
	}
	return h, err
}

// attempts lets the first n strangers try, many at once.
func attempts(ctx context.Context, l *greylist.List, n int, rules store.GreylistRules, at func(int) time.Time) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	failed := make([]error, 512)
	for w := range failed {
		wg.Go(func() {
			for failed[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				row := store.GreylistRow{Key: stranger(i).String(), Sender: fmt.Sprintf("sender%d@host%d.example", i, i%1000),
					Recipient: fmt.Sprintf("user%d@example.test", i%500), Helo: fmt.Sprintf("mail%d.example.net", i%5000)}
				_, _, failed[w] = l.Attempt(ctx, row, at(i), rules)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// holdWindows offers keys that are all different.
func holdWindows(n int, before int64) held {
	w, now := limit.NewWindows(limit.WindowsOptions{}), time.Now()
	for i := range n {
		w.Count(1, stranger(i), now, 100, time.Minute)
	}
	after, s := heap(), w.Stats()
	runtime.KeepAlive(w)
	return held{Keys: s.Keys, Cap: s.Cap, Heap: after - before}
}

// holdDistinct offers items of hosts; one host of eight comes back with others.
func holdDistinct(n int, before int64) held {
	d, day := limit.NewDistinct(limit.DistinctOptions{}), limit.DayOf(time.Now(), time.UTC)
	for i := range n {
		host := i
		if i%8 == 0 {
			host = rand.IntN(i + 1)
		}
		d.Note(limit.Host(stranger(host)), "nobody"+strconv.Itoa(i)+"@example.test", day, 20)
	}
	after, s := heap(), d.Stats()
	runtime.KeepAlive(d)
	return held{Keys: s.Keys, Cap: s.Cap, Heap: after - before}
}

// What is allowed to each: a table's own promise for itself, and for the
// greylist the memory of the store's pages and the clients known well.
var holders = []struct {
	name, what string
	heap       int64
}{
	{"greylist", "%s greylist entries: heap; file", 64 << 20},
	{"windows", "%s keys offered to the limits by host: heap", 72 << 20},
	{"distinct", "%s keys offered to the limits of unknown recipients: heap", 32 << 20},
}

// tables measures what a flood of strangers costs in memory and on disk.
func (b *bench) tables(ctx context.Context) error {
	for _, x := range holders {
		n := b.offered
		if x.name == "greylist" {
			n = b.greylisted
		}
		dir := filepath.Join(b.dir, x.name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		var h held
		if err := b.ask(ctx, []string{"hold", x.name, strconv.Itoa(n), dir}, &h); err != nil {
			return err
		}
		file := ""
		if h.File > 0 {
			file = fmt.Sprintf("; %.0f MB, %d octets an entry", float64(h.File)/(1<<20), h.File/int64(max(h.Keys, 1)))
		}
		b.report.add(fmt.Sprintf(x.what, thousands(n)), fmt.Sprintf("<= %d MB", x.heap>>20), h.Heap <= x.heap && h.Keys <= h.Cap,
			"%+.1f MB%s; %s kept of at most %s, in %.0f s", float64(h.Heap)/(1<<20), file, thousands(h.Keys), thousands(h.Cap), h.Seconds)
	}
	return nil
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

package sqlstore

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// BenchmarkBodies opens and reads bodies of one account: random ones one by
// one, which is what clients ask for that show a message, and runs of 32.
func BenchmarkBodies(b *testing.B) {
	for _, size := range []int{2000, 20_000} {
		s := openTest(b, Options{})
		a, ids := benchBodies(b, s, 5000, size)
		buf := make([]byte, size)
		read := func(b *testing.B, body store.Body, err error) {
			if err == nil {
				_, err = body.ReadAt(buf, 0)
			}
			if err == nil {
				err = body.Close()
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("size=%d/one", size), func(b *testing.B) {
			b.ReportAllocs()
			began, before := time.Now(), used(b)
			for range b.N {
				body, err := a.OpenBody(b.Context(), ids[rand.IntN(len(ids))])
				read(b, body, err)
			}
			report(b, before, int64(b.N), time.Since(began))
		})
		b.Run(fmt.Sprintf("size=%d/run", size), func(b *testing.B) {
			b.ReportAllocs()
			began, before := time.Now(), used(b)
			for n := 0; n < b.N; n += 32 {
				i := rand.IntN(len(ids) - 32)
				bodies, err := a.OpenBodies(b.Context(), ids[i:i+32])
				for _, body := range bodies {
					read(b, body, err)
				}
			}
			report(b, before, int64(b.N), time.Since(began))
		})
	}
}

// benchBodies appends n messages of a size to the INBOX of a new account.
func benchBodies(b *testing.B, s *Store, n, size int) (store.Account, []store.MessageID) {
	a := s.Account(addAccount(b, s, fmt.Sprint("reader", size)))
	inbox, err := a.FindMailbox(b.Context(), "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	for filed := 0; filed < n; filed += 1000 {
		items := make([]store.AppendItem, 1000)
		for i := range items {
			d, err := s.NewDraft(b.Context(), int64(size))
			if err == nil {
				_, err = d.Write(make([]byte, size))
			}
			if err != nil {
				b.Fatal(err)
			}
			items[i] = store.AppendItem{Body: d, Internal: time.Now()}
		}
		if _, err := a.Append(b.Context(), inbox.ID, items); err != nil {
			b.Fatal(err)
		}
	}
	x, err := a.Index(b.Context(), inbox.ID)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]store.MessageID, len(x.Entries))
	for i, e := range x.Entries {
		ids[i] = e.Message
	}
	return a, ids
}

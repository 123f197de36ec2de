package sqlstore

import (
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// Sizes of the large mailbox and of the sets of its messages that are worked on.
const (
	benchMailbox = 100_000
	benchSet     = 10_000
)

// BenchmarkMailbox works on a mailbox of 100,000 messages and reports the
// milliseconds of each operation. Run it with -benchtime 1x.
func BenchmarkMailbox(b *testing.B) {
	for range b.N {
		benchmarkMailbox(b, openTest(b, Options{}))
	}
}

// BenchmarkMailboxPostgres is BenchmarkMailbox on PostgreSQL.
func BenchmarkMailboxPostgres(b *testing.B) {
	for range b.N {
		benchmarkMailbox(b, openPG(b, database(b)))
	}
}

func benchmarkMailbox(b *testing.B, s *Store) {
	ctx := b.Context()
	a := s.Account(addAccount(b, s, "alice"))
	inbox := fillMailbox(b, s, a, benchMailbox)
	to, err := a.CreateMailbox(ctx, "To", store.RoleNone)
	if err != nil {
		b.Fatal(err)
	}
	all := []store.UIDRange{{First: 1, Last: 1<<32 - 1}}
	first := store.UID(1)
	set := func() []store.UIDRange { return []store.UIDRange{{First: first, Last: first + benchSet - 1}} }
	// Every second message: no two of them in one range.
	scattered := func() (list []store.UIDRange) {
		for uid := first; len(list) < benchSet; uid += 2 {
			list = append(list, store.UIDRange{First: uid, Last: uid})
		}
		return list
	}
	for _, x := range []struct {
		name string
		run  func() error
	}{
		{"Index", func() error { _, err := a.Index(ctx, inbox); return err }},
		{"SetFlagsOfAll", func() error {
			_, err := a.SetFlags(ctx, inbox, store.FlagUpdate{UIDs: all, Op: store.FlagsAdd, Flags: store.FlagSeen})
			return err
		}},
		{"SetOneFlag", func() error {
			_, err := a.SetFlags(ctx, inbox, store.FlagUpdate{UIDs: []store.UIDRange{{First: 500, Last: 500}}, Op: store.FlagsAdd, Flags: store.FlagFlagged})
			return err
		}},
		{"SetFlagsScattered", func() error {
			_, err := a.SetFlags(ctx, inbox, store.FlagUpdate{UIDs: scattered(), Op: store.FlagsAdd, Flags: store.FlagAnswered})
			return err
		}},
		{"Copy", func() error { _, err := a.Copy(ctx, inbox, set(), to.ID); return err }},
		{"CopyScattered", func() error { _, err := a.Copy(ctx, inbox, scattered(), to.ID); return err }},
		{"Move", func() error { _, err := a.Move(ctx, inbox, set(), to.ID); first += benchSet; return err }},
		{"MoveScattered", func() error { _, err := a.Move(ctx, inbox, scattered(), to.ID); first += 2 * benchSet; return err }},
		{"Expunge", func() error {
			_, _, err := a.Expunge(ctx, inbox, set(), false)
			first += benchSet
			return err
		}},
		{"SetDeleted", func() error {
			u := store.FlagUpdate{UIDs: scattered(), Op: store.FlagsAdd, Flags: store.FlagDeleted}
			first += 2 * benchSet
			_, err := a.SetFlags(ctx, inbox, u)
			return err
		}},
		{"ExpungeDeleted", func() error {
			_, _, err := a.Expunge(ctx, inbox, all, true)
			return err
		}},
		{"ExpungeLast", func() error {
			_, err := a.SetFlags(ctx, inbox, store.FlagUpdate{UIDs: []store.UIDRange{{First: benchMailbox, Last: benchMailbox}}, Op: store.FlagsAdd, Flags: store.FlagDeleted})
			if err != nil {
				return err
			}
			_, _, err = a.Expunge(ctx, inbox, all, true)
			return err
		}},
	} {
		start := time.Now()
		if err := x.run(); err != nil {
			b.Fatal(x.name, err)
		}
		took := time.Since(start)
		b.ReportMetric(float64(took.Microseconds())/1000, x.name+"-ms")
	}
}

// fillMailbox appends n small messages to INBOX.
func fillMailbox(b *testing.B, s *Store, a store.Account, n int) store.MailboxID {
	inbox, err := a.FindMailbox(b.Context(), "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	for n > 0 {
		items := make([]store.AppendItem, min(n, 5000))
		for i := range items {
			d, err := s.NewDraft(b.Context(), 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := d.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
				b.Fatal(err)
			}
			items[i] = store.AppendItem{Body: d, Meta: []byte("meta"), Internal: time.Now()}
		}
		if _, err := a.Append(b.Context(), inbox.ID, items); err != nil {
			b.Fatal(err)
		}
		n -= len(items)
	}
	return inbox.ID
}

package sqlstore

import (
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Anybody may send from <"a@b">, and postmaster has to take it.
func TestAddressesWithoutADomainAreReadBack(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		for _, local := range []string{"root", "a@b", `@`, `\`, `"`, " ", strings.Repeat("x", mail.MaxAddress), strings.Repeat(`"`, 126)} {
			a := outgoing(t, s, ids.New())
			a.Queue.Sender = mail.Address{Local: local}
			if _, err := s.Accept(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			a.Body.Discard()
			got, err := s.Queue().Claim(t.Context(), "n", false, 10, time.Minute)
			if err != nil || len(got) != 1 || got[0].Message.Sender.Local != local || got[0].Message.Sender.Domain != "" {
				t.Fatalf("%q: %v %v", local, got, err)
			}
		}
	})
}

// What may be accepted must be readable, or the message stays where it is.
func TestTheLongestAddressesAreReadBack(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		for _, text := range []string{
			strings.Repeat("x", mail.MaxAddress-len("@far.test")) + "@far.test", `"` + strings.Repeat(`\"`, 121) + `"@far.test`,
			strings.Repeat("é", 100) + "@far.test", "x@" + strings.Repeat("d123456789.", 22) + "far.test",
		} {
			want := address(t, text)
			a := outgoing(t, s, ids.New())
			a.Queue.Sender, a.Queue.Recipients[0].Address = want, want
			if _, err := s.Accept(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			a.Body.Discard()
			got, err := s.Queue().Claim(t.Context(), "n", false, 10, time.Minute)
			if err != nil || len(got) != 1 || got[0].Message.Sender != want || got[0].Message.Recipients[0].Address != want {
				t.Fatalf("%q: %v %v", text, got, err)
			}
		}
	})
}

// A row that no version of this program wrote, or a later one, must not stop
// what comes behind it.
func TestARecipientThatCannotBeReadIsPutOnHold(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		var keys []string
		for range 4 {
			a := outgoing(t, s, ids.New())
			if _, err := s.Accept(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			a.Body.Discard()
			keys = append(keys, a.Key.String())
			id := a.Key
			err := s.write(t.Context(), func(tx *txn) error {
				switch len(keys) {
				case 1:
					return tx.put(`UPDATE queue_recipient SET address = ? WHERE queue_id = ?`, "a@b@c", id[:])
				case 3:
					return tx.put(`UPDATE queue SET sender = ? WHERE id = ?`, "<", id[:])
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, limit := range []int{1, 10} { // the first row alone, and with others
			if _, err := s.Queue().Claim(t.Context(), "n", false, limit, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.Queue().List(t.Context(), store.QueueFilter{})
		if err != nil || len(list) != 4 {
			t.Fatal(len(list), err)
		}
		for i, e := range list {
			r := e.Recipients[0]
			if bad := i%2 == 0; bad != (r.State == store.Held) || bad != strings.HasPrefix(r.LastError, "cannot be read") || bad == (r.Claimed == "n") {
				t.Errorf("message %d: %+v", i, r)
			}
		}
		if list[0].Recipients[0].Address.Local != "a@b@c" {
			t.Error("the list does not show what is there:", list[0].Recipients[0].Address)
		}
	})
}

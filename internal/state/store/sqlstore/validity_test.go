package sqlstore

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// lastValidity says that a UIDVALIDITY was the last one given.
func lastValidity(t *testing.T, s *Store, n int64) {
	t.Helper()
	err := s.write(t.Context(), func(t *txn) error {
		return t.put(`UPDATE counter SET value = ? WHERE name = ?`, n, validityCounter)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUIDValidityGrowsAfterTheClockWasSetBack(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ahead := time.Now().Add(10 * 365 * 24 * time.Hour).Unix()
		first := addAccount(t, s, "first")
		lastValidity(t, s, ahead)
		for i, id := range []store.AccountID{first, addAccount(t, s, "second"), first} {
			b, err := s.Account(id).CreateMailbox(t.Context(), fmt.Sprint("Box ", i), store.RoleNone)
			if err != nil {
				t.Fatal(err)
			}
			if n := int64(b.UIDValidity); n <= ahead || n > ahead+20 {
				t.Errorf("UIDVALIDITY %d where %d was given before", n, ahead)
			}
			ahead = int64(b.UIDValidity)
		}
	})
}

// A process of an older version that runs beside this one writes the
// account's last one and knows no counter.
func TestUIDValidityGrowsBesideAnOlderProcess(t *testing.T) {
	t.Parallel()
	s := openPG(t, database(t))
	id := addAccount(t, s, "alice")
	ahead := time.Now().Add(time.Hour).Unix()
	err := s.write(t.Context(), func(t *txn) error {
		return t.put(`UPDATE account_mail SET uid_validity = ? WHERE account_id = ?`, ahead, id)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"One", "Two"} {
		b, err := s.Account(id).CreateMailbox(t.Context(), name, store.RoleNone)
		if err != nil {
			t.Fatal(err)
		}
		if ahead++; int64(b.UIDValidity) != ahead {
			t.Errorf("%s has UIDVALIDITY %d, want %d", name, b.UIDValidity, ahead)
		}
	}
}

func TestUIDValidityEndsAt32Bits(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		id := addAccount(t, s, "alice")
		lastValidity(t, s, math.MaxUint32-1)
		b, err := s.Account(id).CreateMailbox(t.Context(), "Last", store.RoleNone)
		if err != nil || b.UIDValidity != math.MaxUint32 {
			t.Errorf("the last one is %d, %v", b.UIDValidity, err)
		}
		for range 2 {
			if b, err := s.Account(id).CreateMailbox(t.Context(), "None", store.RoleNone); !errors.Is(err, store.ErrLimit) {
				t.Errorf("past the end: %d, %v", b.UIDValidity, err)
			}
		}
	})
}

func TestAClockOfAnotherCenturyTakesNoUIDValidity(t *testing.T) {
	t.Parallel()
	for year, want := range map[int]int64{1960: 1, 1970: 1, 2026: 1_767_225_600, 2105: 4_260_211_200, 2106: 1, 2107: 1, 9999: 1} {
		if got := clockValidity(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("in %d: %d, want %d", year, got, want)
		}
	}
}

// What version 1 gave is below what is given now.
func TestUIDValidityGoesOnFromAnOlderSchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loadVersion(t, dir)
	s := reopen(t, dir, Options{})
	var counter, most int64
	err := s.read(t.Context(), func(t tx) (err error) {
		if counter, err = counterValue(t, validityCounter); err != nil {
			return err
		}
		_, err = one(t, `SELECT MAX(uid_validity) FROM mailbox`, nil, func(r row) error { most = r.int(0); return nil })
		return err
	})
	if err != nil || most == 0 || counter < most {
		t.Errorf("the counter begins at %d where %d was given, %v", counter, most, err)
	}
}

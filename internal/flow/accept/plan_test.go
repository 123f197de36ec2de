package accept

import (
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// spelled are recipients that lead to the same places: the spellings of one
// address.
func spelled(t *testing.T, to Recipient, spellings ...string) (list []Recipient) {
	t.Helper()
	for _, s := range spellings {
		to.Address = mail.Address{Local: s}
		if s != "postmaster" {
			to.Address = addr(t, s)
		}
		list = append(list, to)
	}
	return list
}

func TestPostmasterGetsOneCopyInWhateverSpelling(t *testing.T) {
	names := []string{"Postmaster@example.test", "postmaster", "POSTMASTER@other.test", "mailer-daemon@example.test", "postmaster@example.test"}
	away, copies := []mail.Address{addr(t, "boss@remote.example")}, []mail.Address{addr(t, "watch@remote.example")}
	for what, c := range map[string]struct {
		to   Recipient
		rows int
	}{
		"an account":                      {Recipient{System: true, Accounts: []store.AccountID{7}}, 0},
		"an account and a copy elsewhere": {Recipient{System: true, Accounts: []store.AccountID{7}, Copies: copies}, 1},
		"an address elsewhere":            {Recipient{System: true, Remote: away}, 1},
		"an address elsewhere and a copy": {Recipient{System: true, Remote: away, Copies: copies}, 1},
	} {
		e, content := message(t, spelled(t, c.to, names...)...)
		a := run(t, e, content)
		rows := 0
		if a.Queue != nil {
			rows = len(a.Queue.Recipients)
			if got := a.Queue.Recipients[0].Address.String(); got != names[0] {
				t.Errorf("%s: the queue has %s", what, got)
			}
		}
		if rows != c.rows || len(a.Filings) != len(c.to.Accounts) {
			t.Errorf("%s: %d filed, %d queued", what, len(a.Filings), rows)
		}
	}
}

func TestAddressesThatLeadElsewhereKeepTheirCopies(t *testing.T) {
	x, y := addr(t, "x@remote.example"), addr(t, "y@remote.example")
	e, c := message(t,
		Recipient{Address: addr(t, "one@example.test"), Remote: []mail.Address{x}},
		Recipient{Address: addr(t, "two@example.test"), Remote: []mail.Address{x}},
		Recipient{Address: addr(t, "ONE@example.test"), Remote: []mail.Address{x}},
		Recipient{Address: addr(t, "Two@example.test"), Remote: []mail.Address{y}}, // changed meanwhile
		Recipient{Address: x, Remote: []mail.Address{x}},
		Recipient{Address: addr(t, "X@remote.example"), Remote: []mail.Address{addr(t, "X@remote.example")}})
	var got []string
	for _, r := range run(t, e, c).Queue.Recipients {
		got = append(got, r.Address.String())
	}
	want := []string{"one@example.test", "two@example.test", "Two@example.test", "x@remote.example", "X@remote.example"}
	if len(got) != len(want) {
		t.Fatal(got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

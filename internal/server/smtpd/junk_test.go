package smtpd

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"posthorn/internal/policy"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/transcript"
)

// suspicious takes everything for junk, and keeps what it is told.
type suspicious struct{ told []string }

func (s *suspicious) Opinion(_ context.Context, _ store.AccountID, m *policy.Message, from policy.Sending) policy.Opinion {
	s.told = append(s.told, "asked about "+m.Structure.Envelope().Subject+" of "+from.Helo)
	return policy.Opinion{Known: true, Probability: 0.99}
}

func (s *suspicious) UnknownRecipient(*policy.Facts, string) bool { return false }

func (s *suspicious) Judged(f *policy.Facts, d *policy.Decision) {
	if f.Content == nil {
		s.told = append(s.told, "judged without content")
	}
	if d.Effects.Copy.Junk {
		s.told = append(s.told, "judged junk")
	}
}

func (s *suspicious) Accepted(*policy.Facts) { s.told = append(s.told, "accepted") }

// The filter of the account whose copy is filed at once is asked before the
// reply; others are left to the queue.
func TestOpinionOfTheFilterFilesInJunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(t), &suspicious{}
		defer w.close()
		w.server.Sources.Filter, w.server.Watch = s, s
		err := transcript.Run(`connect 192.0.2.1
S: 220 …
C: EHLO foo.example
S* 250 STARTTLS
C: MAIL FROM:<a@far.example>
S: 250 …
C: RCPT TO:<alice@example.test>
S: 250 …
C: RCPT TO:<bob@example.test>
S: 250 …
C: DATA
S: 354 …
C: Subject: prize
C:
C: x
C: .
S: 250 …
C: QUIT
S: 221 …
! filed alice 0
! queued 1
`, transcript.Options{Serve: w.serve, Commands: w.commands()})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"asked about prize of foo.example", "judged junk"}; !slices.Equal(s.told, want) {
			t.Errorf("%q", s.told)
		}
		list, err := w.store.Queue().List(t.Context(), store.QueueFilter{})
		if err != nil || len(list) != 1 || !list[0].Sift || list[0].Junk != "" {
			t.Errorf("%+v %v", list, err)
		}
		all, err := w.store.Account(w.accounts["alice"]).Mailboxes(t.Context())
		if i := slices.IndexFunc(all, func(b store.Mailbox) bool { return b.Role == store.RoleJunk }); err != nil || all[i].Messages != 1 {
			t.Errorf("%+v %v", all, err)
		}
	})
}

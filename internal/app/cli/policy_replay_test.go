package cli

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/policy"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/setting"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestReplayReadsWell(t *testing.T) {
	t.Parallel()
	id, err := ident.Parse("06fzzzz0001zzzzzzzzzzzzzzg")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
	row := func(sender, client string, n int, r policy.Replayed) manage.ReplayedSender {
		return manage.ReplayedSender{Sender: sender, Client: netip.MustParseAddr(client), Replayed: r, Attempts: n, Last: at, Examples: []ident.ID{id}}
	}
	p := manage.PolicyReplay{
		Understood: manage.Understood{Since: at.AddDate(0, 0, -7), Until: at.Add(time.Hour), Zone: "Europe/Berlin"}, Attempts: 1234,
		Added: []manage.AccessRule{{Name: "flooders", List: "block", Kind: "network", Value: "192.0.2.0/24", Discard: true}}, Removed: []string{"partner"},
		Settings: []setting.Difference{{Name: "policy.names.client", Old: "observe", New: "enforce", OldDefault: true}},
		Counts:   map[string]int{"same": 1190, "refused": 30, "deferred": 2, "discarded": 1, "held": 1, "junk": 1, "accepted": 4, "open": 5, "unknown": 5},
		Senders: []manage.ReplayedSender{
			row("eve@away.test", "192.0.2.7", 30, policy.Replayed{Before: policy.FateTaken, After: policy.FateRefused, Recipient: "bob@example.test", Recipients: 2, Verb: "RCPT",
				Check: "client-name", Reply: "550 5.7.25 Client host rejected", Reason: "192.0.2.7 has no name in DNS", Setting: "policy.names.client"}),
			row("", "2001:db8::7", 4, policy.Replayed{Before: policy.FateRefused, After: policy.FateTaken, Verb: "connect", Check: "banned", Reason: "banned until noon.", Ends: "connect",
				Unasked: []policy.Unasked{{Stage: "greeting", Checks: []string{"greeting"}}, {Stage: "rcpt", Checks: []string{"recipient-exists", "greylist"}}}}),
			row("a@late.test", "192.0.2.12", 1, policy.Replayed{Before: policy.FateRefused, After: policy.FateTaken, Verb: "RCPT", Check: "blocked-sender", Reason: "block rule", Ends: "RCPT"}),
			row("<>", "192.0.2.8", 1, policy.Replayed{Before: policy.FateRefused, After: policy.FateJunk, Recipient: "bob\x1b[2J@example.test", Recipients: 1, Check: "dmarc", Reason: "DMARC policy of away.test"}),
			row("a@else.test", "192.0.2.9", 1, policy.Replayed{Before: policy.FateDeferred, After: policy.FateTaken, Recipients: 1}),
		},
		Unknown: []manage.ReplayedSender{
			row("x@far.test", "192.0.2.10", 3, policy.Replayed{Unknown: true, Check: "blocklists", Missing: "list zen.example.net",
				Unasked: []policy.Unasked{{Stage: "rcpt", Checks: []string{"blocklists", "greylist"}}}}),
			row("y@far.test", "192.0.2.11", 2, policy.Replayed{Unknown: true, Missing: "the facts of the session: an earlier version recorded it"}),
		},
		Left: 7,
	}
	var out bytes.Buffer
	if err := writeReplay(&Streams{Out: &out}, p); err != nil {
		t.Fatal(err)
	}
	out.WriteString("\n----\n\n")
	if err := writeReplay(&Streams{Out: &out}, manage.PolicyReplay{Understood: manage.Understood{Since: at, Until: at.Add(time.Hour), Zone: "-03:00"}, Attempts: 1, Counts: map[string]int{"same": 1}}); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/replay.txt"
	got := out.Bytes()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not (%v):\n%s", file, err, got)
	}
}

func TestSettingsToTryAreNamesWithValues(t *testing.T) {
	t.Parallel()
	tried := rehearsal{Set: []string{"policy.hops.inbound=5", "policy.size.cap=", "policy.blocklists.lists=a.test=1,b.test"},
		AddRule: []string{"block ip 192.0.2.1"}, RemoveRule: []string{"partner"}}
	r, err := tried.input()
	if err != nil || len(r.Set) != 3 || len(r.Add) != 1 || len(r.Remove) != 1 || r.Set["policy.size.cap"] != "" || r.Set["policy.blocklists.lists"] != "a.test=1,b.test" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := (&rehearsal{Set: []string{"policy.hops.inbound"}}).input(); err == nil {
		t.Error("no value, no error")
	}
}

package record

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/ident"
)

var update = flag.Bool("update", false, "write the golden files anew")

func id(t *testing.T, tail string) ident.ID {
	t.Helper()
	id, err := ident.Parse("06fzzzz" + tail + "zzzzzzzzzzzzzzg")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// story is a session of which the outcome and the last steps are given.
func story(t *testing.T, o Outcome, steps ...Step) *Attempt {
	begin := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	passed := Check{Name: "relaying", Setting: "policy.trust", Action: "pass", Reason: "the domain is ours", Cost: 300}
	return &Attempt{
		ID: id(t, "0001"),
		Session: Session{
			ID: id(t, "0002"), Begin: begin, Listener: "smtp", Client: netip.MustParseAddr("192.0.2.7"), Hostname: "mx.away.test",
			Helo: "mx.away.test", Kind: "mx", Trust: "untrusted", TLS: "TLS 1.3",
		},
		HasSender: true, Sender: "eve@away.test", Recipients: []string{"bob@example.test", "carol@example.test"}, Outcome: o, End: 1234 * time.Millisecond,
		Steps: append([]Step{
			{After: 5 * time.Second, Verb: "connect", Reply: "220 mx.example.test ESMTP", Delay: 5 * time.Second},
			{After: 5100 * time.Millisecond, Verb: "MAIL", Argument: "<eve@away.test>", Reply: "250 2.1.0 ok", Checks: []Check{
				passed, {Name: "own-address", Setting: "policy.sender", Action: "pass", Skipped: "the client is trusted"},
				{Name: "helo-name", Action: "reject", Mode: "observe", Reason: "mx.away.test does not exist", Inputs: []Input{{"helo", "mx.away.test"}}},
			}},
		}, steps...),
	}
}

func TestBiographiesReadWell(t *testing.T) {
	day := func(h, m int) time.Time { return time.Date(2026, 3, 1, h, m, 0, 0, time.UTC) }
	refused := Step{
		After: 5200 * time.Millisecond, Verb: "RCPT", Argument: "<nobody@example.test>", Reply: "550 5.1.1 Recipient address rejected: no such user here",
		Check: "recipient-exists", Reason: "no account, alias or group has the address <nobody@example.test>\x1b[2J, and its domain has no catch-all",
		Setting: "the directory of accounts and addresses",
		Checks: []Check{
			{Name: "relaying", Setting: "policy.trust", Action: "pass", Reason: "the domain is ours"},
			{Name: "recipient-exists", Setting: "the directory of accounts and addresses", Action: "reject", Reason: "no account has the address", Inputs: []Input{{"recipient", "unknown"}}},
		},
	}
	held := Step{
		After: 5200 * time.Millisecond, Verb: "RCPT", Argument: "<bob@example.test>", Reply: "553 5.7.1 Sender address rejected: not logged in",
		Check: "own-address", Reason: "<alice@example.test> belongs to an account here and the client has not logged in",
		Setting: "policy.sender.own_outside",
	}
	sent := Step{After: 6 * time.Second, Verb: "content", Argument: "2000 octets", Reply: "250 2.0.0 queued as x"}
	connection := story(t, Refused)
	connection.ID, connection.HasSender, connection.Recipients = connection.Session.ID, false, nil
	connection.Steps = []Step{{Verb: "connect", Reply: "554 5.7.1 go away", Check: "ban", Reason: "banned until noon."}}
	judged := func(facts ...Input) Step {
		s := sent
		s.Facts = append([]Input{{"size", "2000"}}, facts...)
		s.Checks = []Check{
			{Name: "dmarc", Setting: "policy.authentic.reject", Action: "pass", Reason: "DMARC fails; the domain away.test asks for quarantine"},
			{Name: "list", Setting: "posthorn list", Action: "pass"},
		}
		return s
	}
	big := Step{After: 6 * time.Second, Verb: "content", Reply: "552 5.3.4 Message exceeds the size limit"}
	for name, b := range map[string]Biography{
		"junk": {Attempt: story(t, Accepted, judged(Input{FactJunk, "DMARC policy of away.test"}, Input{FactFiledBy, "dmarc"})), Events: []Event{
			{Time: day(10, 1), Kind: Filed, Recipient: "bob@example.test", Place: "Junk"}}},
		"quarantine": {Attempt: story(t, Accepted, judged(Input{FactHeld, "a program in disguise"}, Input{FactFiledBy, "list"}))},
		"unnamed":    {Attempt: story(t, Accepted, judged(Input{FactJunk, "somebody's wish"}))},
		"outgrown":   {Attempt: story(t, Refused, big)},
		"refused":    {Attempt: story(t, Refused, refused)},
		"held":       {Attempt: story(t, Refused, held, held)},
		"connection": {Attempt: connection},
		"aborted":    {Attempt: story(t, Aborted)},
		"broken": {Attempt: story(t, Deferred, Step{After: 6 * time.Second, Verb: "content",
			Reply: "451 4.3.0 Temporary problem, try again later", Reason: "the disk failed"})},
		"facts": {Attempt: story(t, Accepted, Step{Verb: "RCPT", Argument: "<bob@example.test>", Reply: "250 2.1.5 Ok",
			Checks: []Check{{Name: "disk-room", Action: "pass", Inputs: []Input{{"free", "38033879040"}}},
				{Name: "greylist", Action: "pass", Reason: "it is new (it has no name in DNS)", Inputs: []Input{{"why", "it has no name in DNS"}}}},
			Facts: []Input{{"free", "38033879040"}, {"leads to", "local 4 unlimited"}}})},
		"unwritable": {Attempt: story(t, Refused, Step{Verb: "RCPT", Argument: "<bø@example.test>", Reply: "553 5.6.7 Non-ASCII addresses need SMTPUTF8"})},
		"full": {Attempt: story(t, Deferred, Step{After: 6 * time.Second, Verb: "content", Reply: "452 4.2.2 Mailbox full",
			Reason: "the mailbox of bob@example.test holds 501 B of 10 KB, and the message has 20 KB"})},
		"faulty":    {Attempt: story(t, Refused, Step{After: 6 * time.Second, Verb: "content", Reply: "550 5.6.11 Content has bare CR or bare LF; lines must end in CRLF"})},
		"untouched": {Attempt: story(t, Accepted, sent)},
		"accepted": {Attempt: story(t, Accepted, refused, sent), Events: []Event{
			{Time: day(10, 1), Kind: Filed, Recipient: "bob@example.test", Place: "INBOX"},
			{Time: day(10, 1), Kind: Queued, Recipient: "carol@example.test"},
			{Time: day(10, 2), Kind: Delayed, Recipient: "carol@example.test", Place: "mx.other.test [198.51.100.1]", Reply: "451 4.7.1 later", Next: day(10, 7)},
			{Time: day(11, 0), Kind: Read, Recipient: "bob@example.test", Place: "INBOX"},
			{Time: day(12, 0), Kind: Deleted, Recipient: "bob@example.test", Place: "INBOX", By: "bob@example.test"},
		}},
		"queue": {Attempt: story(t, Accepted, sent), Events: []Event{
			{Time: day(10, 1), Kind: Queued},
			{Time: day(10, 1), Kind: Delivered, Recipient: "bob@example.test", Place: "mx.other.test", Reply: "250 2.0.0 ok"},
			{Time: day(10, 2), Kind: Failed, Recipient: "carol@example.test", Place: "mx.other.test", Reply: "550 5.1.1 unknown"},
			{Time: day(10, 2), Kind: Bounced, Recipient: "carol@example.test"},
		}},
		"expired": {Attempt: story(t, Accepted, sent), Events: []Event{
			{Time: day(10, 1), Kind: Queued, Recipient: "bob@away.test"},
			{Time: day(10, 2), Kind: Delayed, Recipient: "bob@away.test", Place: "mx.away.test [192.0.2.9]", Reply: "451 4.4.1 mx.away.test [192.0.2.9] does not answer", Next: day(10, 7)},
			{Time: day(14, 2), Kind: Bounced, Reply: "notice 06h04zqgpdr01fehbrd3x0wez8"},
			{Time: day(15, 0), Kind: Expired, Recipient: "bob@away.test", Place: "mx.away.test [192.0.2.9]", Reply: "451 4.4.7 Delivery time expired"},
			{Time: day(15, 0), Kind: Bounced, Reply: "notice 06h04ztzmxr0162swnthpmn6r8"},
		}},
		"moved": {Attempt: story(t, Accepted, sent), Events: []Event{
			{Time: day(10, 1), Kind: Filed, Recipient: "bob@example.test", Place: "INBOX"},
			{Time: day(10, 1), Kind: Filed, Recipient: "carol@example.test", Place: "INBOX"},
			{Time: day(11, 0), Kind: Read, Recipient: "bob@example.test", Place: "INBOX", By: "bob@example.test (IMAP)"},
			{Time: day(12, 0), Kind: Moved, Recipient: "bob@example.test", Place: "Projects", By: "bob@example.test (IMAP)"},
			{Time: day(13, 0), Kind: Read, Recipient: "carol@example.test", Place: "INBOX", By: "carol@example.test (POP3)"},
		}},
		"group": {Attempt: story(t, Accepted, sent), Events: []Event{
			{Time: day(10, 1), Kind: Filed, Recipient: "team@example.test", Place: "INBOX", Account: 1, Arrived: 7, Owner: "bob@example.test"},
			{Time: day(10, 1), Kind: Queued, Recipient: "team@example.test", Account: 2, Owner: "carol@example.test"},
			{Time: day(10, 2), Kind: Filed, Recipient: "team@example.test", Place: "INBOX", Account: 2, Arrived: 7, Owner: "carol@example.test"},
			{Time: day(11, 0), Kind: Read, Recipient: "team@example.test", Place: "INBOX", By: "bob@example.test (IMAP)", Account: 1, Arrived: 7},
			{Time: day(10, 1), Kind: Queued, Recipient: "team@example.test"},
			{Time: day(10, 2), Kind: Forwarded, Recipient: "team@example.test", Reply: "250 2.1.5 not sent on: the message was here before"},
		}},
		"forwarded": {Attempt: story(t, Accepted, sent), Via: id(t, "0004"), Events: []Event{
			{ID: id(t, "0001"), Time: day(10, 1), Kind: Filed, Recipient: "bob@example.test", Place: "INBOX", Account: 1, Arrived: 7, Owner: "bob@example.test"},
			{ID: id(t, "0001"), Time: day(10, 1), Kind: Queued, Recipient: "bob@example.test"},
			{ID: id(t, "0004"), Time: day(10, 2), Kind: Queued, Recipient: "friend@away.test"},
			{ID: id(t, "0001"), Time: day(10, 2), Kind: Forwarded, Recipient: "bob@example.test", Place: "friend@away.test", Other: id(t, "0004")},
			{ID: id(t, "0004"), Time: day(10, 3), Kind: Delayed, Recipient: "friend@away.test", Place: "mx.away.test", Reply: "451 4.7.1 later", Next: day(10, 7)},
		}},
		"onward": {Attempt: story(t, Accepted, sent), Events: []Event{
			{ID: id(t, "0001"), Time: day(10, 2), Kind: Forwarded, Recipient: "bob@example.test", Place: "friend@away.test", Other: id(t, "0004")},
		}},
		"released": {Attempt: story(t, Accepted, judged(Input{FactHeld, "a program in disguise"}, Input{FactFiledBy, "list"})), Events: []Event{
			{Time: day(10, 1), Kind: Held, Recipient: "bob@example.test", Place: Quarantine, Reply: "a program in disguise", Account: 1},
			{Time: day(11, 0), Kind: Released, By: "eva", Reply: "from quarantine"},
			{Time: day(11, 1), Kind: Filed, Recipient: "bob@example.test", Place: "INBOX", Account: 1, Arrived: 7},
		}},
		"thrown": {Attempt: story(t, Accepted, judged(Input{FactHeld, "a program in disguise"}, Input{FactFiledBy, "list"})), Events: []Event{
			{Time: day(10, 1), Kind: Held, Recipient: "bob@example.test", Place: Quarantine, Reply: "a program in disguise", Account: 1},
			{Time: day(11, 0), Kind: Removed, Reply: "nobody released it from quarantine"},
		}},
		"own": {Events: []Event{{ID: id(t, "0003"), Time: day(10, 1), Kind: Expired, Recipient: "bob@away.test"}}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range b.Events {
				if e := &b.Events[i]; e.ID.IsZero() {
					e.ID = id(t, "0001")
				}
			}
			var out bytes.Buffer
			v := View{All: name == "refused" || name == "facts", Zone: time.FixedZone("CET", 3600)}
			if err := v.Line(&out, b); err != nil {
				t.Fatal(err)
			}
			if err := v.Reasons(&out, b); err != nil {
				t.Fatal(err)
			}
			out.WriteString("\n")
			if err := v.Text(&out, b); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name+".txt"), out.Bytes())
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if strings.ContainsAny(string(got), "\x1b\x00") {
		t.Error("control characters in the text")
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not (%v):\n%s", path, err, got)
	}
}

func TestAnswersReadWell(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"found mail.away.test": "found mail.away.test",
		"":                     "",
		"{broken":              "{broken",
		`{"result":"fail","identity":"mailfrom","domain":"away.test"}`:                                      "[domain away.test, identity mailfrom, result fail]",
		`{"first":"2026-03-01T11:00:00.123456789+01:00","at":"2026-03-01T10:01:00Z"}`:                       "[at 2026-03-01 10:01:00 UTC, first 2026-03-01 10:00:00 UTC]",
		`{"signatures":[{"result":"pass","domain":"a.test","aligned":true}],"dmarc":{"pct":100,"x":false}}`: "[dmarc pct 100, signatures aligned, signatures domain a.test, signatures result pass]",
	} {
		if got := readable(value); got != want {
			t.Errorf("%s: %s", value, got)
		}
	}
}

func TestInputsSayWhatTheyMean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"domain example.test", "absent", "example.test in DNS: nothing"},
		{"domain example.test", "astray null-mx", "example.test in DNS: it takes no mail"},
		{"domain example.test", "found", "example.test in DNS: there"},
		{"reverse name", "found mx.away.test", "its name in DNS: mx.away.test"},
		{"reverse name", "astray mx.away.test", "its name in DNS: mx.away.test, it leads elsewhere"},
		{"list zen.example", "failed", "DNS list zen.example: no answer"},
		{"local <ann@example.test>", "yes", "<ann@example.test> has a mailbox here: yes"},
		{"files for", "1", "recipients here whose copy is filed at once: 1"},
		{"ban", "no", "banned: no"},
		{"helo", "mx\x1b[2J", "it calls itself mx?[2J"},
		{"weight", "3", "weight: 3"},
		{"size", "1048576", "size: 1 MB"},
	} {
		if got := (Input{c.name, c.value}).phrase(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func TestJSONFormUsesWords(t *testing.T) {
	b := Biography{Attempt: story(t, Deferred), Events: []Event{{ID: id(t, "0001"), Kind: Delayed}}}
	text, err := json.Marshal(b)
	for _, want := range []string{`"outcome":"deferred"`, `"kind":"delayed"`, `"session":"06fzzzz0002`, `"client":"192.0.2.7"`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s, %v", want, text, err)
		}
	}
}

func TestSessionWithoutAMessageIsToldInWords(t *testing.T) {
	t.Parallel()
	a := Attempt{Outcome: Aborted, Steps: []Step{
		{Verb: Command, Argument: "RCPT TO:<a@b.test>", Reply: "503 5.5.1 Introduce yourself first"}, {Verb: Command, Reply: "500 5.5.2 Command not recognised"},
		{Verb: Timeout, Reply: "421 4.4.2 Timeout, closing connection"},
	}}
	var b strings.Builder
	if err := (View{All: true}).Text(&b, Biography{Attempt: &a}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"The session ended before a message was begun.", "RCPT TO:<a@b.test>  ->  503", "A line that is no command  ->  500", "The client's silence  ->  421"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

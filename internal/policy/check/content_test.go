package check

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
)

// scanned are scanners and milters that say what a test wants, and count how
// often they are asked.
type scanned struct {
	virus      policy.Virus
	spam       policy.Spam
	attachment policy.Attachment
	milters    map[policy.Stage]policy.Filtered
	asked      []string
	closed     int
}

func (s *scanned) Virus(context.Context, *policy.Facts) policy.Virus {
	s.asked = append(s.asked, "virus")
	return s.virus
}

func (s *scanned) Spam(context.Context, *policy.Facts) policy.Spam {
	s.asked = append(s.asked, "spam")
	return s.spam
}

func (s *scanned) Attachment(context.Context, *policy.Facts) policy.Attachment {
	s.asked = append(s.asked, "attachment")
	return s.attachment
}

func (*scanned) State(context.Context) []policy.ScannerState { return nil }
func (*scanned) Down(context.Context) []policy.ScannerState  { return nil }

func (s *scanned) Filter(*policy.Facts) policy.Filter {
	if s.milters == nil {
		return nil
	}
	return s
}

// Ask implements policy.Filter.
func (s *scanned) Ask(_ context.Context, stage policy.Stage, _ *policy.Facts) policy.Filtered {
	s.asked = append(s.asked, "milter "+stage.String())
	return s.milters[stage]
}

// Close implements policy.Filter.
func (s *scanned) Close() { s.closed++ }

// everyScanner sets every scanner, with rules and milters.
func everyScanner() *Settings {
	s := defaults()
	s.Virus.Server, s.Spam.URL = "127.0.0.1:3310", "http://127.0.0.1:11333"
	s.Attachments.Extensions = []string{"exe"}
	s.Milters.Servers = []string{"inet:8891@127.0.0.1"}
	s.Greylist.Mode, s.Origin.Known, s.Names.Client, s.Names.HeloKnown = policy.Off, policy.Off, policy.Off, policy.Off
	return s
}

// author is who sends a message of the tests.
type author uint8

const (
	stranger author = iota
	user
	relay   // on the trusted list
	machine // of class trusted
)

// send judges a whole message; what a stage before Content refuses ends it.
func send(s *Settings, scan policy.Scanners, who author, change func(*policy.Facts)) (policy.Decision, *policy.Facts) {
	p := policy.NewPipeline(s.Rules())
	f := &policy.Facts{
		Time: time.Now(), Listener: "smtp", Client: netip.MustParseAddr("192.0.2.1"), Helo: "mail.away.test", Size: 100, Hops: 1,
		Sender: mail.Address{Local: "eve", Domain: "away.test"}, Recipient: mail.Address{Local: "bob", Domain: "example.test"},
		Sources: policy.Sources{Usage: world{}, Senders: world{}, Scanners: scan, Greylist: &grey{rows: map[string]store.GreylistRow{}}},
	}
	switch who {
	case user:
		f.Kind, f.Login = policy.Submission, people["bob@example.test"]
		f.Sender = mail.Address{Local: "bob", Domain: "example.test"}
	case relay:
		f.Kind, f.Trust = policy.Trusted, policy.TrustedList
	case machine:
		f.Kind, f.Trust = policy.Trusted, policy.TrustedClass
	}
	f.From = []mail.Address{f.Sender}
	f.Resolution = resolve(f.Recipient)
	if change != nil {
		change(f)
	}
	var d policy.Decision
	for _, stage := range []policy.Stage{policy.Connect, policy.Greeting, policy.Helo, policy.Mail, policy.Rcpt, policy.Data, policy.Content} {
		if stage == policy.Content {
			f.Content = &policy.Message{}
		}
		if d = p.Judge(context.Background(), stage, f); d.Refuses() {
			break
		}
	}
	return d, f
}

// outcomeOf is a decision in the words of the tests: the reply, or the effects.
func outcomeOf(d policy.Decision) string {
	if d.Refuses() {
		return said(d)
	}
	text := d.Action.String()
	e := d.Effects
	for _, f := range e.Fields {
		text += " | " + strings.TrimSpace(strings.ReplaceAll(f, "\r\n\t", " "))
	}
	if e.Junk != "" {
		text += " | junk: " + e.Junk
	}
	if e.Quarantine != "" {
		text += " | quarantine: " + e.Quarantine
	}
	if len(e.Edits) > 0 {
		text += " | edits"
	}
	return text
}

// contentCase is one message that a scanner has an opinion of.
type contentCase struct {
	name   string
	change func(*Settings, *scanned)
	who    author
	want   string // "…" stands for anything
}

func playContent(t *testing.T, cases []contentCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, a := everyScanner(), &scanned{}
			if c.change(s, a); s.Validate() != nil {
				t.Fatal(s.Validate())
			}
			d, _ := send(s, a, c.who, nil)
			if err := expect(c.want, outcomeOf(d)); err != nil {
				t.Errorf("%v\n want %q\n(%s)", err, c.want, d.Reason)
			}
		})
	}
}

func TestVirusesAreRefused(t *testing.T) {
	t.Parallel()
	eicar := policy.Virus{Opinion: policy.Suspect, Signature: "Eicar-Test"}
	down := policy.Virus{Opinion: policy.Down, Problem: "connection refused"}
	large := policy.Virus{Opinion: policy.TooLarge, Problem: "more than 25MB"}
	found := func(v policy.Virus) func(*Settings, *scanned) { return func(_ *Settings, a *scanned) { a.virus = v } }
	with := func(v policy.Virus, change func(*Virus)) func(*Settings, *scanned) {
		return func(s *Settings, a *scanned) { a.virus = v; change(&s.Virus) }
	}
	playContent(t, []contentCase{
		{"clean", found(policy.Virus{Opinion: policy.Clean}), stranger, "pass"},
		{"clean and marked", with(policy.Virus{Opinion: policy.Clean}, func(v *Virus) { v.MarkClean = true }), stranger, "pass | X-Virus-Status: Clean"},
		{"found", found(eicar), stranger, "554 5.7.1 Message contains a virus: Eicar-Test [virus]"},
		{"hostile name", found(policy.Virus{Opinion: policy.Suspect, Signature: "a\r\nb)ü"}), stranger, "554 5.7.1 Message contains a virus: a??b?? [virus]"},
		{"of a user", found(eicar), user, "554 5.7.1 … [virus]"},
		{"of a trusted client", found(eicar), relay, "554 5.7.1 … [virus]"},
		{"of class trusted", found(eicar), machine, "pass"},
		{"users are not scanned", with(eicar, func(v *Virus) { v.Outgoing = false }), user, "pass"},
		{"quarantine", with(eicar, func(v *Virus) { v.Found = "quarantine" }), stranger, "pass | X-Virus-Status: Infected (Eicar-Test) | quarantine: virus Eicar-Test"},
		{"junk", with(eicar, func(v *Virus) { v.Found = "junk" }), stranger, "pass | X-Virus-Status: Infected (Eicar-Test) | junk: virus Eicar-Test"},
		{"users are always refused", with(eicar, func(v *Virus) { v.Found = "junk" }), user, "554 5.7.1 … [virus]"},
		{"down", found(down), stranger, "451 4.7.1 Virus scanner is not available, try again later [virus]"},
		{"down and accepted", with(down, func(v *Virus) { v.WhenDown = "accept" }), stranger, "pass | X-Virus-Status: Not scanned (scanner unavailable)"},
		{"too large", found(large), stranger, "pass | X-Virus-Status: Not scanned (too large)"},
		{"too large and refused", with(large, func(v *Virus) { v.WhenLarge = "refuse" }), stranger, "552 5.3.4 … [virus]"},
		{"observed", with(eicar, func(v *Virus) { v.Mode = policy.Observe }), stranger, "pass"},
		{"observed marks nothing", with(down, func(v *Virus) { v.Mode, v.WhenDown = policy.Observe, "accept" }), stranger, "pass"},
		{"off", with(eicar, func(v *Virus) { v.Mode = policy.Off }), stranger, "pass"},
		{"no server", with(eicar, func(v *Virus) { v.Server = "" }), stranger, "pass"},
		{"nobody asked", found(policy.Virus{}), stranger, "pass"},
	})
}

func TestSpamIsRefusedFiledOrMarked(t *testing.T) {
	t.Parallel()
	score := func(n float64, action string) policy.Spam {
		return policy.Spam{Opinion: policy.Suspect, Score: n, Action: action, Symbols: []string{"BAYES_SPAM(5.1)", "A\r\nB: c(-1)"}}
	}
	with := func(p policy.Spam, change func(*Settings)) func(*Settings, *scanned) {
		return func(s *Settings, a *scanned) {
			if a.spam = p; change != nil {
				change(s)
			}
		}
	}
	byAction := func(s *Settings) { s.Spam.By = "action" }
	down := policy.Spam{Opinion: policy.Down, Problem: "connection refused"}
	edits := score(1, "no action")
	edits.Edits = &policy.Edits{}
	const tests = " tests=[BAYES_SPAM=5.1,  A??B: c=-1]"
	playContent(t, []contentCase{
		{"ham", with(score(-0.1, "no action"), nil), stranger, "pass | X-Spam-Status: No, score=-0.1 required=6" + tests + " | X-Spam-Score: -0.1"},
		{"just below", with(score(5.9, "no action"), nil), stranger, "pass | X-Spam-Status: No, …"},
		{"marked", with(score(6, "no action"), func(s *Settings) { s.Spam.JunkFrom = 7 }), stranger, "pass | X-Spam-Status: Yes, score=6 … | X-Spam-Flag: YES"},
		{"junk", with(score(6, "no action"), nil), stranger, "pass | X-Spam-Status: Yes, … | X-Spam-Flag: YES | junk: spam, score 6"},
		{"junk without fields", with(score(6, "no action"), func(s *Settings) { s.Spam.Fields = false }), stranger, "pass | X-Spam-Flag: YES | junk: spam, score 6"},
		{"just below refusal", with(score(14.9, "reject"), nil), stranger, "pass … junk: spam, score 14.9"},
		{"refused", with(score(15, "no action"), nil), stranger, "554 5.7.1 Message rejected as spam [spam]"},
		{"never refused", with(score(1000, "reject"), func(s *Settings) { s.Spam.RefuseFrom = 0 }), stranger, "pass … junk: spam, score 1000"},
		{"by action", with(score(1, "reject"), byAction), stranger, "554 5.7.1 … [spam]"},
		{"by action junk", with(score(1, "add header"), byAction), stranger, "pass … junk: spam, score 1"},
		{"by action none", with(score(99, "no action"), byAction), stranger, "pass | X-Spam-Status: No, …"},
		{"soft reject", with(policy.Spam{Opinion: policy.Suspect, Action: "soft reject", Reply: "Come\r\nback"}, nil), stranger, "451 4.7.1 Come??back [spam]"},
		{"greylist", with(score(4, "greylist"), func(s *Settings) { s.Greylist.Mode, s.Greylist.Scope = policy.Enforce, "suspicious" }), stranger, "451 4.7.1 Greylisted, try again in … [spam]"},
		{"greylist unwanted", with(score(4, "greylist"), func(s *Settings) {
			s.Greylist.Mode, s.Greylist.Scope, s.Spam.Greylist = policy.Enforce, "suspicious", false
		}), stranger, "pass …"},
		{"greylist off", with(score(4, "greylist"), nil), stranger, "pass …"},
		{"down", with(down, nil), stranger, "pass | X-Spam-Status: No, not scanned (filter unavailable)"},
		{"down and put off", with(down, func(s *Settings) { s.Spam.WhenDown = "defer" }), stranger, "451 4.7.1 Spam filter is not available, try again later [spam]"},
		{"too large", with(policy.Spam{Opinion: policy.TooLarge}, nil), stranger, "pass | X-Spam-Status: No, not scanned (too large)"},
		{"of a user", with(score(99, "reject"), nil), user, "pass"},
		{"users scanned", with(score(99, "reject"), func(s *Settings) { s.Spam.Outgoing = true }), user, "554 5.7.1 … [spam]"},
		{"users are not marked", with(score(9, "reject"), func(s *Settings) { s.Spam.Outgoing = true }), user, "pass"},
		{"of class trusted", with(score(99, "reject"), func(s *Settings) { s.Spam.Outgoing = true }), machine, "pass"},
		{"changes unwanted", with(edits, nil), stranger, "pass | X-Spam-Status…[BAYES_SPAM…] | X-Spam-Score: 1"},
		{"changes wanted", with(edits, func(s *Settings) { s.Spam.Rewrite = true }), stranger, "pass … | edits"},
		{"observed", with(score(99, "reject"), func(s *Settings) { s.Spam.Mode = policy.Observe }), stranger, "pass"},
		{"off", with(score(99, "reject"), func(s *Settings) { s.Spam.Mode = policy.Off }), stranger, "pass"},
	})
}

func TestForbiddenAttachmentsAreRefused(t *testing.T) {
	t.Parallel()
	exe := policy.Attachment{Opinion: policy.Suspect, Rule: "extensions", File: `"a.zip" > "bö` + "\r\n" + `.exe"`, Reason: "a.zip > b.exe: extension exe"}
	bomb := policy.Attachment{Opinion: policy.Suspect, Rule: "bound", File: `"bomb.zip"`, Reason: "bomb.zip: bound ratio"}
	with := func(r policy.Attachment, change func(*Attachments)) func(*Settings, *scanned) {
		return func(s *Settings, a *scanned) {
			if a.attachment = r; change != nil {
				change(&s.Attachments)
			}
		}
	}
	playContent(t, []contentCase{
		{"none", with(policy.Attachment{Opinion: policy.Clean}, nil), stranger, "pass"},
		{"refused", with(exe, nil), stranger, `554 5.7.1 The attachment "a.zip" > "b???.exe" is not allowed here [attachments]`},
		{"quarantine", with(exe, func(a *Attachments) { a.Found = "quarantine" }), stranger, "pass | X-Attachment-Status: Suspicious (rule extensions) \"a.zip\" > \"b???.exe\" | quarantine: a.zip > b.exe: extension exe"},
		{"junk", with(exe, func(a *Attachments) { a.Found = "junk" }), stranger, "pass | X-Attachment-Status: … | junk: a.zip …"},
		{"marked", with(exe, func(a *Attachments) { a.Found = "mark" }), stranger, "pass | X-Attachment-Status: Suspicious (rule extensions) \"a.zip\" > \"b???.exe\""},
		{"bound is marked", with(bomb, nil), stranger, "pass | X-Attachment-Status: Suspicious (rule bound) \"bomb.zip\""},
		{"bound is refused", with(bomb, func(a *Attachments) { a.OnBound = "refuse" }), stranger, `554 5.7.1 The attachment "bomb.zip" is too large or too deep to be looked into [attachments]`},
		{"no rules", with(exe, func(a *Attachments) { a.Extensions = nil }), stranger, "pass"},
		{"of a user", with(exe, nil), user, "pass"},
		{"users are looked at", with(exe, func(a *Attachments) { a.Outgoing = true }), user, "554 5.7.1 … [attachments]"},
		{"users are not marked", with(exe, func(a *Attachments) { a.Outgoing, a.Found = true, "mark" }), user, "pass"},
		{"users get no quarantine", with(exe, func(a *Attachments) { a.Outgoing, a.Found = true, "quarantine" }), user, "554 5.7.1 … [attachments]"},
		{"unreadable", with(policy.Attachment{Opinion: policy.Down, Problem: "disk"}, nil), stranger, "451 4.3.0 … [attachments]"},
		{"observed", with(exe, func(a *Attachments) { a.Mode = policy.Observe }), stranger, "pass"},
	})
}

func TestMiltersAreObeyed(t *testing.T) {
	t.Parallel()
	refuse := func(code int) policy.Filtered {
		r := policy.Filtered{Action: policy.Reject, Reply: reply.New(code, reply.E(uint16(code/100), 7, 1), "says the milter"), Reason: "milter m: reject"}
		if code < 500 {
			r.Action, r.Reply.Close = policy.Defer, code == 421
		}
		return r
	}
	at := func(stage policy.Stage, r policy.Filtered) func(*Settings, *scanned) {
		return func(_ *Settings, a *scanned) { a.milters = map[policy.Stage]policy.Filtered{stage: r} }
	}
	playContent(t, []contentCase{
		{"pass", at(policy.Mail, policy.Filtered{}), stranger, "pass"},
		{"mail is held until rcpt", at(policy.Mail, refuse(550)), stranger, "550 5.7.1 says the milter [milter-mail] held"},
		{"rcpt", at(policy.Rcpt, refuse(550)), stranger, "550 5.7.1 says the milter [milter-rcpt]"},
		{"data", at(policy.Data, refuse(451)), stranger, "451 4.7.1 says the milter [milter-data]"},
		{"content", at(policy.Content, refuse(554)), stranger, "554 5.7.1 says the milter [milter-content]"},
		{"hangs up", at(policy.Content, refuse(421)), stranger, "421 4.7.1 says the milter [milter-content] and close"},
		{"discard", at(policy.Content, policy.Filtered{Action: policy.Discard}), stranger, "discard"},
		{"quarantine", at(policy.Content, policy.Filtered{Quarantine: "milter m: held"}), stranger, "pass | quarantine: milter m: held"},
		{"edits", at(policy.Content, policy.Filtered{Edits: &policy.Edits{}}), stranger, "pass | edits"},
		{"of a user", at(policy.Content, refuse(554)), user, "554 5.7.1 … [milter-content]"},
		{"of class trusted", at(policy.Content, refuse(554)), machine, "pass"},
		{"users are not asked about", func(s *Settings, a *scanned) {
			at(policy.Content, refuse(554))(s, a)
			s.Milters.Outgoing = false
		}, user, "pass"},
		{"observed", func(s *Settings, a *scanned) {
			at(policy.Content, refuse(554))(s, a)
			s.Milters.Mode = policy.Observe
		}, stranger, "pass"},
		{"none", func(s *Settings, a *scanned) { s.Milters.Servers = nil }, stranger, "pass"},
	})
}

func TestMiltersHearOfWhatWouldBeAcceptedOnly(t *testing.T) {
	t.Parallel()
	s, a := everyScanner(), &scanned{milters: map[policy.Stage]policy.Filtered{}}
	s.Spam.Outgoing = true
	_, f := send(s, a, stranger, nil)
	const want = "milter mail,milter rcpt,milter data,attachment,virus,spam,milter content"
	if got := strings.Join(a.asked, ","); got != want {
		t.Errorf("asked: %s", got)
	}
	if f.Close(); a.closed != 1 {
		t.Error("the session was not closed")
	}
	if f.Close(); a.closed != 1 {
		t.Error("closed twice")
	}
	// A recipient that is put off anyhow is none of theirs.
	a.asked = nil
	send(s, a, stranger, func(f *policy.Facts) {
		f.Recipient = mail.Address{Local: "broken", Domain: "example.test"}
		f.Resolution = resolve(f.Recipient)
	})
	if got := strings.Join(a.asked, ","); got != "milter mail" {
		t.Errorf("asked: %s", got)
	}
	// postmaster is reachable whatever they say.
	a.asked, a.milters[policy.Mail] = nil, policy.Filtered{Action: policy.Reject, Reply: reply.New(550, reply.E(5, 7, 1), "no")}
	d, _ := send(s, a, stranger, func(f *policy.Facts) { f.Recipient.Local = "postmaster" })
	if got := strings.Join(a.asked, ","); got != "milter mail,attachment,virus" || d.Refuses() {
		t.Errorf("asked: %s, %s", got, said(d))
	}
}

func TestAllowRulesLiftScans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, value, asked string }{
		{"ip", "192.0.2.1", ""},
		{"network", "192.0.2.0/24", "attachment,virus"},
		{"sender", "eve@away.test", "spam"},
		{"domain", "away.test", "spam"},
		{"recipient", "bob@example.test", "spam"},
	} {
		s, a := everyScanner(), &scanned{}
		rules := &lists{hits: map[string]int{}}
		if err := rules.add([]string{"allow", c.kind, c.value}); err != nil {
			t.Fatal(err)
		}
		send(s, a, stranger, func(f *policy.Facts) { f.Access = rules })
		if got := strings.Join(a.asked, ","); got != c.asked {
			t.Errorf("%s: asked %q", c.kind, got)
		}
	}
}

func TestScannerSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Settings){
		"policy.virus.server":     func(s *Settings) { s.Virus.Server = "nowhere" },
		"policy.spam.url":         func(s *Settings) { s.Spam.URL = "127.0.0.1:11333" },
		"policy.spam.refuse_from": func(s *Settings) { s.Spam.RefuseFrom = 5 },
		"policy.attachments":      func(s *Settings) { s.Attachments.Types = []string{"nonsense"} },
		"policy.milters.servers":  func(s *Settings) { s.Milters.Servers = []string{"127.0.0.1:1 maybe"} },
	} {
		s := everyScanner()
		if change(s); s.Validate() == nil || !strings.HasPrefix(s.Validate().Error(), want) {
			t.Errorf("%s: %v", want, s.Validate())
		}
	}
	s := everyScanner()
	s.Milters.Servers = []string{"inet:8891@localhost", "unix:/run/x tempfail"}
	list, err := s.Milters.List()
	if err != nil || len(list) != 2 || list[0].Fallback.String() != "accept" || list[1].Fallback.String() != "tempfail" || list[1].Endpoint.Address != "/run/x" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestOnlyOurMarksStayInMailFromOutside(t *testing.T) {
	t.Parallel()
	s := everyScanner()
	if got := strings.Join(s.Limits(policy.MX, policy.Untrusted).Marks, " "); got != "X-Virus-Status X-Spam-Status X-Spam-Score X-Spam-Flag X-Attachment-Status" {
		t.Error(got)
	}
	for _, l := range []policy.Limits{s.Limits(policy.MX, policy.TrustedList), s.Limits(policy.Submission, policy.Untrusted), defaults().Limits(policy.MX, policy.Untrusted)} {
		if len(l.Marks) != 0 {
			t.Error(l.Marks)
		}
	}
}

// Answers are read back from records as they were (Replay).
func TestAnswersOfScannersAreRecorded(t *testing.T) {
	t.Parallel()
	a := &scanned{virus: policy.Virus{Opinion: policy.Suspect, Signature: "Eicar"}, spam: policy.Spam{Opinion: policy.Clean, Score: 3.5, Action: "no action"},
		attachment: policy.Attachment{Opinion: policy.Clean}, milters: map[policy.Stage]policy.Filtered{
			policy.Rcpt: {Action: policy.Reject, Reply: reply.New(550, reply.E(5, 1, 1), "no such thing"), Filter: "m", Reason: "because"}}}
	s := everyScanner()
	s.Virus.Mode, s.Milters.Mode = policy.Observe, policy.Observe
	p := policy.NewPipeline(s.Rules())
	d, f := send(s, a, stranger, nil)
	texts := scanRecord{}
	for i := range d.Results {
		for _, in := range d.Results[i].Inputs {
			texts[in.Name] = in.Value
		}
	}
	f.Recorded, f.Sources.Scanners, f.Content = texts, nil, nil
	f.Close()
	again := p.Judge(context.Background(), policy.Mail, f) // begins anew
	again = p.Judge(context.Background(), policy.Content, f)
	for i := range again.Results {
		if r := &again.Results[i]; r.Entry.Name == "virus" && found(r) != "554 5.7.1 Message contains a virus: Eicar" || r.Entry.Name == "spam" && r.Reason != "score 3.5, action no action" {
			t.Errorf("%s: %s (%s, %s)", r.Entry.Name, found(r), r.Reason, r.Missing)
		}
	}
	for _, want := range []policy.Filtered{
		{},
		{Asked: true, Action: policy.Reject, Reply: reply.New(550, reply.E(5, 1, 1), "no such thing"), Filter: "m", Reason: "because", Quarantine: "q", Problem: "p"},
	} {
		text, err := want.MarshalText()
		var got policy.Filtered
		if err != nil || got.UnmarshalText(text) != nil || got.Reply.String() != want.Reply.String() || got.Action != want.Action || got.Asked != want.Asked ||
			got.Filter+got.Reason+got.Quarantine+got.Problem != want.Filter+want.Reason+want.Quarantine+want.Problem {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "{", `{"action":"dance"}`} {
		var r policy.Filtered
		if r.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// scanRecord is texts by name.
type scanRecord map[string]string

func (r scanRecord) Find(name string) (string, bool) {
	text, ok := r[name]
	return text, ok
}

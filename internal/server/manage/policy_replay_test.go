package manage

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/seal"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/state/access"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// rehearsing is an office with house rules.
func rehearsing(t *testing.T) *office {
	o := newOffice(t)
	registry := setting.NewRegistry()
	group := setting.Register[check.Settings](registry, "policy")
	setting.Register[record.Settings](registry, "record")
	box, err := seal.OpenOrCreate(filepath.Join(t.TempDir(), "key"), true)
	if err != nil {
		t.Fatal(err)
	}
	book, err := setting.Open(t.Context(), registry, o.o.Store.Settings(), box, setting.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.o.Settings, o.o.Pipeline = book, policy.NewPipeline(group.Get().Rules())
	o.o.Rehearse = func(ctx context.Context, e setting.Edit) (policy.Rules, []setting.Difference, error) {
		p, err := book.Preview(ctx, e)
		if err != nil {
			return policy.Rules{}, nil, err
		}
		return group.In(p).Rules(), p.Changes, nil
	}
	return o
}

// calls records the session of a client that sends one message of the size to
// an address here.
func (o *office) calls(client, from string, size unit.Size) {
	o.t.Helper()
	f := &policy.Facts{Time: time.Now(), Session: o.ids.New(), Listener: "smtp", Client: netip.MustParseAddr(client), Helo: "mx.away.test", DeclaredSize: size,
		Recipient: mail.Address{Local: "bob", Domain: "ours.test"}, Resolution: directory.Resolution{Kind: directory.Local, Account: 1},
		Sources: policy.Sources{Usage: empty{}, Access: o.lists()}, Room: store.Room{Free: 1 << 40, Total: 1 << 40}}
	if from != "" {
		f.Sender, _ = mail.ParseAddress(from)
	}
	o.o.Pipeline.Classify(f)
	t := o.o.Records.Trace(record.Session{ID: f.Session, Begin: f.Time, Listener: f.Listener, Client: f.Client})
	end := record.Aborted
	for _, s := range []struct {
		stage          policy.Stage
		verb, argument string
	}{{policy.Connect, "connect", ""}, {policy.Greeting, "greeting", ""}, {policy.Helo, "EHLO", f.Helo}, {policy.Mail, "MAIL", f.Sender.Path()}, {policy.Rcpt, "RCPT", f.Recipient.Path()}} {
		if s.stage == policy.Mail {
			f.Message = o.ids.New()
			t.Open(f.Message)
			t.HasSender, t.Sender = true, f.Sender.String()
		}
		d := o.o.Pipeline.Judge(o.t.Context(), s.stage, f)
		if s.stage == policy.Rcpt {
			t.Recipients = append(t.Recipients, f.Recipient.String())
		}
		step := t.Spare()
		if step.Verb, step.Argument, step.Reply = s.verb, s.argument, "250 2.0.0 ok"; d.Refuses() {
			step.Reply, end = d.Reply.String(), record.Refused
		}
		d.Record(step)
		if t.Step(step); d.Refuses() {
			break
		}
	}
	t.Close(end)
	t.Done()
}

// lists are the rules that are stored.
func (o *office) lists() policy.Access {
	o.t.Helper()
	table, err := access.Load(o.t.Context(), o.o.Store.Access(), time.Now())
	if err != nil {
		o.t.Fatal(err)
	}
	return uncounted{table}
}

type uncounted struct{ *access.Table }

func (uncounted) Hit(*access.Rule) {}

// scans records the session of a client that brings nothing but a bad command.
func (o *office) scans(client string) {
	t := o.o.Records.Trace(record.Session{ID: o.ids.New(), Begin: time.Now(), Listener: "smtp", Client: netip.MustParseAddr(client)})
	t.Step(&record.Step{Verb: "connect"})
	t.Step(&record.Step{Verb: record.Command, Reply: "500 5.5.2 Error"})
	t.Done()
}

type empty struct{}

func (empty) Usage(context.Context, store.AccountID) (store.Usage, error) { return store.Usage{}, nil }

func replay(o *office, change func(*PolicyReplayInput)) (PolicyReplay, error) {
	in := &PolicyReplayInput{}
	in.Body.Set = map[string]string{"policy.size.inbound": "1MB"}
	change(in)
	return o.replayPolicy(o.t.Context(), in)
}

func TestReplayListsWhoWouldBeTreatedDifferently(t *testing.T) {
	t.Parallel()
	o := rehearsing(t)
	for range 4 {
		o.calls("192.0.2.1", "big@away.test", 2*unit.MB)
	}
	o.calls("192.0.2.2", "", 3*unit.MB)
	o.calls("192.0.2.3", "small@away.test", 2000)
	o.calls("192.0.2.4", "huge@else.test", 100*unit.MB) // refused already
	o.scans("192.0.2.5")                                // nobody's mail
	got, err := replay(o, func(*PolicyReplayInput) {})
	if err != nil || got.Attempts != 7 || got.Counts["same"] != 2 || got.Counts["refused"] != 5 || len(got.Senders) != 2 || len(got.Unknown) != 0 || len(got.Settings) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	big, null := got.Senders[0], got.Senders[1]
	if big.Sender != "big@away.test" || big.Attempts != 4 || len(big.Examples) != replayFew || big.Check != "size-declared" || big.Setting != "policy.size.inbound" ||
		big.Before != policy.FateTaken || big.After != policy.FateRefused || big.Recipient != "bob@ours.test" || big.Client.String() != "192.0.2.1" {
		t.Errorf("%+v", big)
	}
	if null.Sender != "<>" || null.Attempts != 1 || !strings.HasPrefix(null.Reply, "552 5.3.4") {
		t.Errorf("%+v", null)
	}
	// What was refused then is taken now; content was never seen.
	got, err = replay(o, func(in *PolicyReplayInput) { in.Body.Set["policy.size.inbound"] = "0" })
	if err != nil || got.Counts["open"] != 1 || got.Senders[0].Sender != "huge@else.test" || got.Senders[0].Ends != "MAIL" {
		t.Errorf("%+v, %v", got, err)
	}
	if u := got.Senders[0].Unasked; len(u) != 3 || u[0].Stage != "rcpt" || u[2].Stage != "content" || !slices.Contains(u[0].Checks, "recipient-exists") || !slices.Contains(u[2].Checks, "hops") || slices.Contains(u[2].Checks, "virus") {
		t.Errorf("nobody asked %+v", u)
	}
	// A list that nobody asked about the clients: nobody can say it.
	got, err = replay(o, func(in *PolicyReplayInput) {
		in.Body.Set = map[string]string{"policy.blocklists.lists": "zen.example.net"}
	})
	if err != nil || got.Counts["unknown"] != 6 || len(got.Unknown) != 3 || got.Unknown[0].Check != "blocklists" || got.Unknown[0].Missing != "list zen.example.net" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReplayTriesRulesOfTheLists(t *testing.T) {
	t.Parallel()
	o := rehearsing(t)
	value := "192.0.2.1"
	for _, name := range []string{"old", "gone"} {
		if _, err := o.addAccess(t.Context(), &AccessAddInput{Body: NewAccessRule{Name: name, List: "block", Kind: "ip", AccessChange: AccessChange{Value: &value}}}); err != nil {
			t.Fatal(err)
		}
	}
	o.calls("192.0.2.1", "a@away.test", 2000)
	o.calls("192.0.2.2", "b@away.test", 2000)
	if _, err := o.removeAccess(t.Context(), &AccessInput{Name: "gone"}); err != nil {
		t.Fatal(err)
	}
	try := func(add, remove []string) (PolicyReplay, error) {
		return replay(o, func(in *PolicyReplayInput) { in.Body.Rehearsal = Rehearsal{Add: add, Remove: remove} })
	}
	for name, c := range map[string]struct {
		add, remove []string
		counts      string
	}{
		"nothing":       {nil, nil, "map[same:2]"},
		"added":         {[]string{"block sender b@away.test"}, nil, "map[refused:1 same:1]"},
		"removed":       {nil, []string{"Old", "gone"}, "map[same:1 unknown:1]"}, // one of them is only in the records
		"one of two":    {nil, []string{"old"}, "map[same:2]"},
		"changed":       {[]string{"block ip 192.0.2.2 name=old"}, []string{"old", "gone"}, "map[refused:1 unknown:1]"},
		"allowed":       {[]string{"allow domain away.test no-authenticated"}, nil, "map[same:1 unknown:1]"},
		"if proven":     {[]string{"allow domain away.test"}, nil, "map[same:1 unknown:1]"}, // as access.require_authentication has it
		"several lines": {[]string{"block sender b@away.test\nallow ip 192.0.2.1"}, nil, "map[refused:1 unknown:1]"},
	} {
		got, err := try(c.add, c.remove)
		if err != nil || fmt.Sprint(got.Counts) != c.counts || len(got.Removed) != len(c.remove) || len(c.add) > 0 && len(got.Added) == 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		add, remove []string
		field       string
	}{
		"there already": {[]string{"block ip 192.0.2.2 name=OLD"}, nil, "add"},
		"no rule":       {[]string{"block 192.0.2.2"}, nil, "add"},
		"not there":     {nil, []string{"old", "never"}, "remove"},
		"too many":      {make([]string, replayRules+1), nil, "add"},
	} {
		_, err := try(c.add, c.remove)
		if faults := faultsOf(err); len(faults) != 1 || faults[0].Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if rows, err := o.accessRules(t.Context(), &AccessListInput{}); err != nil || len(rows.Items) != 1 {
		t.Errorf("a rehearsal left %+v, %v", rows, err)
	}
}

func TestTryObeysTheRulesGiven(t *testing.T) {
	t.Parallel()
	o := rehearsing(t)
	o.o.Sources = policy.Sources{Usage: empty{}}
	people := o.o.Store.Directory()
	bob := mail.Address{Local: "bob", Domain: "ours.test"}
	if err := people.PutDomain(t.Context(), store.AnyVersion, store.DomainRow{Name: "ours.test", Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := people.AddAccount(t.Context(), store.AccountRow{Addresses: []mail.Address{bob}, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	in := &PolicyTryInput{Body: PolicyQuestion{Client: "192.0.2.1", From: "eve@away.test", To: []string{bob.String()}}}
	for rule, want := range map[string]string{"": "", "block ip 192.0.2.1": "blocked-client", "block sender eve@away.test": "blocked-sender", "block ip 192.0.2.2": ""} {
		if in.Body.Add = nil; rule != "" {
			in.Body.Add = []string{rule}
		}
		a, err := o.tryPolicy(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if last := a.Steps[len(a.Steps)-1]; last.Check != want {
			t.Errorf("%s: %+v", rule, last)
		}
	}
	in.Body.Add, in.Body.Remove = nil, []string{"never"}
	if _, err := o.tryPolicy(t.Context(), in); len(faultsOf(err)) != 1 {
		t.Error(err)
	}
}

func TestReplayLooksAtWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	o := rehearsing(t)
	o.calls("192.0.2.1", "a@away.test", 2*unit.MB)
	o.calls("192.0.2.2", "b@else.test", 2*unit.MB)
	for name, c := range map[string]struct {
		change   func(*PolicyReplayInput)
		attempts int
		senders  int
		left     int
	}{
		"all":       {func(*PolicyReplayInput) {}, 2, 2, 0},
		"live":      {func(in *PolicyReplayInput) { in.Body.Set = nil }, 2, 0, 0},
		"from":      {func(in *PolicyReplayInput) { in.Body.From = "else.test" }, 1, 1, 0},
		"client":    {func(in *PolicyReplayInput) { in.Body.Client = "192.0.2.1" }, 1, 1, 0},
		"to":        {func(in *PolicyReplayInput) { in.Body.To = "x@ours.test" }, 0, 0, 0},
		"since":     {func(in *PolicyReplayInput) { in.Body.Since = "1h" }, 2, 2, 0},
		"yesterday": {func(in *PolicyReplayInput) { in.Body.On = "last " + time.Now().Weekday().String() }, 0, 0, 0},
		"outcome":   {func(in *PolicyReplayInput) { in.Body.Outcome = "refused" }, 0, 0, 0},
		"limit":     {func(in *PolicyReplayInput) { in.Body.Limit = 1 }, 2, 1, 1},
	} {
		got, err := replay(o, c.change)
		if err != nil || got.Attempts != c.attempts || len(got.Senders) != c.senders || got.Left != c.left {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestReplayRefusesWhatItCannotTry(t *testing.T) {
	t.Parallel()
	o := rehearsing(t)
	for name, text := range map[string]string{"policy.size.inbound": "many", "policy.sise.inbound": "1MB", "record.max_age": "1h", "policy.greylist.wait": "1s"} {
		if _, err := replay(o, func(in *PolicyReplayInput) { in.Body.Set = map[string]string{name: text} }); !errors.Is(err, ErrInput) && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s=%s: %v", name, text, err)
		}
	}
	if v := o.o.Settings.Registry().Version(); v != 0 {
		t.Errorf("a rehearsal made version %d", v)
	}
}

func TestTryObeysTheSettingsGiven(t *testing.T) {
	t.Parallel()
	o := rehearsing(t)
	o.o.Sources = policy.Sources{Usage: empty{}}
	in := &PolicyTryInput{Body: PolicyQuestion{Client: "192.0.2.1", From: "eve@away.test", To: []string{"bob@else.test"}, Size: 2 << 20}}
	try := func(set map[string]string) policy.Answer {
		t.Helper()
		in.Body.Set = set
		a, err := o.tryPolicy(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if last := try(nil).Steps; last[len(last)-1].Check != "relaying" {
		t.Errorf("%+v", last)
	}
	if last := try(map[string]string{"policy.size.inbound": "1MB"}).Steps; last[len(last)-1].Check != "size-declared" {
		t.Errorf("%+v", last)
	}
	if a := try(map[string]string{"policy.trust.clients": "192.0.2.1"}); a.Outcome != record.Accepted || a.Trust != policy.TrustedList.String() {
		t.Errorf("%+v", a)
	}
	in.Body.Set = map[string]string{"policy.size.inbound": "much"}
	if _, err := o.tryPolicy(t.Context(), in); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

package policy

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/state/store"
)

// rules makes rules of entries, with checks that answer in the given way.
func rules(entries ...Entry) Rules {
	return Rules{
		Table:    entries,
		Classify: func(*Facts) {},
		Limits:   func(Kind, Trust) Limits { return Limits{} },
	}
}

func saying(code int) CheckFunc {
	return func(context.Context, *Facts) Verdict {
		switch code {
		case 250:
			return Passed("fine")
		case 0:
			return Verdict{Action: Discard, Reason: "listed"}
		}
		return Refused(reply.New(code, reply.E(uint16(code/100), 7, 1), "no"), "because")
	}
}

func at(stage Stage, name string, code int) Entry {
	return Entry{Stage: stage, Name: name, Check: saying(code)}
}

func judge(t *testing.T, stage Stage, f *Facts, entries ...Entry) Decision {
	t.Helper()
	return NewPipeline(rules(entries...)).Judge(context.Background(), stage, f)
}

func TestFirstRejectWinsAndEndsTheStage(t *testing.T) {
	asked := false
	last := Entry{Stage: Rcpt, Name: "c", Check: CheckFunc(func(context.Context, *Facts) Verdict { asked = true; return Verdict{} })}
	d := judge(t, Rcpt, &Facts{}, at(Rcpt, "a", 550), at(Rcpt, "b", 554), last)
	if d.Action != Reject || d.Check != "a" || d.Reply.Code != 550 || len(d.Results) != 1 || asked {
		t.Errorf("%+v", d)
	}
}

func TestLaterRejectWinsOverRememberedDefer(t *testing.T) {
	d := judge(t, Rcpt, &Facts{}, at(Rcpt, "a", 450), at(Rcpt, "b", 451), at(Rcpt, "c", 550))
	if d.Check != "c" || d.Action != Reject {
		t.Errorf("%+v", d)
	}
	if d = judge(t, Rcpt, &Facts{}, at(Rcpt, "a", 450), at(Rcpt, "b", 451), at(Rcpt, "c", 250)); d.Check != "a" || d.Action != Defer {
		t.Errorf("%+v", d)
	}
}

// Whoever throws mail away tells nobody, so nothing asked later may refuse it
// (M-SEC-BW-08). A message as a whole can still be refused for what is in it.
func TestWhatIsThrownAwayForARecipientIsNotRefused(t *testing.T) {
	if d := judge(t, Rcpt, &Facts{}, at(Rcpt, "a", 0), at(Rcpt, "b", 550)); d.Action != Discard || d.Refuses() || d.Check != "a" || len(d.Results) != 1 {
		t.Errorf("%+v", d)
	}
	if d := judge(t, Rcpt, &Facts{}, at(Rcpt, "a", 550), at(Rcpt, "b", 0)); d.Action != Reject || d.Check != "a" {
		t.Errorf("%+v", d)
	}
	if d := judge(t, Content, &Facts{}, at(Content, "a", 0), at(Content, "b", 550)); d.Action != Reject || d.Check != "b" {
		t.Errorf("%+v", d)
	}
}

func TestObservedVerdictIsRecordedAndHasNoEffect(t *testing.T) {
	e := at(Rcpt, "a", 550)
	e.Mode = Observe
	d := judge(t, Rcpt, &Facts{}, e)
	if d.Action != Pass || len(d.Results) != 1 || d.Results[0].Action != Reject || d.Results[0].Mode != Observe {
		t.Errorf("%+v", d)
	}
}

func TestCheckSwitchedOffIsNotAsked(t *testing.T) {
	e := Entry{Stage: Rcpt, Name: "a", Mode: Off, Check: CheckFunc(func(context.Context, *Facts) Verdict { t.Error("asked"); return Verdict{} })}
	if d := judge(t, Rcpt, &Facts{}, e); d.Action != Pass || d.Results[0].Skipped != "switched off" {
		t.Errorf("%+v", d)
	}
}

func TestRefusalBeforeRcptIsHeldUntilRcpt(t *testing.T) {
	p := NewPipeline(rules(at(Helo, "helo", 450), at(Mail, "mail", 550), at(Rcpt, "rcpt", 554)))
	ctx, f := context.Background(), &Facts{Recipient: mail.Address{Local: "bob", Domain: "example.test"}}
	for _, stage := range []Stage{Connect, Helo, Mail} {
		if d := p.Judge(ctx, stage, f); d.Action != Pass {
			t.Fatalf("%v: %+v", stage, d)
		}
	}
	for range 2 {
		if d := p.Judge(ctx, Rcpt, f); d.Check != "mail" || !d.Held || d.Reply.Code != 550 {
			t.Fatalf("%+v", d)
		}
	}
	// The next transaction passes MAIL on another sender; HELO's still counts.
	p.Replace(rules(at(Helo, "helo", 450), at(Rcpt, "rcpt", 250)))
	p.Judge(ctx, Helo, f)
	p.Judge(ctx, Mail, f)
	if d := p.Judge(ctx, Rcpt, f); d.Check != "helo" || d.Action != Defer {
		t.Fatalf("%+v", d)
	}
	// A new EHLO makes what the old one led to void.
	p.Replace(rules(at(Rcpt, "rcpt", 250)))
	p.Judge(ctx, Helo, f)
	p.Judge(ctx, Mail, f)
	if d := p.Judge(ctx, Rcpt, f); d.Action != Pass {
		t.Fatalf("%+v", d)
	}
}

func TestRefusalAtOnceIsNotHeld(t *testing.T) {
	e := at(Mail, "a", 530)
	e.AtOnce = true
	if d := judge(t, Mail, &Facts{}, e); d.Action != Reject || d.Held {
		t.Errorf("%+v", d)
	}
}

func TestSessionKeepsTheRulesItWasGreetedWith(t *testing.T) {
	p := NewPipeline(rules(at(Rcpt, "a", 250)))
	ctx, f := context.Background(), &Facts{}
	p.Judge(ctx, Connect, f)
	p.Replace(rules(at(Rcpt, "a", 550)))
	if d := p.Judge(ctx, Rcpt, f); d.Action != Pass {
		t.Errorf("old session: %+v", d)
	}
	if d := p.Judge(ctx, Rcpt, &Facts{}); d.Action != Reject {
		t.Errorf("new session: %+v", d)
	}
}

func TestPostmasterIsAlwaysReachable(t *testing.T) {
	for _, c := range []struct {
		local, domain string
		reachable     bool
	}{
		{"postmaster", "", true},
		{"Postmaster", "example.test", true},
		{"MAILER-DAEMON", "example.test", true},
		{"postmaster", "elsewhere.test", false},
		{"postmasters", "example.test", false},
	} {
		held, rcpt := at(Mail, "held", 553), at(Rcpt, "rcpt", 550)
		held.Exempt, rcpt.Exempt = ToPostmaster, ToPostmaster
		p := NewPipeline(rules(held, rcpt))
		f := &Facts{Recipient: mail.Address{Local: c.local, Domain: c.domain}}
		if c.domain == "example.test" {
			f.Resolution = hosted
		}
		p.Judge(context.Background(), Mail, f)
		d := p.Judge(context.Background(), Rcpt, f)
		if (d.Action == Pass) != c.reachable {
			t.Errorf("%s@%s: %+v", c.local, c.domain, d)
		}
	}
}

func TestContentForPostmasterAloneIsExempt(t *testing.T) {
	e := at(Content, "content", 554)
	e.Exempt = ToPostmaster
	p := NewPipeline(rules(e))
	ctx, f := context.Background(), &Facts{Recipient: mail.Address{Local: "postmaster"}}
	p.Judge(ctx, Mail, f)
	p.Judge(ctx, Rcpt, f)
	if d := p.Judge(ctx, Content, f); d.Action != Pass {
		t.Errorf("postmaster alone: %+v", d)
	}
	f.Recipient, f.Resolution = mail.Address{Local: "bob", Domain: "example.test"}, hosted
	p.Judge(ctx, Rcpt, f)
	if d := p.Judge(ctx, Content, f); d.Action != Reject {
		t.Errorf("with bob: %+v", d)
	}
}

func TestExemptionsAreHonouredAndRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		exempt Exemption
		facts  Facts
		want   string
	}{
		"class":    {FromTrustedClass, Facts{Trust: TrustedClass}, "class trusted"},
		"trusted":  {FromTrusted, Facts{Trust: TrustedList}, "trusted"},
		"login":    {FromLogin, Facts{Login: &store.AccountRow{}}, "logged in"},
		"loopback": {FromLoopback, Facts{Client: netip.MustParseAddr("127.0.0.1")}, "this machine"},
		"list":     {FromTrustedClass, Facts{Trust: TrustedList}, ""},
		"nobody":   {FromTrusted, Facts{Login: &store.AccountRow{}}, ""},
	} {
		e := at(Rcpt, "a", 550)
		e.Exempt = c.exempt
		f := c.facts
		d := judge(t, Rcpt, &f, e)
		if (d.Action == Pass) != (c.want != "") || !strings.Contains(d.Results[0].Skipped, c.want) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestPanickingCheckIsATemporaryFailure(t *testing.T) {
	e := Entry{Stage: Rcpt, Name: "a", Check: CheckFunc(func(context.Context, *Facts) Verdict { panic("broken") })}
	d := judge(t, Rcpt, &Facts{}, e)
	if d.Action != Defer || d.Reply.Code != 451 || !strings.Contains(d.Reason, "broken") || strings.Contains(d.Reply.String(), "broken") {
		t.Errorf("%+v", d)
	}
}

func TestDelaysAddUpToABound(t *testing.T) {
	delay := func(name string, by time.Duration) Entry {
		return Entry{Stage: Connect, Name: name, Check: CheckFunc(func(context.Context, *Facts) Verdict { return Verdict{Delay: by} })}
	}
	observed := delay("c", time.Second)
	observed.Mode = Observe
	if d := judge(t, Connect, &Facts{}, delay("a", time.Second), delay("b", 2*time.Second), observed); d.Delay != 3*time.Second {
		t.Errorf("%v", d.Delay)
	}
	if d := judge(t, Connect, &Facts{}, delay("a", time.Hour)); d.Delay != maxDelay {
		t.Errorf("%v", d.Delay)
	}
}

func TestInputsAreKeptPerCheck(t *testing.T) {
	look := func(name string, n int64) Entry {
		return Entry{Stage: Rcpt, Name: name, Check: CheckFunc(func(_ context.Context, f *Facts) Verdict {
			f.Saw("name", name)
			f.SawNumber("n", n)
			return Passed("seen", Input{Name: "own", Value: "v"})
		})}
	}
	d := judge(t, Rcpt, &Facts{}, look("a", 1), look("b", 0))
	for i, want := range []string{"name=a n=1 own=v", "name=b n=0 own=v"} {
		var got []string
		for _, in := range d.Results[i].Inputs {
			got = append(got, in.Name+"="+in.Text())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func TestModesAreReadByName(t *testing.T) {
	for _, m := range []Mode{Enforce, Observe, Off} {
		text, err := m.MarshalText()
		var back Mode
		if err != nil || back.UnmarshalText(text) != nil || back != m {
			t.Errorf("%v: %q, %v", m, text, err)
		}
	}
	if new(Mode).UnmarshalText([]byte("on")) == nil {
		t.Error("a mode called on")
	}
}

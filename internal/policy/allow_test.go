package policy

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
)

// counting are lists that count hits by rule.
type counting struct {
	*access.Table
	hits map[string]int
}

func (c counting) Hit(r *access.Rule) { c.hits[r.Name]++ }

// listed makes lists of rules, each "kind value" with words behind.
func listed(t *testing.T, rows ...store.AccessRow) counting {
	t.Helper()
	rules := make([]*access.Rule, len(rows))
	for i, row := range rows {
		row.Name = fmt.Sprint("rule-", i+1)
		r, err := access.New(row)
		if err != nil {
			t.Fatal(err)
		}
		rules[i] = r
	}
	return counting{access.NewTable(rules), map[string]int{}}
}

func allowed(kind access.Kind, value string) store.AccessRow {
	return store.AccessRow{Kind: string(kind), Value: value}
}

// tested is a check that refuses unless an allow rule lifts the test.
func tested(stage Stage, name string, t Tests) Entry {
	e := at(stage, name, 550)
	e.Test = t
	return e
}

func TestSkipTableIsThatOfTheManual(t *testing.T) {
	const five = TestDNSBL | TestSPF | TestVirus | TestDKIM | TestDMARC
	for kind, want := range map[access.Kind]Tests{
		access.IP:        five,
		access.Network:   five &^ TestVirus,
		access.Sender:    TestSPF | TestVirus,
		access.Recipient: TestSPF | TestVirus,
		access.Domain:    five &^ TestDNSBL,
		"other":          0,
	} {
		if got := Skips(kind) & five; got != want {
			t.Errorf("%s: %b, want %b", kind, got, want)
		}
		byClient := kind == access.IP || kind == access.Network
		if more := Skips(kind)&(TestGreylist|TestClient|TestSpam) != 0; more != byClient {
			t.Errorf("%s lifts what belongs to clients: %v", kind, more)
		}
		if Skips(kind)&TestBlock == 0 && kind != "other" {
			t.Errorf("%s does not win over block rules", kind)
		}
	}
}

func TestAllowRuleDoesNotLiftAnUnnamedCheck(t *testing.T) {
	f := &Facts{Client: netip.MustParseAddr("192.0.2.1"), Sources: Sources{Access: listed(t, allowed(access.IP, "192.0.2.1"))}}
	p := NewPipeline(rules(at(Connect, "none", 550), tested(Greeting, "client", TestClient)))
	ctx := context.Background()
	p.Judge(ctx, Connect, f)
	if d := p.Judge(ctx, Greeting, f); d.Action != Pass || d.Results[0].Skipped != `skipped by allow rule "rule-1" (ip 192.0.2.1)` || d.Results[0].Action != Reject {
		t.Errorf("%+v", d)
	}
	p.Replace(rules(at(Rcpt, "none", 550)))
	p.Judge(ctx, Connect, f)
	if d := p.Judge(ctx, Rcpt, f); d.Action != Reject {
		t.Errorf("%+v", d)
	}
}

func TestCostlyCheckIsNotAskedInVain(t *testing.T) {
	asked := 0
	e := tested(Content, "virus", TestVirus)
	e.Costly = true
	e.Check = CheckFunc(func(context.Context, *Facts) Verdict { asked++; return saying(554)(nil, nil) })
	p := NewPipeline(rules(e))
	ctx := context.Background()
	f := &Facts{Client: netip.MustParseAddr("192.0.2.1"), Sources: Sources{Access: listed(t, allowed(access.IP, "192.0.2.1"))}}
	p.Judge(ctx, Connect, f)
	if d := p.Judge(ctx, Content, f); d.Action != Pass || asked != 0 {
		t.Errorf("%+v, asked %d times", d, asked)
	}
	f = &Facts{}
	p.Judge(ctx, Connect, f)
	if d := p.Judge(ctx, Content, f); d.Action != Reject || asked != 1 {
		t.Errorf("%+v, asked %d times", d, asked)
	}
}

func TestLiftedVerdictHasNoEffects(t *testing.T) {
	e := tested(Content, "dmarc", TestDMARC)
	e.Check = CheckFunc(func(context.Context, *Facts) Verdict {
		return Verdict{Effects: &Effects{Junk: "policy"}, Delay: time.Second}
	})
	p := NewPipeline(rules(e))
	f := &Facts{Client: netip.MustParseAddr("192.0.2.1"), Sources: Sources{Access: listed(t, allowed(access.Network, "192.0.2.0/24"))}}
	p.Judge(context.Background(), Connect, f)
	if d := p.Judge(context.Background(), Content, f); d.Effects.Junk != "" || d.Delay != 0 {
		t.Errorf("%+v", d)
	}
}

// A test of the whole message is lifted by rules of recipients only if every
// recipient who gets it has one (M-SEC-BW-05).
func TestWholeMessageNeedsARuleOfEveryRecipient(t *testing.T) {
	lists := listed(t, allowed(access.Recipient, "bob@example.test"), allowed(access.Recipient, "amy@example.test"))
	for _, c := range []struct {
		to     []string
		lifted bool
	}{
		{[]string{"bob"}, true},
		{[]string{"bob", "amy"}, true},
		{[]string{"bob", "eve"}, false},
		{[]string{"eve", "bob"}, false},
		{[]string{"bob", "eve", "amy"}, false},
		{nil, false},
	} {
		p := NewPipeline(rules(tested(Data, "data", TestVirus), tested(Content, "content", TestVirus)))
		ctx, f := context.Background(), &Facts{Sources: Sources{Access: lists}}
		p.Judge(ctx, Mail, f)
		for _, local := range c.to {
			f.Recipient, f.Resolution = mail.Address{Local: local, Domain: "example.test"}, hosted
			p.Judge(ctx, Rcpt, f)
		}
		for _, stage := range []Stage{Data, Content} {
			if d := p.Judge(ctx, stage, f); (d.Action == Pass) != c.lifted {
				t.Errorf("%v at %s: %+v", c.to, stage, d)
			}
		}
		// The next message begins anew.
		p.Judge(ctx, Mail, f)
		if d := p.Judge(ctx, Content, f); d.Action == Pass {
			t.Errorf("%v: the message after is lifted, too", c.to)
		}
	}
}

func TestRuleThatEndedOrWaitsForProofLiftsNothing(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ended, asks := allowed(access.Sender, "eve@away.test"), allowed(access.Sender, "adam@away.test")
	ended.Expires, asks.Authenticated = now, true
	f := &Facts{Time: now, Sources: Sources{Access: listed(t, ended, asks), Authenticity: &proof{}}}
	p := NewPipeline(rules(tested(Rcpt, "spf", TestSPF)))
	ctx := context.Background()
	judge := func(sender, spf string) Action {
		f.Authenticity = &proof{spf: SPF{Result: spf, Identity: "mailfrom"}}
		f.Sender = mail.Address{Local: sender, Domain: "away.test"}
		p.Judge(ctx, Mail, f)
		return p.Judge(ctx, Rcpt, f).Action
	}
	if judge("eve", "pass") != Reject || judge("adam", "fail") != Reject || judge("adam", "pass") != Pass {
		t.Error("a rule counts that should not, or the other way round")
	}
	f.Time = now.Add(-time.Second)
	if judge("eve", "none") != Pass {
		t.Error("a rule ends before its time")
	}
}

func TestRuleTakesPartOnceAStage(t *testing.T) {
	lists := listed(t, allowed(access.IP, "192.0.2.1"), allowed(access.Sender, "eve@away.test"))
	f := &Facts{Client: netip.MustParseAddr("192.0.2.1"), Sender: mail.Address{Local: "eve", Domain: "away.test"}, Sources: Sources{Access: lists}}
	p := NewPipeline(rules(tested(Rcpt, "a", TestSPF), tested(Rcpt, "b", TestDNSBL), tested(Rcpt, "c", TestGreylist)))
	ctx := context.Background()
	p.Judge(ctx, Connect, f)
	p.Judge(ctx, Mail, f)
	for n := 1; n <= 2; n++ {
		p.Judge(ctx, Rcpt, f)
		if lists.hits["rule-1"] != n || lists.hits["rule-2"] != 0 {
			t.Errorf("after %d recipients: %v", n, lists.hits)
		}
	}
	if why := f.Lifted(ctx, TestSPF); why != `allow rule "rule-1" (ip 192.0.2.1)` {
		t.Error(why)
	}
}

// A mapped address is the IPv4 address.
func TestRulesMeetMappedAddresses(t *testing.T) {
	f := &Facts{Client: netip.MustParseAddr("::ffff:192.0.2.1"), Sources: Sources{Access: listed(t, allowed(access.IP, "192.0.2.1"))}}
	p := NewPipeline(rules(tested(Connect, "a", TestClient)))
	e := p.Rules().Table[0]
	if e.Test != TestClient {
		t.Fatal(e)
	}
	if d := p.Judge(context.Background(), Connect, f); d.Results[0].Skipped == "" {
		t.Errorf("%+v", d)
	}
}

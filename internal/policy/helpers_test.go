package policy

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
)

// broken panics whatever it is asked.
type broken struct{}

func (broken) Reverse(context.Context, netip.Addr) Reverse        { panic("reverse") }
func (broken) Domain(context.Context, string) Existence           { panic("domain") }
func (broken) Listed(context.Context, string, netip.Addr) Listing { panic("listed") }
func (broken) SPF(context.Context, *Facts) SPF                    { panic("spf") }
func (broken) Message(context.Context, *Facts) Authentication     { panic("message") }
func (broken) Client(netip.Addr) []*access.Rule                   { panic("client") }
func (broken) Sender(mail.Address) []*access.Rule                 { panic("sender") }
func (broken) Recipient(mail.Address) []*access.Rule              { panic("recipient") }
func (broken) Hit(*access.Rule)                                   { panic("hit") }

func onProof(kind access.Kind, value string) (row store.AccessRow) {
	row = allowed(kind, value)
	row.Authenticated = true
	return row
}
func deferred(d Decision) bool              { return d.Action == Defer && d.Reply.Code == 451 && d.Check == "check" }
func panicked(d Decision, what string) bool { return strings.Contains(d.Reason, "panicked: "+what) }
func stranger(s Sources) *Facts {
	return &Facts{Client: netip.MustParseAddr("192.0.2.1"), Sender: mail.Address{Local: "eve", Domain: "away.test"}, Recipient: mail.Address{Local: "ann", Domain: "here.test"}, Sources: s}
}

func TestRuleWhoseProofPanicsMakesTheCheckFail(t *testing.T) {
	ctx := context.Background()
	f := stranger(Sources{Access: listed(t, onProof(access.Sender, "eve@away.test")), Authenticity: broken{}})
	p := NewPipeline(rules(tested(Rcpt, "check", TestSPF)))
	p.Judge(ctx, Mail, f)
	if d := p.Judge(ctx, Rcpt, f); !deferred(d) || !panicked(d, "spf") {
		t.Errorf("%+v", d)
	}
}

func TestListsThatPanicMakeOnlyTheChecksTheyLiftFail(t *testing.T) {
	ctx := context.Background()
	f := stranger(Sources{Access: broken{}})
	p := NewPipeline(rules(tested(Connect, "check", TestClient), tested(Mail, "check", TestClient), at(Mail, "other", 250), tested(Rcpt, "check", TestSPF)))
	p.rules.Load().Table[0].AtOnce, p.rules.Load().Table[1].AtOnce = true, true
	for _, stage := range []Stage{Connect, Mail, Rcpt} {
		if d := p.Judge(ctx, stage, f); !deferred(d) || !panicked(d, map[Stage]string{Connect: "client", Mail: "sender", Rcpt: "recipient"}[stage]) {
			t.Errorf("%s: %+v", stage, d)
		}
	}
	// Lists that are well again are asked again.
	f.Access = listed(t, allowed(access.Sender, "eve@away.test"))
	p.Judge(ctx, Connect, f)
	p.Judge(ctx, Mail, f)
	if d := p.Judge(ctx, Rcpt, f); d.Refuses() {
		t.Errorf("%+v", d)
	}
}

func TestRuleThatCannotBeCountedMakesTheCheckFail(t *testing.T) {
	ctx := context.Background()
	f := stranger(Sources{Access: uncounted{listed(t, allowed(access.Sender, "eve@away.test"))}})
	p := NewPipeline(rules(tested(Rcpt, "check", TestSPF)))
	p.Judge(ctx, Mail, f)
	if d := p.Judge(ctx, Rcpt, f); !deferred(d) || !panicked(d, "hit") {
		t.Errorf("%+v", d)
	}
}

type uncounted struct{ counting }

func (uncounted) Hit(*access.Rule) { panic("hit") }

func TestListsOfClassesThatPanicNameNobody(t *testing.T) {
	r := rules()
	r.Listed = func(ctx context.Context, f *Facts) { f.ListedBy(ctx, []string{"a.test", "b.test"}) }
	p := NewPipeline(r)
	f := stranger(Sources{Names: broken{}})
	p.Judge(context.Background(), Connect, f)
	p.Listed(context.Background(), f)
	if f.ClassBy != "" {
		t.Error(f.ClassBy)
	}
}

// The look-ups run beside the session, where a panic would end the process.
func TestSourceThatPanicsBesideASessionMakesTheCheckFail(t *testing.T) {
	p := NewPipeline(rules(Entry{Stage: Rcpt, Name: "check", Check: CheckFunc(func(ctx context.Context, f *Facts) Verdict {
		f.ListedBy(ctx, []string{"a.test", "b.test"})
		return Passed("asked")
	})}))
	if d := p.Judge(context.Background(), Rcpt, stranger(Sources{Names: broken{}})); !deferred(d) || !panicked(d, "listed") {
		t.Errorf("%+v", d)
	}
}

func TestSessionsAskForThemselvesWhenAllHelpersAreBusy(t *testing.T) {
	var s proof
	f := stranger(Sources{Names: &s})
	var got []Listing
	p := asking(Rcpt, func(ctx context.Context, f *Facts) { got = f.ListedBy(ctx, []string{"a.test", "b.test"}) })
	if f.Help(func() { t.Error("helped who was not judged") }) {
		t.Error("a session that was not judged is helped")
	}
	p.Judge(context.Background(), Connect, f)
	wait, ended := make(chan struct{}), make(chan struct{})
	for i := range mostHelpers {
		if !f.Help(func() { <-wait; ended <- struct{}{} }) {
			t.Fatalf("%d of %d helpers", i, mostHelpers)
		}
	}
	p.Replace(rules(at(Mail, "none", 250))) // new rules bring no new helpers
	other := stranger(Sources{})
	p.Judge(context.Background(), Connect, other)
	if f.Help(func() {}) || other.Help(func() {}) {
		t.Error("a helper too many")
	}
	p.Judge(context.Background(), Rcpt, f)
	close(wait)
	for range mostHelpers {
		<-ended
	}
	if len(got) != 2 || s.asked["list a.test"] != 1 || s.asked["list b.test"] != 1 {
		t.Error(s.asked)
	}
}

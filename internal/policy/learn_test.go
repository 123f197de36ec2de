package policy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// proof answers for DNS and signatures, and counts.
type proof struct {
	mu    sync.Mutex
	asked map[string]int
	spf   SPF
	auth  Authentication
}

func (p *proof) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = map[string]int{}
	}
	p.asked[what]++
}

func (p *proof) Reverse(context.Context, netip.Addr) Reverse {
	p.note("reverse")
	return Reverse{Finding: Found, Name: "mail.away.test"}
}

func (p *proof) Domain(_ context.Context, name string) Existence {
	p.note("domain " + name)
	return Existence{Finding: Absent}
}

func (p *proof) Listed(_ context.Context, zone string, _ netip.Addr) Listing {
	p.note("list " + zone)
	if zone == "b.test" {
		return Listing{Finding: Found, Codes: []netip.Addr{netip.MustParseAddr("127.0.0.2")}}
	}
	return Listing{Finding: Absent}
}

func (p *proof) SPF(context.Context, *Facts) SPF                { p.note("spf"); return p.spf }
func (p *proof) Message(context.Context, *Facts) Authentication { p.note("message"); return p.auth }
func (p *proof) WellKnown(netip.Addr) bool                      { p.note("regular"); return true }
func (p *proof) Banned(netip.Addr, time.Time) (b store.BanRow, _ bool) {
	p.note("ban")
	return b, false
}

func (p *proof) OwnsSender(context.Context, store.AccountID, mail.Address) (bool, error) {
	p.note("owns")
	return false, errors.New("database is away")
}

func (p *proof) IsLocalSender(context.Context, mail.Address) (bool, error) {
	p.note("local")
	return true, nil
}

// asking runs a function as the only check of a stage.
func asking(stage Stage, ask func(context.Context, *Facts)) *Pipeline {
	return NewPipeline(rules(Entry{Stage: stage, Name: "ask", Check: CheckFunc(func(ctx context.Context, f *Facts) Verdict {
		ask(ctx, f)
		return Passed("asked")
	})}))
}

func inputs(d Decision) string {
	var list []string
	for _, in := range d.Results[0].Inputs {
		list = append(list, in.Name+"="+in.Text())
	}
	return strings.Join(list, " ")
}

func TestAnswersAreAskedForOnceAndRecordedEachTime(t *testing.T) {
	s := &proof{spf: SPF{Result: "pass"}}
	f := &Facts{Sender: mail.Address{Local: "eve", Domain: "away.test"}, Login: &store.AccountRow{},
		Sources: Sources{Names: s, Authenticity: s, Regulars: s, Bans: s, Senders: s}}
	p := asking(Rcpt, func(ctx context.Context, f *Facts) {
		f.Reverse(ctx)
		f.Exists(ctx, "AWAY.test")
		f.ListedBy(ctx, []string{"a.test", "b.test"})
		f.SPF(ctx)
		f.WellKnown()
		f.Banned()
		if _, err := f.OwnsSender(ctx, f.Sender); err == nil || err.Error() != "database is away" {
			t.Error(err)
		}
		if local, err := f.LocalSender(ctx); !local || err != nil {
			t.Error(local, err)
		}
	})
	ctx := context.Background()
	p.Judge(ctx, Mail, f)
	const want = `reverse name=found mail.away.test domain away.test=absent list a.test=absent list b.test=found 127.0.0.2 ` +
		`spf <eve@away.test>={"result":"pass"} well known=yes ban=no owns <eve@away.test>=failed database is away local <eve@away.test>=yes`
	for range 2 {
		if d := p.Judge(ctx, Rcpt, f); inputs(d) != want {
			t.Errorf("%s\nwant %s", inputs(d), want)
		}
	}
	const once = "map[ban:1 domain away.test:1 list a.test:1 list b.test:1 local:1 owns:1 regular:1 reverse:1 spf:1]"
	if got := fmt.Sprint(s.asked); got != once {
		t.Error(got)
	}
	// What is about the client lasts for the session, the rest for a message.
	p.Judge(ctx, Mail, f)
	p.Judge(ctx, Rcpt, f)
	if got := fmt.Sprint(s.asked); got != "map[ban:1 domain away.test:2 list a.test:1 list b.test:1 local:2 owns:2 regular:1 reverse:1 spf:2]" {
		t.Error(got)
	}
	if f.Hostname != "mail.away.test" {
		t.Error(f.Hostname)
	}
}

func TestSourcesThatAreMissingKnowNothing(t *testing.T) {
	p := asking(Content, func(ctx context.Context, f *Facts) {
		if r := f.Reverse(ctx); r != (Reverse{}) {
			t.Error(r)
		}
		if e := f.Exists(ctx, "a.test"); e != (Existence{}) {
			t.Error(e)
		}
		if l := f.ListedBy(ctx, []string{"a.test", "b.test"}); l[0].Finding != Unknown || l[1].Finding != Unknown {
			t.Error(l)
		}
		if s := f.SPF(ctx); s.Result != "" {
			t.Error(s)
		}
		if a := f.Authentication(ctx); a.DMARC.Result != "" {
			t.Error(a)
		}
		if _, held := f.Banned(); held || f.WellKnown() {
			t.Error("banned or well known")
		}
		if g := f.Pace(RateMessages, 1, time.Minute); g.Over {
			t.Error(g)
		}
		if _, wait, err := f.Greylisted(ctx, store.GreylistRow{Key: "k"}, store.GreylistRules{}); wait != 0 || err != nil {
			t.Error(wait, err)
		}
		if f.Block() != nil || f.Lifted(ctx, TestSPF) != "" {
			t.Error("rules of nobody")
		}
	})
	p.Judge(context.Background(), Content, &Facts{Content: &Message{}})
}

// book is a record.
type book map[string]string

func (b book) Find(name string) (string, bool) { text, ok := b[name]; return text, ok }

func TestRecordedAnswersStandInForSources(t *testing.T) {
	s := &proof{}
	f := &Facts{Time: time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC), Sender: mail.Address{Local: "eve", Domain: "away.test"}, Sources: Sources{Names: s, Authenticity: s, Bans: s}}
	f.Recorded = book{
		"reverse name": "astray x.test", "list a.test": "found 127.0.0.4 a text", "spf <eve@away.test>": `{"result":"fail","domain":"away.test"}`,
		"ban":           `{"ban":{"Host":"192.0.2.1/32","Kind":1,"Reason":"r","First":"0001-01-01T00:00:00Z","Last":"0001-01-01T00:00:00Z","Failures":0,"Until":"0001-01-01T00:00:00Z","Author":""},"banned":true}`,
		"rate messages": "3", "reached messages": "3", "greylist k": `{"first":"2026-01-01T00:00:00Z","at":"2026-01-01T00:01:00Z"}`,
	}
	p := asking(Rcpt, func(ctx context.Context, f *Facts) {
		if r := f.Reverse(ctx); r.Finding != Astray || r.Name != "x.test" || f.Hostname != "" {
			t.Error(r)
		}
		if l := f.ListedBy(ctx, []string{"a.test"})[0]; l.Text != "a text" || len(l.Codes) != 1 {
			t.Error(l)
		}
		if r := f.SPF(ctx); r.Result != "fail" || r.Domain != "away.test" {
			t.Error(r)
		}
		if b, held := f.Banned(); !held || b.Kind != store.BanDay || b.Reason != "r" {
			t.Error(b, held)
		}
		// Numbers are compared with the limits in force now.
		if f.Pace(RateMessages, 3, time.Minute).Over || !f.Pace(RateMessages, 2, time.Minute).Over {
			t.Error("the third message of three, or of two")
		}
		if f.Reached(RateMessages, 4, time.Minute).Over || !f.Reached(RateMessages, 3, time.Minute).Over {
			t.Error("three messages sent, of four or of three")
		}
		row, wait, err := f.Greylisted(ctx, store.GreylistRow{Key: "k"}, store.GreylistRules{Interval: 90 * time.Second})
		if err != nil || wait != 30*time.Second || row.First.Minute() != 0 {
			t.Error(row, wait, err)
		}
		if _, wait, _ = f.Greylisted(ctx, store.GreylistRow{Key: "k"}, store.GreylistRules{Interval: time.Minute}); wait != 0 {
			t.Error(wait)
		}
	})
	if d := p.Judge(context.Background(), Rcpt, f); d.Results[0].Missing != "" || len(s.asked) != 0 {
		t.Errorf("missing %q, asked %v", d.Results[0].Missing, s.asked)
	}
}

func TestAnswersThatARecordLacksAreNamed(t *testing.T) {
	for _, b := range []book{{}, {"domain away.test": "nonsense"}} {
		f := &Facts{Recorded: b, Sources: Sources{Names: &proof{}}}
		p := asking(Rcpt, func(ctx context.Context, f *Facts) {
			if e := f.Exists(ctx, "away.test"); e.Finding != Unknown {
				t.Error(e)
			}
		})
		if d := p.Judge(context.Background(), Rcpt, f); d.Results[0].Missing != "domain away.test" {
			t.Errorf("%+v", d.Results[0])
		}
	}
}

func TestSenderIsAuthenticatedBySPFOrByASignature(t *testing.T) {
	for name, c := range map[string]struct {
		sender string
		spf    SPF
		domain string
		early  bool
		want   bool
	}{
		"spf":                   {"away.test", SPF{Result: "pass", Identity: "mailfrom"}, "", true, true},
		"spf of HELO":           {"away.test", SPF{Result: "pass", Identity: "helo"}, "", false, false},
		"softfail":              {"away.test", SPF{Result: "softfail", Identity: "mailfrom"}, "", false, false},
		"signature":             {"away.test", SPF{}, "away.test", false, true},
		"signature above":       {"mail.away.test", SPF{}, "away.test", false, true},
		"signature below":       {"away.test", SPF{}, "mail.away.test", false, false},
		"signature of another":  {"away.test", SPF{}, "other.test", false, false},
		"signature of a suffix": {"away.test", SPF{}, "ay.test", false, false},
		"signature not read":    {"away.test", SPF{}, "away.test", true, false},
		"null sender":           {"", SPF{Result: "pass", Identity: "mailfrom"}, "away.test", false, false},
	} {
		s := &proof{spf: c.spf, auth: Authentication{Signatures: []Signature{{Result: "fail", Domain: "away.test"}, {Result: "pass", Domain: c.domain}}}}
		stage := Content
		if c.early {
			stage = Rcpt
		}
		f := &Facts{Content: &Message{}, Sources: Sources{Authenticity: s}}
		if c.sender != "" {
			f.Sender = mail.Address{Local: "eve", Domain: c.sender}
		}
		asking(stage, func(ctx context.Context, f *Facts) {
			if got := f.SenderAuthenticated(ctx); got != c.want {
				t.Errorf("%s: %v", name, got)
			}
		}).Judge(context.Background(), stage, f)
	}
}

package check

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"posthorn/internal/policy"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
)

// tape records what a player plays as a session would.
type tape struct {
	p        *player
	a        record.Attempt
	prefix   int // steps before the first MAIL
	loggedIn bool
	cut      bool // until the next connection
	rules    *policy.Pipeline
	// done is called with each attempt and the rules it was judged by.
	done func(*record.Attempt, *policy.Pipeline)
}

func newTape(p *player, done func(*record.Attempt, *policy.Pipeline)) *tape {
	t := &tape{p: p, done: done}
	p.judged = t.judged
	return t
}

var verbOf = map[policy.Stage]string{policy.Connect: "connect", policy.Greeting: "greeting", policy.Helo: "EHLO", policy.Mail: "MAIL",
	policy.Rcpt: "RCPT", policy.Data: "DATA", policy.Content: "content"}

func (t *tape) judged(stage policy.Stage) {
	f, d := t.p.facts, &t.p.last
	switch stage {
	case policy.Connect:
		t.end()
		t.prefix, t.loggedIn, t.cut, t.rules = 0, false, false, t.p.pipeline
		t.a = record.Attempt{Complete: true, Session: record.Session{Begin: f.Time, Listener: f.Listener, Client: f.Client}}
	case policy.Helo, policy.Mail:
		if t.a.HasSender { // a new beginning
			t.end()
			t.a = record.Attempt{Complete: true, Session: t.a.Session, Steps: slices.Clone(t.a.Steps[:t.prefix])}
		}
		t.prefix = len(t.a.Steps)
	}
	if t.cut {
		return
	}
	if stage == policy.Mail {
		t.a.HasSender, t.a.Sender = true, f.Sender.String()
	}
	if f.Login != nil && !t.loggedIn {
		t.loggedIn, t.a.Account = true, int64(f.Login.ID)
		if len(f.Login.Addresses) > 0 {
			t.a.Login = f.Login.Addresses[0].String()
		}
		t.a.Steps = append(t.a.Steps, record.Step{Verb: "AUTH", Reply: "235 2.7.0 ok"})
		if stage == policy.Mail {
			t.prefix++
		}
	}
	t.step(stage, d)
}

func (t *tape) step(stage policy.Stage, d *policy.Decision) {
	f := t.p.facts
	s := record.Step{Verb: verbOf[stage], After: time.Since(t.a.Begin)}
	if stage >= policy.Mail {
		s.After = f.Time.Sub(t.a.Begin)
	}
	switch stage {
	case policy.Helo:
		s.Argument = f.Helo
	case policy.Rcpt:
		s.Argument = f.Recipient.Path()
		t.a.Recipients = append(t.a.Recipients, f.Recipient.String())
	case policy.Content:
		t.a.Size, t.a.Hops, t.a.Authors = int64(f.Size), f.Hops, nil
		for _, a := range f.From {
			t.a.Authors = append(t.a.Authors, a.String())
		}
	}
	if d.Refuses() {
		s.Reply = d.Reply.String()
	} else if stage >= policy.Mail {
		s.Reply = "250 2.0.0 ok"
	}
	d.Record(&s)
	t.a.Steps = append(t.a.Steps, s)
}

// end hands the attempt in.
func (t *tape) end() {
	refused := slices.ContainsFunc(t.a.Steps, func(s record.Step) bool { return s.Reply > "4" })
	if (t.a.HasSender || refused) && !t.cut {
		t.done(&t.a, t.rules)
	}
	t.a.Recipients = nil
}

// cutOff ends the recording of a session whose rules change under it.
func (t *tape) cutOff() {
	t.end()
	t.cut = true
}

// TestReplayByTheSameRulesChangesNothing plays every transcript and judges what
// was recorded anew, by the rules of the moment: everybody is treated as before,
// and no fact is missing.
func TestReplayByTheSameRulesChangesNothing(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	attempts := 0
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range a.Files {
			t.Run(filepath.Base(file)+"/"+part.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &player{scripted: newScripted(), settings: setting.Defaults[Settings](setting.Recommended)}
					tape := newTape(p, func(a *record.Attempt, rules *policy.Pipeline) {
						attempts++
						if r := policy.Replay(rules, nil, a); r.Unknown || r.Differs() {
							t.Errorf("%s of %s becomes %+v", a.Sender, a.Client, r)
						}
					})
					for line := range strings.Lines(string(part.Data)) {
						if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
							continue
						}
						w := strings.Fields(line)
						switch w[0] {
						case "connect":
							w = contrived(w)
						case "set", "profile":
							tape.cutOff()
						}
						_ = p.step(w) // what is expected is tested elsewhere
					}
					tape.end()
				})
			})
		}
	}
	if attempts < 500 {
		t.Errorf("only %d attempts", attempts)
	}
}

// contrived takes the words from a connection that no real session has: a class
// nobody gave, and words before a greeting that nobody held back.
func contrived(w []string) []string {
	return slices.DeleteFunc(slices.Clone(w), func(s string) bool { return s == "class-trusted" || s == "spoke-first" })
}

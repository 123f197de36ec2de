package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/transcript"
)

// A transcript hands facts to the checks and reads verdicts; there is no
// connection, and time is virtual. The first line of a file names the
// requirements it shows. One step a line. What the house and the world are like
// comes first (scripted_test.go); these steps are the session:
//
//	profile factory                the settings of a profile, from here on
//	set size.inbound 10MB          change a setting (group policy); lists with commas
//	connect 192.0.2.1 smtp         begin a session; "class-trusted", "spoke-first" may follow
//	login bob@example.test         log in
//	helo mail.away.test            judge stage Helo
//	forbidden                      input waited behind a command where it must not
//	mail <a@b.test> size=100       judge stage Mail
//	rcpt <bob@example.test>        judge stage Rcpt
//	rcpt* 100 <bob@example.test>   the same, so many times; all must pass
//	data                           judge stage Data
//	content size=1 hops=2 from=a@b.test delivered-to=a@b.test from-broken
//	wait 60s                       time passes
//
// and others say what must have come of it (expect_test.go):
//
//	= 550 5.1.1 … [recipient-exists] held
//	skipped relaying … text        the last step left the check out because of …
type player struct {
	scripted
	settings Settings
	pipeline *policy.Pipeline
	facts    *policy.Facts
	last     policy.Decision
	// before are the results of stage Connect, as long as Greeting is the last.
	before []policy.Result
	// judged, if not nil, is called after each judgement.
	judged func(policy.Stage)
}

func TestTranscripts(t *testing.T) {
	transcript.Files(t, func(t *testing.T, script string) {
		synctest.Test(t, func(t *testing.T) {
			if err := play(script); err != nil {
				t.Error(err)
			}
		})
	})
}

func play(script string) error {
	p := &player{scripted: newScripted(), settings: setting.Defaults[Settings](setting.Recommended)}
	for i, line := range strings.Split(script, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.step(strings.Fields(line)); err != nil {
			return fmt.Errorf("line %d: %s\n\t%w", i+1, line, err)
		}
	}
	return nil
}

// step is a step of the session, of the world, or an expectation.
func (p *player) step(w []string) error {
	for _, try := range [...]func([]string) (bool, error){p.session, p.script, p.expected} {
		if known, err := try(w); known {
			return err
		}
	}
	return errors.New("unknown step")
}

func (p *player) session(w []string) (known bool, err error) {
	switch w[0] {
	case "profile":
		p.settings = setting.Defaults[Settings](setting.Profile(w[1]))
	case "set":
		return true, set(&p.settings, w[1], strings.Join(w[2:], " "))
	case "connect":
		return true, p.connect(w[1:])
	case "login":
		p.facts.Login, p.facts.Kind = people[w[1]], policy.Submission
		if p.facts.Login == nil {
			return true, errors.New("nobody has this address")
		}
	case "helo":
		p.facts.Helo = w[1]
		p.judge(policy.Helo)
	case "forbidden":
		p.facts.ForbiddenInput++
	case "mail":
		return true, p.mail(w[1:])
	case "rcpt":
		p.rcpt(w[1])
	case "rcpt*":
		return true, p.many(w[1], w[2])
	case "data":
		p.judge(policy.Data)
	case "content":
		return true, p.content(w[1:])
	case "wait":
		d, err := setting.ParseDuration(w[1])
		time.Sleep(d)
		return true, err
	default:
		return false, nil
	}
	return true, nil
}

func (p *player) judge(stage policy.Stage) {
	p.before = nil
	p.last = p.pipeline.Judge(context.Background(), stage, p.facts)
	if p.judged != nil {
		p.judged(stage)
	}
}

func (p *player) connect(w []string) error {
	if err := p.settings.Validate(); err != nil {
		return err
	}
	client, err := netip.ParseAddr(w[0])
	if err != nil {
		return err
	}
	p.pipeline = policy.NewPipeline(p.rules(&p.settings))
	f := &policy.Facts{Time: time.Now(), Client: client, Listener: w[1], Sources: p.sources()}
	p.pipeline.Classify(f)
	for _, word := range w[2:] {
		switch word {
		case "class-trusted":
			f.Kind, f.Trust = policy.Trusted, policy.TrustedClass
		case "spoke-first":
			f.SpokeFirst = true
		default:
			return fmt.Errorf("no client is %s", word)
		}
	}
	p.facts = f
	if p.judge(policy.Connect); p.last.Refuses() {
		return nil
	}
	before := slices.Clone(p.last.Results)
	p.pipeline.Listed(context.Background(), f)
	synctest.Wait() // for what is looked up ahead
	p.judge(policy.Greeting)
	p.before = before
	return nil
}

func path(text string) mail.Address {
	text = strings.Trim(text, "<>")
	if text != "" && !strings.Contains(text, "@") {
		return mail.Address{Local: text}
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		return mail.Address{}
	}
	return a
}

func (p *player) mail(w []string) error {
	f := p.facts
	f.Time, f.Room, f.Content = time.Now(), p.room, nil
	f.Sender, f.DeclaredSize, f.Accepted, f.Refused = path(w[0]), 0, 0, 0
	for _, arg := range w[1:] {
		n, err := strconv.ParseInt(strings.TrimPrefix(arg, "size="), 10, 64)
		if err != nil {
			return err
		}
		f.DeclaredSize = unit.Size(n)
	}
	p.judge(policy.Mail)
	return nil
}

func (p *player) rcpt(text string) {
	p.facts.Recipient = path(text)
	p.facts.Resolution = resolve(p.facts.Recipient)
	p.judge(policy.Rcpt)
	if p.last.Refuses() {
		p.facts.Refused++
	} else {
		p.facts.Accepted++
	}
}

func (p *player) many(count, text string) error {
	n, err := strconv.Atoi(count)
	for i := 0; i < n; i++ {
		if p.rcpt(text); p.last.Action != policy.Pass {
			return fmt.Errorf("number %d: %s", i+1, said(p.last))
		}
	}
	return err
}

func (p *player) content(w []string) error {
	f := p.facts
	f.Size, f.Hops, f.From, f.DeliveredTo, f.FromBroken = 100, 1, nil, nil, false
	f.Content = &policy.Message{}
	for _, arg := range w {
		name, value, _ := strings.Cut(arg, "=")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "size":
			f.Size = unit.Size(n)
		case "hops":
			f.Hops = int(n)
		case "from":
			f.From = append(f.From, path(value))
		case "from-broken":
			f.FromBroken = true
		case "delivered-to":
			f.DeliveredTo = append(f.DeliveredTo, value)
		default:
			return fmt.Errorf("content has no %s", name)
		}
	}
	p.judge(policy.Content)
	return nil
}

// roomIs scripts the disk.
func roomIs(r *store.Room, w []string) error {
	for _, arg := range w {
		name, value, _ := strings.Cut(arg, "=")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "free":
			r.Free = n
		case "total":
			r.Total = n
		case "broken":
			r.ReadOnly = errors.New("input/output error")
		default:
			return fmt.Errorf("room has no %s", name)
		}
	}
	return nil
}

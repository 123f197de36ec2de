package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// A transcript hands facts to the checks and reads verdicts; there is no
// connection. The first line of a file names the requirements it shows. One
// step a line, its verdict on the next:
//
//	set size.inbound 10MB          change a setting (group policy)
//	connect 192.0.2.1 smtp         begin a session; "class-trusted" may follow
//	login bob@example.test         log in
//	mail <a@b.test> size=100       judge stage Mail
//	= pass
//	rcpt <bob@example.test>        judge stage Rcpt
//	= 550 5.1.1 … [recipient-exists] held
//	rcpt* 100 <bob@example.test>   the same, so many times; all must pass
//	data                           judge stage Data
//	content size=1 hops=2 from=a@b.test delivered-to=a@b.test from-broken
//	room free=0 total=10 broken    what the disk is like
//	skipped relaying … text        the last step left the check out because of …
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(a.Comment), "ids: ") {
				t.Error("the first line does not name requirements (ids: …)")
			}
			for _, part := range a.Files {
				t.Run(part.Name, func(t *testing.T) {
					if err := play(string(part.Data)); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}

type player struct {
	settings Settings
	pipeline *policy.Pipeline
	facts    *policy.Facts
	room     store.Room
	last     policy.Decision
}

func play(script string) error {
	p := &player{settings: setting.Defaults[Settings](setting.Recommended)}
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

func (p *player) step(w []string) error {
	switch w[0] {
	case "set":
		return set(&p.settings, w[1], strings.Join(w[2:], " "))
	case "connect":
		return p.connect(w[1:])
	case "login":
		p.facts.Login, p.facts.Kind = people[w[1]], policy.Submission
		if p.facts.Login == nil {
			return errors.New("nobody has this address")
		}
	case "room":
		return p.roomIs(w[1:])
	case "mail":
		return p.mail(w[1:])
	case "rcpt":
		p.rcpt(w[1])
	case "rcpt*":
		return p.many(w[1], w[2])
	case "data":
		p.judge(policy.Data)
	case "content":
		return p.content(w[1:])
	case "=":
		return expect(strings.Join(w[1:], " "), said(p.last))
	case "skipped":
		return p.skipped(w[1], strings.Join(w[2:], " "))
	default:
		return errors.New("unknown step")
	}
	return nil
}

func (p *player) judge(stage policy.Stage) {
	p.last = p.pipeline.Judge(context.Background(), stage, p.facts)
}

func (p *player) connect(w []string) error {
	if err := p.settings.Validate(); err != nil {
		return err
	}
	client, err := netip.ParseAddr(w[0])
	if err != nil {
		return err
	}
	p.pipeline = policy.NewPipeline(p.settings.Rules())
	f := &policy.Facts{Client: client, Listener: w[1], Sources: policy.Sources{Usage: world{}, Senders: world{}}}
	p.pipeline.Classify(f)
	if len(w) > 2 {
		f.Kind, f.Trust = policy.Trusted, policy.TrustedClass
	}
	f.Room = p.room
	p.facts = f
	if p.judge(policy.Connect); p.last.Refuses() {
		return nil
	}
	p.pipeline.Listed(context.Background(), f)
	p.judge(policy.Greeting)
	return nil
}

func (p *player) roomIs(w []string) error {
	for _, arg := range w {
		name, value, _ := strings.Cut(arg, "=")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "free":
			p.room.Free = n
		case "total":
			p.room.Total = n
		case "broken":
			p.room.ReadOnly = errors.New("input/output error")
		default:
			return fmt.Errorf("room has no %s", name)
		}
	}
	return nil
}

func path(text string) mail.Address {
	text = strings.Trim(text, "<>")
	if text == "postmaster" {
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

func (p *player) skipped(name, because string) error {
	for _, r := range p.last.Results {
		if r.Entry.Name == name {
			return expect(because, r.Skipped)
		}
	}
	return fmt.Errorf("check %s is not in the results", name)
}

func said(d policy.Decision) string {
	text := d.Action.String()
	if d.Refuses() {
		text = fmt.Sprintf("%s [%s]", d.Reply, d.Check)
	}
	if d.Held {
		text += " held"
	}
	return text
}

// expect compares, with "…" standing for anything.
func expect(want, got string) error {
	rest := got
	for i, piece := range strings.Split(want, "…") {
		at := strings.Index(rest, piece)
		if at < 0 || i == 0 && at > 0 {
			return fmt.Errorf("got %q", got)
		}
		rest = rest[at+len(piece):]
	}
	if !strings.HasSuffix(want, "…") && rest != "" {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// set changes a setting by its name; the real names and rules of text are
// tested by package setting.
func set(s *Settings, name, text string) error {
	v := reflect.ValueOf(s).Elem()
	for part := range strings.SplitSeq(name, ".") {
		want := strings.ReplaceAll(part, "_", "")
		v = v.FieldByNameFunc(func(f string) bool { return strings.EqualFold(f, want) })
		if !v.IsValid() {
			return fmt.Errorf("no setting %s", name)
		}
	}
	switch x := v.Addr().Interface().(type) {
	case *bool:
		*x = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		*x = n
		return err
	case *string:
		*x = text
	case *[]netip.Prefix:
		*x = nil
		for one := range strings.FieldsSeq(text) {
			p, err := setting.ParseNetwork(one)
			if err != nil {
				return err
			}
			*x = append(*x, p)
		}
	case *unit.Size:
		return x.UnmarshalText([]byte(text))
	case *policy.Mode:
		return x.UnmarshalText([]byte(text))
	}
	return nil
}

package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

func house() policy.World {
	return policy.World{
		Resolve: func(_ context.Context, a mail.Address) (directory.Resolution, error) { return resolve(a), nil },
		Sources: policy.Sources{Usage: world{}, Senders: world{}},
		Room:    func(context.Context) (store.Room, error) { return store.Room{}, nil },
	}
}

func message(header string) *mime.Structure {
	return mime.Parse([]byte(strings.ReplaceAll(header, "\n", "\r\n") + "\r\nhello\r\n"))
}

func TestRehearsalSaysWhatASessionWould(t *testing.T) {
	s := defaults()
	s.Hops.Inbound = 2
	p := policy.NewPipeline(s.Rules())
	stranger := policy.Question{Client: netip.MustParseAddr("192.0.2.1"), Helo: "away.test", Sender: path("eve@away.test")}
	to := func(q policy.Question, rcpt ...string) policy.Question {
		for _, r := range rcpt {
			q.Recipients = append(q.Recipients, path(r))
		}
		return q
	}
	with := func(q policy.Question, m *mime.Structure) policy.Question { q.Message = m; return q }
	nameless := stranger
	nameless.Helo = ""
	user := stranger
	user.Listener, user.Login, user.Sender = "submission", people["bob@example.test"], path("bob@example.test")
	nobody := user
	nobody.Login = nil
	for name, c := range map[string]struct {
		q        policy.Question
		outcome  record.Outcome
		accepted string
		said     string
	}{
		"envelope only":    {stranger, record.Aborted, "[]", "No recipient"},
		"accepted":         {to(stranger, "bob@example.test"), record.Accepted, "[bob@example.test]", "would be accepted for <bob@example.test>."},
		"partly":           {to(stranger, "nobody@example.test", "bob@example.test"), record.Accepted, "[bob@example.test]", "550 5.1.1"},
		"relaying":         {to(stranger, "x@other.test"), record.Refused, "[]", "posthorn setting explain policy.trust.clients"},
		"both":             {to(stranger, "crowd@example.test", "nobody@example.test"), record.Refused, "[]", "refused for now for <crowd@example.test>; refused for good for <nobody@example.test>."},
		"without a name":   {to(nameless, "bob@example.test"), record.Accepted, "[bob@example.test]", "it is taken to call itself [192.0.2.1]"},
		"for now":          {to(stranger, "crowd@example.test"), record.Deferred, "[]", "refused for now"},
		"at MAIL":          {to(nobody, "bob@example.test"), record.Refused, "[]", "530 5.7.0"},
		"user":             {to(user, "x@other.test"), record.Accepted, "[x@other.test]", "mail of a user"},
		"content":          {with(to(user, "x@other.test"), message("From: bob@example.test\n")), record.Accepted, "[x@other.test]", "content"},
		"author":           {with(to(user, "x@other.test"), message("From: Boss <boss@other.test>\n")), record.Refused, "[]", "From names <boss@other.test>"},
		"two From fields":  {with(to(user, "x@other.test"), message("From: bob@example.test\nFrom: boss@other.test\n")), record.Refused, "[]", "From field cannot be read"},
		"unreadable From":  {with(to(user, "x@other.test"), message("From: boss at other\n")), record.Refused, "[]", "From field cannot be read"},
		"hops":             {with(to(stranger, "bob@example.test"), message("Received: a\nReceived: b\nReceived: c\n")), record.Refused, "[]", "policy.hops.inbound"},
		"delivered before": {with(to(stranger, "bob@example.test"), message("Delivered-To: bob@example.test\n")), record.Accepted, "[bob@example.test]", "kept here and not sent on again"},
		"sent on before":   {with(to(stranger, "sales@example.test"), message("Delivered-To: sales@example.test\n")), record.Refused, "[]", "554 5.4.6"},
	} {
		a, err := policy.Try(context.Background(), p, house(), c.q)
		var out bytes.Buffer
		if terr := a.Text(&out, true); err != nil || terr != nil {
			t.Fatal(name, err, terr)
		}
		if a.Outcome != c.outcome || fmt.Sprint(a.Accepted) != c.accepted || !strings.Contains(out.String(), c.said) {
			t.Errorf("%s: %v for %v\n%s", name, a.Outcome, a.Accepted, &out)
		}
		if text, err := json.Marshal(a); err != nil || !strings.Contains(string(text), `"outcome":"`+c.outcome.String()) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

func TestRehearsalReadsWell(t *testing.T) {
	p := policy.NewPipeline(defaults().Rules())
	a, err := policy.Try(context.Background(), p, house(), policy.Question{
		Client: netip.MustParseAddr("192.0.2.1"), Helo: "away.test", Sender: path("eve@away.test"),
		Recipients: []mail.Address{path("bob@example.test"), path("friend@other.test")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Steps {
		for j := range a.Steps[i].Checks {
			a.Steps[i].Checks[j].Cost = 0
		}
	}
	var out bytes.Buffer
	if err := a.Text(&out, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/try.txt", out.Bytes())
}

func TestRehearsalReportsWhatItCannotLookUp(t *testing.T) {
	p := policy.NewPipeline(defaults().Rules())
	w := house()
	w.Room = func(context.Context) (store.Room, error) { return store.Room{}, errors.New("away") }
	if _, err := policy.Try(context.Background(), p, w, policy.Question{}); err == nil {
		t.Error("no error without a store")
	}
	w = house()
	w.Resolve = func(context.Context, mail.Address) (directory.Resolution, error) {
		return directory.Resolution{}, errors.New("away")
	}
	if _, err := policy.Try(context.Background(), p, w, policy.Question{Recipients: []mail.Address{{Local: "a", Domain: "b.test"}}}); err == nil {
		t.Error("no error without a directory")
	}
}

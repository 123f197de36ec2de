package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/wire/mime"
)

// PolicyQuestion describes a mail that nobody has sent.
type PolicyQuestion struct {
	Listener string   `json:"listener,omitempty" doc:"Listener the client connects to" enum:",smtp,submission,submissions,lmtp"`
	Client   string   `json:"client" doc:"Address of the client" example:"192.0.2.1"`
	Helo     string   `json:"helo,omitempty" doc:"Name the client gives itself"`
	TLS      bool     `json:"tls,omitempty" doc:"The connection is encrypted; on submissions it always is, and with a login it is taken to be where logins need it"`
	Login    string   `json:"login,omitempty" doc:"Who logs in; empty: nobody"`
	From     string   `json:"from" doc:"Reverse-path; empty: the null sender"`
	To       []string `json:"to" doc:"Recipients"`
	Size     Size     `json:"size,omitempty" doc:"Declared size"`
	Message  string   `json:"message,omitempty" doc:"The message itself; without it the answer ends before the content"`
	Rehearsal
}

// PolicyTryInput is the input of policy-try.
type PolicyTryInput struct{ Body PolicyQuestion }

func policyOperations() []Operation {
	return []Operation{
		declare("policy-list", get, "/policies", reader, "List the checks in the order they are asked", (*Service).policies),
		question("policy-try", "/policies/try", reader, "What would happen to this mail?", (*Service).tryPolicy),
		question("policy-replay", "/policies/replay", reader, "Who would have been treated differently by other settings, or other rules of the allow and block lists?", (*Service).replayPolicy),
		declare("policy-scanners", get, "/policies/scanners", reader, "Are the scanners there that look into mail?", (*Service).scanners),
	}
}

func (s *Service) policies(_ context.Context, _ *None) (Page[policy.Row], error) {
	return Page[policy.Row]{Items: s.o.Pipeline.Rules().List()}, nil
}

func (s *Service) tryPolicy(ctx context.Context, in *PolicyTryInput) (policy.Answer, error) {
	q, err := s.question(ctx, in.Body)
	if err != nil {
		return policy.Answer{}, err
	}
	r := in.Body.Rehearsal
	tried, err := s.rehearse(ctx, r)
	if err != nil {
		return policy.Answer{}, err
	}
	if name, err := s.unmet(ctx, tried.lists, r.Remove); err != nil || name != "" {
		return policy.Answer{}, cmp.Or(err, inField("remove", fmt.Errorf("no rule is called %q (posthorn list list)", name)))
	}
	if q.Login != nil && !tried.pipeline.Rules().Limits(policy.Submission, policy.Untrusted).Auth {
		return policy.Answer{}, inField("login", errors.New("nobody can log in to send while policy.auth.enabled is false"))
	}
	w := policy.World{Resolve: s.o.Directory.Resolve, Room: s.o.Store.Room, Sources: s.o.Sources}
	w.Sources.Access = tried.lists.Over(w.Sources.Access)
	return policy.Try(ctx, tried.pipeline, w, q)
}

func (s *Service) question(ctx context.Context, in PolicyQuestion) (policy.Question, error) {
	q := policy.Question{Listener: in.Listener, Helo: in.Helo, TLS: in.TLS, Size: unit.Size(in.Size)}
	var err error
	if q.Client, err = netip.ParseAddr(in.Client); err != nil {
		return q, inField("client", fmt.Errorf("%q is no IP address", in.Client))
	}
	if in.From != "" {
		if q.Sender, err = mail.ParseAddress(in.From); err != nil {
			return q, inField("from", err)
		}
	}
	for _, text := range in.To {
		rcpt, err := mail.ParseAddress(text)
		if err != nil {
			return q, inField("to", err)
		}
		q.Recipients = append(q.Recipients, rcpt)
	}
	if in.Login != "" {
		a, err := s.o.Directory.Login(ctx, in.Login)
		if err != nil {
			return q, inField("login", err)
		}
		q.Login = &a
	}
	q.TLS = q.TLS || in.Listener == "submissions" // RFC 8314 §3.3
	if q.Login != nil && !q.TLS {
		needs, err := s.o.Settings.Get("login.plaintext_needs_tls")
		if err != nil {
			return q, err
		}
		q.AssumeTLS = needs == "true"
	}
	if in.Message != "" {
		q.Message, q.Body = mime.Parse([]byte(in.Message)), strings.NewReader(in.Message)
		if q.Size == 0 {
			q.Size = unit.Size(len(in.Message))
		}
	}
	return q, nil
}

package manage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
)

// TraceInput selects attempts; empty fields match everything.
type TraceInput struct {
	ID      string `json:"id" query:"id" doc:"Identifier of a message or a session"`
	From    string `json:"from" query:"from" doc:"Sender, an address or a domain"`
	To      string `json:"to" query:"to" doc:"Recipient, an address or a domain"`
	Client  string `json:"client" query:"client" doc:"Address or network of the client"`
	Since   string `json:"since" query:"since" doc:"How far back, such as 24h or 7d"`
	Outcome string `json:"outcome" query:"outcome" doc:"accepted, refused, deferred, discarded or aborted; several with commas"`
	Limit   int    `json:"limit" query:"limit" minimum:"0" maximum:"1000"`
}

func traceOperations() []Operation {
	return []Operation{declare("trace", get, "/trace", reader, "What happened to messages, accepted or refused, and why", (*Service).trace)}
}

func (s *Service) trace(ctx context.Context, in *TraceInput) ([]record.Biography, error) {
	q := record.Query{From: addressOrDomain(in.From), To: addressOrDomain(in.To), Limit: in.Limit}
	var err error
	if in.ID != "" {
		if q.ID, err = ident.Parse(in.ID); err != nil {
			return nil, inField("id", errors.New(notIdentifier(in.ID)))
		}
		if q.ID.IsZero() { // nobody has it, and to Search it means all
			return []record.Biography{}, nil
		}
	}
	if in.Client != "" {
		if q.Client, err = setting.ParseNetwork(in.Client); err != nil {
			return nil, inField("client", err)
		}
	}
	if in.Since != "" {
		d, err := setting.ParseDuration(in.Since)
		if err != nil {
			return nil, inField("since", err)
		}
		q.Since = time.Now().Add(-d)
	}
	for word := range strings.SplitSeq(in.Outcome, ",") {
		if word == "" {
			continue
		}
		o, ok := record.ParseOutcome(strings.TrimSpace(word))
		if !ok {
			return nil, inField("outcome", fmt.Errorf("%q; write accepted, refused, deferred, discarded or aborted", word))
		}
		q.Outcomes = append(q.Outcomes, o)
	}
	found, err := s.o.Records.Search(ctx, q)
	if found == nil {
		found = []record.Biography{}
	}
	return found, err
}

// addressOrDomain writes a bare domain as records are searched by.
func addressOrDomain(s string) string {
	if s == "" || strings.Contains(s, "@") {
		return s
	}
	return "@" + s
}

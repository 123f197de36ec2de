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
	"posthorn/internal/state/store"
)

// TraceInput selects attempts; empty fields match everything.
type TraceInput struct {
	ID      string `json:"id" query:"id" doc:"Identifier of a message or a session"`
	From    string `json:"from" query:"from" doc:"Sender, an address or a domain"`
	To      string `json:"to" query:"to" doc:"Recipient, an address or a domain"`
	Client  string `json:"client" query:"client" doc:"Address or network of the client"`
	Outcome string `json:"outcome" query:"outcome" doc:"accepted, refused, deferred, discarded or aborted; several with commas"`
	Period
	Paging
}

func traceOperations() []Operation {
	return []Operation{declare("trace", get, "/trace", reader, "What happened to messages, accepted or refused, and why", (*Service).trace)}
}

// Traced is what trace found.
type Traced struct {
	Page[record.Biography]
	Understood
}

func (s *Service) trace(ctx context.Context, in *TraceInput) (Traced, error) {
	p := Traced{Page: Page[record.Biography]{Items: []record.Biography{}}}
	q, u, err := in.query(time.Now().In(s.zone()))
	if p.Understood = u; err != nil || in.ID != "" && q.ID.IsZero() { // nobody has it, and to Search it means all
		return p, err
	}
	found, err := s.o.Records.Search(ctx, q)
	if errors.Is(err, record.ErrPlace) {
		err = inField("after", fmt.Errorf("%q is no place in the records of this node; begin with the first page", in.After))
	}
	if p.Items = found; found == nil {
		p.Items = []record.Biography{}
	}
	if err == nil {
		err = s.nameOwners(ctx, found)
	}
	if n := len(found); n == q.Limit && found[n-1].Attempt != nil {
		p.Next = found[n-1].Place.String()
	}
	return p, err
}

// nameOwners says of which account each copy is.
func (s *Service) nameOwners(ctx context.Context, found []record.Biography) error {
	names := map[int64]string{0: ""}
	for i := range found {
		for j := range found[i].Events {
			e := &found[i].Events[j]
			name, ok := names[e.Account]
			if !ok {
				row, err := s.o.Store.Directory().GetAccount(ctx, store.AccountID(e.Account))
				switch {
				case errors.Is(err, store.ErrNotFound):
					name = fmt.Sprintf("account %d, which was removed", e.Account)
				case err != nil:
					return err
				case len(row.Addresses) > 0:
					name = row.Addresses[0].String()
				}
				names[e.Account] = name
			}
			e.Owner = name
		}
	}
	return nil
}

// query checks what is looked for, by the clock and the zone of now.
func (in *TraceInput) query(now time.Time) (q record.Query, u Understood, err error) {
	q = record.Query{From: addressOrDomain(in.From), To: addressOrDomain(in.To), Limit: in.limit()}
	if u, err = in.read(now); err != nil {
		return q, u, err
	}
	q.Since, q.Until = u.Since, u.Until
	if in.After != "" {
		if q.After, err = record.ParsePlace(in.After); err != nil {
			return q, u, inField("after", fmt.Errorf("%q is no end of a page; take next of the page before", in.After))
		}
	}
	if in.ID != "" {
		if q.ID, err = ident.Parse(in.ID); err != nil {
			return q, u, inField("id", errors.New(notIdentifier(in.ID)))
		}
	}
	if in.Client != "" {
		if q.Client, err = setting.ParseNetwork(in.Client); err != nil {
			return q, u, inField("client", err)
		}
	}
	for word := range strings.SplitSeq(in.Outcome, ",") {
		if word == "" {
			continue
		}
		o, ok := record.ParseOutcome(strings.TrimSpace(word))
		if !ok {
			return q, u, inField("outcome", fmt.Errorf("%q; write accepted, refused, deferred, discarded or aborted", word))
		}
		q.Outcomes = append(q.Outcomes, o)
	}
	return q, u, nil
}

// addressOrDomain writes a bare domain as records are searched by.
func addressOrDomain(s string) string {
	if s == "" || strings.Contains(s, "@") {
		return s
	}
	return "@" + s
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/record"
)

type traceCmd struct {
	ID     *string `arg:"" optional:"" help:"Identifier of a message or session, from a log line, a Received field or a reply."`
	From   string  `help:"Sender: an address or a domain." placeholder:"ADDRESS"`
	To     string  `help:"Recipient: an address or a domain." placeholder:"ADDRESS"`
	Client string  `help:"Address or network of the client." placeholder:"IP"`
	period
	Outcome string `help:"Only these: accepted, refused, deferred, discarded, aborted." placeholder:"WORD,..."`
	Limit   int    `help:"Most attempts to show." default:"20"`
	After   string `help:"Go on after a page: what it said at its end." placeholder:"MARK"`
	Long    bool   `help:"Show every attempt in full, not a line each."`
	All     bool   `help:"Show the checks that had nothing to say, too."`
}

// nothing says what to do when no record is found.
func (c *traceCmd) nothing(u manage.Understood) string {
	const kept = "Records are kept for a while only (posthorn setting explain record.max_age)."
	switch {
	case c.After != "":
		return "There are no older ones. " + kept
	case c.id() != "":
		return "No record of " + clean(c.id()) + ". " + kept + "\nSearch by address instead: posthorn trace --to ADDRESS, or --from ADDRESS."
	case c.From+c.To+c.Client+c.Since+c.Until+c.On+c.Outcome == "":
		return "No mail has been offered yet. " + kept
	}
	where := "No record matches"
	if about := span(u); about != "" {
		where += " " + about
	}
	return where + ". " + kept + c.wider()
}

// wider says how to ask for more, if that is possible.
func (c *traceCmd) wider() string {
	var ways []string
	if c.Since+c.Until+c.On != "" {
		ways = append(ways, "without a time")
	}
	if strings.Contains(c.From+c.To, "@") {
		ways = append(ways, "with a domain instead of an address")
	}
	if c.Outcome != "" {
		ways = append(ways, "without --outcome")
	}
	if len(ways) == 0 {
		return ""
	}
	return "\nAsk more widely: " + strings.Join(ways, ", or ") + "."
}

// id is the identifier that was given, "" for none.
func (c *traceCmd) id() string {
	if c.ID == nil {
		return ""
	}
	return *c.ID
}

func (c *traceCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if c.ID != nil && *c.ID == "" {
		return misuse("the identifier is empty; it stands in a log line, a Received field or a reply. Without one, posthorn trace lists the newest mail")
	}
	in := manage.TraceInput{ID: c.id(), From: c.From, To: c.To, Client: c.Client, Period: c.input(), Outcome: c.Outcome, Paging: manage.Paging{Limit: c.Limit, After: c.After}}
	p, err := ask[manage.Traced](ctx, w, s, "trace", in)
	switch {
	case err != nil:
		return err
	case c.id() != "" && c.After == "" && len(p.Items) == 0: // one that is not there is a mistake, to scripts too
		return errors.New(c.nothing(p.Understood))
	case w.JSON:
		return printJSON(s.Out, p)
	}
	return c.print(s, p)
}

func (c *traceCmd) print(s *Streams, p manage.Traced) error {
	found := p.Items
	v := record.View{All: c.All, Zone: zoneOf(p.Understood)}
	if len(found) == 0 {
		_, err := fmt.Fprintln(s.Out, s.hint(c.nothing(p.Understood)))
		return err
	}
	if len(found) == 1 || c.Long || c.id() != "" {
		for i, b := range found {
			if i > 0 {
				if _, err := fmt.Fprintln(s.Out); err != nil {
					return err
				}
			}
			if err := v.Text(s.Out, b); err != nil {
				return err
			}
		}
		if p.Next == "" || len(found) == 1 {
			return nil
		}
		_, err := fmt.Fprintf(s.Out, "\nOlder ones: add --after %s\n", shell.Word(p.Next))
		return err
	}
	for _, b := range found {
		if err := v.Line(s.Out, b); err != nil {
			return err
		}
		if err := v.Reasons(s.Out, b); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("\nTimes are those of %s. One of them in full: posthorn trace ID. All of them: add --long\n", clean(p.Zone))))
	if err == nil && p.Next != "" {
		_, err = fmt.Fprintf(s.Out, "Older ones: add --after %s\n", shell.Word(p.Next))
	}
	return err
}

package cli

import (
	"context"
	"fmt"
	"strings"

	"posthorn/internal/server/manage"
)

type dnsCmd struct {
	Check dnsCheckCmd `cmd:"" help:"Check the server's name and addresses, or where mail for a domain goes."`
}

type dnsCheckCmd struct {
	Domain string `arg:"" optional:"" field:"name" help:"Domain whose mail servers are looked up (without: this server's own name and addresses)."`
}

func (c *dnsCheckCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	render := func(r manage.DNSReport) error {
		if _, err := fmt.Fprintf(s.Out, "%s, asked of %s: %s\n", clean(r.Name), strings.Join(r.Servers, " and "), r.State); err != nil {
			return err
		}
		for _, check := range r.Checks {
			if err := writeCheck(s, check); err != nil {
				return err
			}
		}
		return nil
	}
	if c.Domain == "" {
		return show(ctx, w, s, "dns-host", manage.None{}, render)
	}
	return show(ctx, w, s, "dns-domain", manage.DNSDomainInput{Name: c.Domain}, render)
}

// writeCheck writes the state, what was found, and what to do.
func writeCheck(s *Streams, c manage.DNSCheck) error {
	found := none(strings.Join(c.Found, ", "), "nothing")
	_, err := fmt.Fprintf(s.Out, "\n%-7s %s: %s\n%s\n", c.State, clean(c.What), clean(found), wrap(s.hint(clean(c.Say)), 90, "        "))
	return err
}

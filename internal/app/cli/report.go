package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"posthorn/internal/server/manage"
)

type reportCmd struct {
	List    reportListCmd    `cmd:"" help:"List the DMARC reports about our domains."`
	Show    reportShowCmd    `cmd:"" help:"Show what one report says."`
	Sources reportSourcesCmd `cmd:"" help:"Who sends in the name of a domain, by all reports."`
}

type reportListCmd struct {
	Domain string `arg:"" optional:"" help:"Only reports about this domain."`
	Limit  int    `help:"Most reports to list." default:"100"`
	After  string `help:"Go on after a page: what it said at its end." placeholder:"MARK"`
}

func (c *reportListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.ReportListInput{Domain: c.Domain, Paging: manage.Paging{Limit: c.Limit, After: c.After}}
	return show(ctx, w, s, "report-list", in, func(p manage.Page[manage.Report]) error {
		if len(p.Items) == 0 {
			_, err := fmt.Fprintln(s.Out, "No DMARC report has come in yet. They are read from mail to the addresses in the setting reports.dmarc_addresses.")
			return err
		}
		t := newTable(s.Out, "ID", "DOMAIN", "FROM", "UNTIL", "REPORTED BY", "RECEIVED")
		for _, r := range p.Items {
			t.row(fmt.Sprint(r.ID), r.Domain, when(r.Begin), when(r.End), short(none(r.Organization, "-"), 32), when(r.Received))
		}
		if err := t.end(); err != nil {
			return err
		}
		_, err := io.WriteString(s.Out, s.hint("\nWhat one says: posthorn report show ID. All together: posthorn report sources DOMAIN\n"))
		if err == nil && p.Next != "" {
			_, err = fmt.Fprintf(s.Out, "There are more: --after %s\n", p.Next)
		}
		return err
	})
}

type reportShowCmd struct {
	ID int64 `arg:"" help:"Number of the report."`
}

func (c *reportShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "report-show", manage.ReportInput{ID: c.ID}, func(r manage.ReportView) error {
		err := facts(s.Out, "Domain", r.Domain, "Reported by", r.Organization+fileNamed(r.Email), "Report", r.ReportID, "Time", when(r.Begin)+" until "+when(r.End),
			"Policy found", r.Policy, "Messages", sums(r.ReportSums))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(s.Out); err != nil {
			return err
		}
		t := newTable(s.Out, "SOURCE", "MESSAGES", "DKIM", "SPF", "TREATED", "AUTHOR", "DETAIL")
		for _, row := range r.Rows {
			t.row(none(row.Source, "others"), fmt.Sprint(row.Count), row.DKIM, row.SPF, treated(row.Disposition), row.HeaderFrom, row.Detail)
		}
		return t.end()
	})
}

// treated is a disposition in words.
func treated(disposition string) string {
	if disposition == "none" || disposition == "" {
		return "delivered"
	}
	return disposition
}

func sums(n manage.ReportSums) string {
	return fmt.Sprintf("%d: %d passed, %d failed; %d quarantined or rejected", n.Messages, n.Passed, n.Failed, n.Stopped)
}

type reportSourcesCmd struct {
	Domain string `arg:"" help:"Domain of ours."`
	Days   int    `help:"How far back." default:"30"`
}

func (c *reportSourcesCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "report-sources", manage.ReportSourcesInput{Domain: c.Domain, Days: c.Days}, func(r manage.ReportSources) error {
		if r.Reports == 0 {
			_, err := fmt.Fprintf(s.Out, "No DMARC report about %s came in since %s.\n", r.Domain, when(r.Since))
			return err
		}
		t := newTable(s.Out, "SOURCE", "MESSAGES", "PASSED", "FAILED", "STOPPED", "SEEN BY")
		for _, at := range r.Sources {
			t.row(none(at.Source, "others"), fmt.Sprint(at.Messages), fmt.Sprint(at.Passed), fmt.Sprint(at.Failed), fmt.Sprint(at.Stopped), short(strings.Join(at.Reporters, ", "), 50))
		}
		if err := t.end(); err != nil {
			return err
		}
		more := ""
		if r.Cut {
			more = " There is more than was added up."
		}
		_, err := fmt.Fprintf(s.Out, "\n%s since %s say of mail in the name of %s: %s.%s\n", plural(int64(r.Reports), "report"), when(r.Since), r.Domain, sums(r.ReportSums), more)
		return err
	})
}

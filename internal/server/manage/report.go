package manage

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Report is an aggregate report of another server about mail in our name.
type Report struct {
	ID           int64     `json:"id"`
	Domain       string    `json:"domain" doc:"Domain of ours that it is about"`
	Organization string    `json:"organization" doc:"Who reports"`
	Email        string    `json:"email"`
	ReportID     string    `json:"report_id" doc:"Their name for it"`
	Begin        time.Time `json:"begin"`
	End          time.Time `json:"end"`
	Received     time.Time `json:"received"`
	Policy       string    `json:"policy" doc:"The DMARC policy that was found in DNS"`
}

// ReportView is a report with what it says.
type ReportView struct {
	Report
	ReportSums
	Rows []ReportRow `json:"rows"`
}

// ReportSums count messages by what DMARC said of them.
type ReportSums struct {
	Messages int64 `json:"messages"`
	Passed   int64 `json:"passed" doc:"DKIM or SPF proves the domain"`
	Failed   int64 `json:"failed" doc:"Nothing proves it: strangers, or a server of yours that is not set up"`
	Stopped  int64 `json:"stopped" doc:"Put into quarantine or rejected"`
}

// ReportRow is mail of one source.
type ReportRow struct {
	Source      string `json:"source" doc:"Address of the client; empty for several with little mail"`
	Count       int64  `json:"count"`
	Disposition string `json:"disposition" enum:"none,quarantine,reject"`
	DKIM        string `json:"dkim" doc:"pass or fail, by a signature of the domain"`
	SPF         string `json:"spf" doc:"pass or fail, by the domain's SPF"`
	HeaderFrom  string `json:"header_from"`
	Detail      string `json:"detail" doc:"What was authenticated"`
}

// ReportSources say who sends in the name of a domain.
type ReportSources struct {
	Domain string    `json:"domain"`
	Since  time.Time `json:"since"`
	ReportSums
	Reports int            `json:"reports" doc:"Reports that were added up"`
	Cut     bool           `json:"cut" doc:"There are more reports or sources than were added up"`
	Sources []ReportSource `json:"sources" doc:"Most mail first"`
}

// ReportSource is one client that sends in the domain's name.
type ReportSource struct {
	Source string `json:"source"`
	ReportSums
	Reporters []string `json:"reporters" doc:"Who saw its mail"`
}

// The inputs of the operations on reports.
type (
	ReportListInput struct {
		Domain string `json:"domain" query:"domain" doc:"Only reports about this domain"`
		Paging
	}
	ReportInput struct {
		ID int64 `json:"id" path:"id"`
	}
	ReportSourcesInput struct {
		Domain string `json:"domain" path:"domain"`
		Days   int    `json:"days" query:"days" minimum:"0" maximum:"400" doc:"How far back; 0: 30"`
	}
)

func reportOperations() []Operation {
	return []Operation{
		declare("report-list", get, "/reports", reader, "List the DMARC reports about our domains", (*Service).reports),
		declare("report-show", get, "/reports/{id}", reader, "Show what a DMARC report says", (*Service).report),
		declare("report-sources", get, "/reports/sources/{domain}", reader, "Who sends in the name of a domain, by all DMARC reports", (*Service).reportSources),
	}
}

func reportView(r *store.DMARCReport) Report {
	return Report{ID: r.ID, Domain: r.Domain, Organization: r.Organization, Email: r.Email, ReportID: r.ReportID, Begin: r.Begin, End: r.End, Received: r.Received, Policy: r.Policy}
}

// add counts a row.
func (s *ReportSums) add(r *store.DMARCRow) {
	s.Messages += r.Count
	if r.DKIM == "pass" || r.SPF == "pass" {
		s.Passed += r.Count
	} else {
		s.Failed += r.Count
	}
	if r.Disposition == "quarantine" || r.Disposition == "reject" {
		s.Stopped += r.Count
	}
}

// ourDomain reads a domain that may be empty.
func ourDomain(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	d, err := mail.ParseDomain(text)
	if err != nil {
		return "", inField("domain", err)
	}
	return d, nil
}

func (s *Service) reports(ctx context.Context, in *ReportListInput) (Page[Report], error) {
	p := Page[Report]{Items: []Report{}}
	domain, err := ourDomain(in.Domain)
	if err != nil {
		return p, err
	}
	before := int64(0)
	if in.After != "" {
		if before, err = strconv.ParseInt(in.After, 10, 64); err != nil {
			return p, inField("after", err)
		}
	}
	limit := in.limit()
	rows, err := s.o.Store.Reports().ListDMARC(ctx, domain, before, limit)
	for i := range rows {
		p.Items = append(p.Items, reportView(&rows[i]))
	}
	if len(rows) == limit {
		p.Next = strconv.FormatInt(rows[limit-1].ID, 10)
	}
	return p, err
}

func (s *Service) report(ctx context.Context, in *ReportInput) (ReportView, error) {
	r, err := s.o.Store.Reports().DMARC(ctx, in.ID)
	v := ReportView{Report: reportView(&r), Rows: []ReportRow{}}
	for i := range r.Rows {
		row := &r.Rows[i]
		v.add(row)
		v.Rows = append(v.Rows, ReportRow{Source: host(row.Source), Count: row.Count, Disposition: row.Disposition, DKIM: row.DKIM, SPF: row.SPF,
			HeaderFrom: row.HeaderFrom, Detail: row.Detail})
	}
	return v, err
}

func host(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// Bounds of what is added up for an answer.
const (
	addedReports  = 2000
	addedSources  = 20_000
	shownSources  = 500
	shownReporter = 10
	usualDays     = 30
)

func (s *Service) reportSources(ctx context.Context, in *ReportSourcesInput) (ReportSources, error) {
	domain, err := ourDomain(in.Domain)
	if err != nil {
		return ReportSources{}, err
	}
	days := time.Duration(cmp.Or(in.Days, usualDays))
	sum := &sourceSum{v: ReportSources{Domain: domain, Since: time.Now().Add(-days * 24 * time.Hour)}, by: map[netip.Addr]*ReportSource{}}
	for before := int64(0); ; {
		page, err := s.o.Store.Reports().ListDMARC(ctx, domain, before, 0)
		if err != nil || len(page) == 0 {
			return sum.end(), err
		}
		for i := range page {
			before = page[i].ID
			if page[i].Received.Before(sum.v.Since) {
				return sum.end(), nil // those that came before are older still
			}
			if sum.v.Reports == addedReports {
				sum.v.Cut = true
				return sum.end(), nil
			}
			if err := s.addReport(ctx, sum, before); err != nil {
				return sum.end(), err
			}
		}
	}
}

func (s *Service) addReport(ctx context.Context, sum *sourceSum, id int64) error {
	r, err := s.o.Store.Reports().DMARC(ctx, id)
	if err != nil {
		return err
	}
	sum.v.Reports++
	for i := range r.Rows {
		sum.add(&r.Rows[i], r.Organization)
	}
	return nil
}

// sourceSum adds up reports by source.
type sourceSum struct {
	v  ReportSources
	by map[netip.Addr]*ReportSource
}

func (s *sourceSum) add(r *store.DMARCRow, reporter string) {
	s.v.ReportSums.add(r)
	at := s.by[r.Source]
	if at == nil {
		if len(s.by) == addedSources {
			s.v.Cut = true
			return
		}
		at = &ReportSource{Source: host(r.Source), Reporters: []string{}}
		s.by[r.Source] = at
	}
	at.add(r)
	if !slices.Contains(at.Reporters, reporter) && len(at.Reporters) < shownReporter {
		at.Reporters = append(at.Reporters, reporter)
	}
}

func (s *sourceSum) end() ReportSources {
	s.v.Sources = []ReportSource{}
	for _, at := range s.by {
		s.v.Sources = append(s.v.Sources, *at)
	}
	slices.SortFunc(s.v.Sources, func(a, b ReportSource) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Source, b.Source))
	})
	if len(s.v.Sources) > shownSources {
		s.v.Sources, s.v.Cut = s.v.Sources[:shownSources], true
	}
	return s.v
}

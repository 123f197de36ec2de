package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/dmarc"
	"posthorn/internal/wire/mime"
)

const (
	// maxParts bounds the parts that are tried, mostReports those that are
	// reports: there should be one (RFC 7489 §7.2.1.1).
	maxParts    = 20
	mostReports = 4
	// mostRows bounds what is kept of one report: what counts least is put together.
	mostRows = 2000
	maxWords = 300 // octets of a row's detail
)

// reports yields the reports in a message. An error is that of reading it.
func reports(ctx context.Context, message store.Body) iter.Seq2[*dmarc.Report, error] {
	return func(yield func(*dmarc.Report, error) bool) {
		p := mime.NewParser()
		if _, err := io.Copy(p, io.NewSectionReader(message, 0, message.Size())); err != nil {
			yield(nil, fmt.Errorf("report: read the message: %w", err))
			return
		}
		s := p.Close()
		found := 0
		for i := range s.Parts[:min(len(s.Parts), maxParts)] {
			if ctx.Err() != nil || found == mostReports {
				return
			}
			data, err := content(&s.Parts[i], message)
			if err != nil {
				yield(nil, err)
				return
			}
			if r, err := dmarc.ParseReport(data); data != nil && err == nil {
				if found++; !yield(r, nil) {
					return
				}
			}
		}
	}
}

// content is what a part carries, nil when it is no file.
func content(p *mime.Part, message io.ReaderAt) ([]byte, error) {
	switch p.Type {
	case "multipart", "message", "image", "audio", "video", "font":
		return nil, nil
	case "text":
		if p.Subtype != "xml" {
			return nil, nil
		}
	}
	r, err := mime.DecodeReader(io.NewSectionReader(message, p.Body.Start, p.Body.Len()), p.Encoding)
	if errors.Is(err, mime.ErrUnknownEncoding) {
		return nil, nil
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(r, dmarc.MaxPacked+1))
	}
	if err != nil {
		return nil, fmt.Errorf("report: read a part: %w", err)
	}
	return data, nil
}

// rowOf is a report as it is kept. Rows that tell the same are added up.
func rowOf(r *dmarc.Report, received time.Time) store.DMARCReport {
	row := store.DMARCReport{Domain: strings.ToLower(strings.TrimSuffix(r.Published.Domain, ".")), Organization: r.Organization, Email: r.Email, ReportID: r.ID,
		Begin: r.Begin, End: r.End, Received: received, Policy: policyWords(&r.Published)}
	counts := map[store.DMARCRow]int64{}
	for i := range r.Rows {
		from := &r.Rows[i]
		key := store.DMARCRow{Source: from.Source.Unmap(), Disposition: string(from.Disposition), DKIM: passed(from.DKIM), SPF: passed(from.SPF),
			HeaderFrom: from.HeaderFrom, Detail: detail(from)}
		counts[key] += int64(from.Count)
	}
	for key, n := range counts {
		key.Count = n
		row.Rows = append(row.Rows, key)
	}
	slices.SortFunc(row.Rows, func(a, b store.DMARCRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Source.Compare(b.Source), cmp.Compare(a.HeaderFrom, b.HeaderFrom),
			cmp.Compare(a.Disposition, b.Disposition), cmp.Compare(a.DKIM+a.SPF, b.DKIM+b.SPF), cmp.Compare(a.Detail, b.Detail))
	})
	row.Rows = shortened(row.Rows)
	return row
}

// shortened adds up the rows beyond the bound, without their sources.
func shortened(rows []store.DMARCRow) []store.DMARCRow {
	if len(rows) <= mostRows {
		return rows
	}
	rest := map[store.DMARCRow]int64{}
	for _, r := range rows[mostRows:] {
		rest[store.DMARCRow{Disposition: r.Disposition, DKIM: r.DKIM, SPF: r.SPF, Detail: "other sources"}] += r.Count
	}
	rows = slices.Clone(rows[:mostRows])
	for _, r := range slices.SortedFunc(maps.Keys(rest), func(a, b store.DMARCRow) int {
		return cmp.Compare(a.Disposition+" "+a.DKIM+a.SPF, b.Disposition+" "+b.DKIM+b.SPF)
	}) {
		r.Count, r.Source = rest[r], netip.Addr{}
		rows = append(rows, r)
	}
	return rows
}

// passed is an aligned result in one of two words.
func passed(r dmarc.Result) string {
	if r == dmarc.Pass {
		return string(dmarc.Pass)
	}
	return string(dmarc.Fail)
}

// policyWords is the policy that the reporter found.
func policyWords(p *dmarc.Published) string {
	words := fmt.Sprintf("p=%s", cmp.Or(p.Policy, dmarc.PolicyNone))
	if p.Subdomain != "" {
		words += fmt.Sprintf(" sp=%s", p.Subdomain)
	}
	return words + fmt.Sprintf(" adkim=%s aspf=%s pct=%d", p.DKIM, p.SPF, p.Percent)
}

// detail is what was authenticated, in words.
func detail(r *dmarc.Row) string {
	var words []string
	for _, s := range r.Signatures {
		words = append(words, strings.TrimSpace("dkim="+s.Result+" "+s.Domain+selector(s.Selector)))
	}
	for _, s := range r.Senders {
		words = append(words, strings.TrimSpace("spf="+s.Result+" "+s.Domain))
	}
	for _, why := range r.Reasons {
		words = append(words, "because "+why.Type)
	}
	text := strings.Join(words, "; ")
	return strings.ToValidUTF8(text[:min(len(text), maxWords)], "")
}

func selector(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

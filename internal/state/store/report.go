package store

import (
	"context"
	"net/netip"
	"time"
)

// DMARCReport is an aggregate report that another server sent us about mail in
// the name of one of our domains (RFC 7489 §7.2).
type DMARCReport struct {
	ID int64 // set by the store
	// Domain is the policy domain, Organization and Email who reports, ReportID
	// their name for it.
	Domain, Organization, Email, ReportID string
	Begin, End                            time.Time
	Received                              time.Time
	// Policy is the published policy in words, as the reporter saw it.
	Policy string
	Rows   []DMARCRow
}

// DMARCRow is mail of one source, as one report counts it.
type DMARCRow struct {
	Source netip.Addr
	Count  int64
	// Disposition is none, quarantine or reject; DKIM and SPF are the aligned
	// results, pass or fail.
	Disposition, DKIM, SPF string
	HeaderFrom             string
	// Detail is what was authenticated, in words: "dkim=pass example.org (s1); spf=fail".
	Detail string
}

// DMARCSeen is mail that came to us, as our own reports will tell it to the
// domain's owner: one row for each combination of a day.
type DMARCSeen struct {
	Day                               time.Time // 00:00 UTC
	Domain                            string    // the policy domain
	Source                            netip.Addr
	HeaderFrom, EnvelopeFrom          string
	Disposition, Override, DKIM, SPF  string
	DKIMDomain, DKIMSelector, DKIMRaw string
	SPFDomain, SPFRaw                 string
	Policy                            string // the record as it was
	Count                             int64
}

// Reports keeps DMARC aggregate reports, those received and the material of our own.
type Reports interface {
	// AddDMARC keeps a report; ErrExists when the organization's report of the
	// same name and domain is there already.
	AddDMARC(ctx context.Context, r DMARCReport) (int64, error)
	// DMARC returns one with its rows, in the order they came; ErrNotFound.
	DMARC(ctx context.Context, id int64) (DMARCReport, error)
	// ListDMARC pages by ID, newest first: those of the domain ("" all) before
	// the ID (0: all), at most limit (0: 100; at most 1000), without rows.
	ListDMARC(ctx context.Context, domain string, before int64, limit int) ([]DMARCReport, error)
	// Note adds counts to the material of our own reports; equal combinations
	// become one. Beyond most combinations of a day (0: no bound) new ones are not kept.
	Note(ctx context.Context, seen []DMARCSeen, most int) error
	// Seen returns the material of a day and domain ("" all), at most limit
	// (0: all), in the order of domains.
	Seen(ctx context.Context, day time.Time, domain string, limit int) ([]DMARCSeen, error)
	// SweepReports removes some of the reports received before a time, of the
	// oldest while all reports have more than mostRows rows (0: no bound), and of
	// the material of days over before another time. It returns how many reports
	// and combinations went, and whether there may be more to do.
	SweepReports(ctx context.Context, received, days time.Time, mostRows int) (removed int, more bool, err error)
}

package sqlstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"posthorn/internal/state/store"
)

// reports implements store.Reports.
type reports struct{ s *Store }

const (
	reportIDs     = "dmarc_report"
	reportColumns = `id, domain, organization, email, report_id, begin_at, end_at, received, policy`
	reportRows    = "dmarc_report_row" // counts the rows of all reports
	seenCounter   = "dmarc_seen"
)

func scanReport(r row) store.DMARCReport {
	return store.DMARCReport{ID: r.int(0), Domain: r.text(1), Organization: r.text(2), Email: r.text(3), ReportID: r.text(4),
		Begin: timeAt(r, 5), End: timeAt(r, 6), Received: timeAt(r, 7), Policy: r.text(8)}
}

// hostText is an address in text form, "" for none; parseHost reads it.
func hostText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func parseHost(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}

// AddDMARC implements store.Reports.
func (s *reports) AddDMARC(ctx context.Context, d store.DMARCReport) (id int64, err error) {
	err = s.s.write(ctx, func(t *txn) error {
		if id, err = t.newID(reportIDs); err != nil {
			return err
		}
		n, err := t.exec(`INSERT INTO dmarc_report (id, domain, organization, email, report_id, begin_at, end_at, received, policy)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (organization, report_id, domain) DO NOTHING`,
			id, d.Domain, d.Organization, d.Email, d.ReportID, d.Begin, d.End, d.Received, d.Policy)
		if err == nil && n == 0 {
			err = store.ErrExists
		}
		for i := 0; err == nil && i < len(d.Rows); i++ {
			r := &d.Rows[i]
			err = t.put(`INSERT INTO dmarc_report_row (report, position, source, count, disposition, dkim, spf, header_from, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				id, i, hostText(r.Source), r.Count, r.Disposition, r.DKIM, r.SPF, r.HeaderFrom, r.Detail)
		}
		if err == nil && len(d.Rows) > 0 {
			_, err = tally(t, reportRows, int64(len(d.Rows)))
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("report %s of %s: %w", d.ReportID, d.Organization, err)
	}
	return id, nil
}

// DMARC implements store.Reports.
func (s *reports) DMARC(ctx context.Context, id int64) (d store.DMARCReport, err error) {
	err = s.s.read(ctx, func(t tx) error {
		found, err := one(t, `SELECT `+reportColumns+` FROM dmarc_report WHERE id = ?`, []any{id}, func(r row) error {
			d = scanReport(r)
			return nil
		})
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		return t.query(`SELECT source, count, disposition, dkim, spf, header_from, detail FROM dmarc_report_row WHERE report = ? ORDER BY position`,
			[]any{id}, func(r row) error {
				source, err := parseHost(r.text(0))
				d.Rows = append(d.Rows, store.DMARCRow{Source: source, Count: r.int(1), Disposition: r.text(2), DKIM: r.text(3), SPF: r.text(4),
					HeaderFrom: r.text(5), Detail: r.text(6)})
				return err
			})
	})
	if err != nil {
		return store.DMARCReport{}, fmt.Errorf("report %d: %w", id, err)
	}
	return d, nil
}

// ListDMARC implements store.Reports.
func (s *reports) ListDMARC(ctx context.Context, domain string, before int64, limit int) (out []store.DMARCReport, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	err = s.s.read(ctx, func(t tx) error {
		out = nil
		add := func(r row) error { out = append(out, scanReport(r)); return nil }
		if domain == "" {
			return t.query(`SELECT `+reportColumns+` FROM dmarc_report WHERE id < ? ORDER BY id DESC LIMIT ?`, []any{before, pageOf(limit)}, add)
		}
		return t.query(`SELECT `+reportColumns+` FROM dmarc_report WHERE domain = ? AND id < ? ORDER BY id DESC LIMIT ?`,
			[]any{domain, before, pageOf(limit)}, add)
	})
	return out, err
}

const seenColumns = `day, domain, source, header_from, envelope_from, disposition, override, dkim, spf, dkim_domain, dkim_selector,
	dkim_raw, spf_domain, spf_raw, policy, count`

func scanSeen(r row) (store.DMARCSeen, error) {
	source, err := parseHost(r.text(2))
	return store.DMARCSeen{Day: timeAt(r, 0), Domain: r.text(1), Source: source, HeaderFrom: r.text(3), EnvelopeFrom: r.text(4),
		Disposition: r.text(5), Override: r.text(6), DKIM: r.text(7), SPF: r.text(8), DKIMDomain: r.text(9), DKIMSelector: r.text(10),
		DKIMRaw: r.text(11), SPFDomain: r.text(12), SPFRaw: r.text(13), Policy: r.text(14), Count: r.int(15)}, err
}

// combination is what was seen, with the name of its columns but day, domain
// and count.
type combination struct {
	store.DMARCSeen
	hash string
}

func hashOf(d *store.DMARCSeen) string {
	h := sha256.New()
	for _, text := range []string{hostText(d.Source), d.HeaderFrom, d.EnvelopeFrom, d.Disposition, d.Override, d.DKIM, d.SPF,
		d.DKIMDomain, d.DKIMSelector, d.DKIMRaw, d.SPFDomain, d.SPFRaw, d.Policy} {
		h.Write([]byte(strconv.Itoa(len(text)) + ":" + text)) // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func startOfDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// merged sorts what was seen and adds equal combinations up.
func merged(seen []store.DMARCSeen) []combination {
	var all []combination
	for _, d := range seen {
		d.Day = startOfDay(d.Day)
		all = append(all, combination{d, hashOf(&d)})
	}
	same := func(a, b combination) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.hash, b.hash))
	}
	slices.SortFunc(all, same)
	out := all[:0]
	for _, c := range all {
		if n := len(out); n > 0 && same(out[n-1], c) == 0 {
			out[n-1].Count += c.Count
		} else {
			out = append(out, c)
		}
	}
	return out
}

// Note implements store.Reports. The counter makes nodes follow each other, so
// that none of them adds combinations while another one does.
func (s *reports) Note(ctx context.Context, seen []store.DMARCSeen, most int) error {
	all := merged(seen)
	if len(all) == 0 {
		return nil
	}
	return s.s.write(ctx, func(t *txn) error {
		if err := raiseCounter(t, seenCounter); err != nil {
			return err
		}
		for rest := all; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].Day.Equal(rest[0].Day) {
				n++
			}
			if err := noteDay(t, rest[:n], int64(most)); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
}

// noteDay adds combinations of one day, new ones while there is room.
func noteDay(t *txn, list []combination, most int64) error {
	var have, added int64
	_, err := one(t, `SELECT combinations FROM dmarc_day WHERE day = ?`, []any{list[0].Day}, func(r row) error { have = r.int(0); return nil })
	for i := 0; err == nil && i < len(list); i++ {
		c, fresh := &list[i], false
		if most > 0 && have+added >= most {
			err = t.put(`UPDATE dmarc_seen SET count = count + ? WHERE day = ? AND domain = ? AND hash = ?`, c.Count, c.Day, c.Domain, c.hash)
		} else if fresh, err = note(t, c); fresh {
			added++
		}
	}
	if err != nil || added == 0 {
		return err
	}
	return t.put(`INSERT INTO dmarc_day (day, combinations) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET combinations = dmarc_day.combinations + excluded.combinations`,
		list[0].Day, added)
}

// note adds a combination and reports whether it was not there.
func note(t *txn, c *combination) (fresh bool, err error) {
	n, err := t.exec(`UPDATE dmarc_seen SET count = count + ? WHERE day = ? AND domain = ? AND hash = ?`, c.Count, c.Day, c.Domain, c.hash)
	if err != nil || n > 0 {
		return false, err
	}
	return true, t.put(`INSERT INTO dmarc_seen (day, domain, hash, source, header_from, envelope_from, disposition, override, dkim, spf, dkim_domain,
		dkim_selector, dkim_raw, spf_domain, spf_raw, policy, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Day, c.Domain, c.hash, hostText(c.Source), c.HeaderFrom, c.EnvelopeFrom, c.Disposition, c.Override, c.DKIM, c.SPF, c.DKIMDomain,
		c.DKIMSelector, c.DKIMRaw, c.SPFDomain, c.SPFRaw, c.Policy, c.Count)
}

// Seen implements store.Reports.
func (s *reports) Seen(ctx context.Context, day time.Time, domain string, limit int) (out []store.DMARCSeen, err error) {
	if limit <= 0 {
		limit = math.MaxInt
	}
	day = startOfDay(day)
	err = s.s.read(ctx, func(t tx) error {
		out = nil
		add := func(r row) error {
			d, err := scanSeen(r)
			out = append(out, d)
			return err
		}
		if domain == "" {
			return t.query(`SELECT `+seenColumns+` FROM dmarc_seen WHERE day = ? ORDER BY domain, hash LIMIT ?`, []any{day, limit}, add)
		}
		return t.query(`SELECT `+seenColumns+` FROM dmarc_seen WHERE day = ? AND domain = ? ORDER BY hash LIMIT ?`, []any{day, domain, limit}, add)
	})
	return out, err
}

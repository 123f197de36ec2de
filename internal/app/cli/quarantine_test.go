package cli

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// heldUses are the uses of what is held back, and of reports.
var heldUses = []use{
	{"quarantine-list", "/quarantine?sender=far.test&limit=1", "", "quarantine list --to else.test"},
	{"quarantine-show", "/quarantine/HELD", "", "quarantine show HELD"},
	{"quarantine-release", "/quarantine/HELD/release", "", "quarantine release HELD"},
	{"quarantine-remove", "/quarantine/HELD", "", "quarantine remove HELD --yes"},
	{"report-list", "/reports?domain=ours.test", "", "report list ours.test"},
	{"report-show", "/reports/REPORT", "", "report show REPORT"},
	{"report-sources", "/reports/sources/ours.test?days=3", "", "report sources ours.test"},
}

// held puts a message into quarantine.
func (b *bench) held() string {
	b.t.Helper()
	body, err := b.h.Store.NewDraft(b.t.Context(), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer body.Discard()
	text := []byte("From: Eve <eve@far.test>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nX-Odd: \x1b[31m\r\nContent-Type: application/zip; name=a.zip\r\n\r\nx\r\n")
	if _, err := body.Write(text); err != nil {
		b.t.Fatal(err)
	}
	meta, err := mime.Parse(text).AppendBinary(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	id, now := ident.NewSource().New(), time.Now()
	_, err = b.h.Store.Accept(b.t.Context(), &store.Acceptance{Key: id, Time: now, Body: body, Queue: &store.QueueMessage{ID: id, Accepted: now, Expires: now.Add(time.Hour),
		Sender: mail.Address{Local: "eve", Domain: "far.test"}, Quarantine: "it looks like a virus", Meta: meta, Size: int64(len(text)),
		Recipients: []store.QueueRecipient{{Address: mail.Address{Local: "b", Domain: "else.test"}, NextTry: now, State: store.Quarantined}}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return id.String()
}

// reported keeps a DMARC report about ours.test.
func (b *bench) reported() string {
	b.t.Helper()
	now := time.Now()
	id, err := b.h.Store.Reports().AddDMARC(b.t.Context(), store.DMARCReport{Domain: "ours.test", Organization: "far.test", ReportID: ident.NewSource().New().String(),
		Begin: now.Add(-24 * time.Hour), End: now, Received: now, Policy: "p=reject",
		Rows: []store.DMARCRow{{Source: netip.MustParseAddr("192.0.2.7"), Count: 3, Disposition: "none", DKIM: "pass", SPF: "fail", HeaderFrom: "ours.test"},
			{Source: netip.MustParseAddr("198.51.100.9"), Count: 2, Disposition: "reject", DKIM: "fail", SPF: "fail", HeaderFrom: "ours.test", Detail: "spf=none spam.test"}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprint(id)
}

// fillHeld puts a message in quarantine, or a report, of its own into a case.
func (b *bench) fillHeld(text string) string {
	if strings.Contains(text, "HELD") {
		text = strings.ReplaceAll(text, "HELD", b.held())
	}
	if strings.Contains(text, "REPORT") {
		text = strings.ReplaceAll(text, "REPORT", b.reported())
	}
	return text
}

func TestQuarantineIsLookedAtAndReleasedByItsOwnCommandOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.held()
	says := func(line string, want int, words ...string) {
		t.Helper()
		code, said := b.prompt(line)
		if code != want {
			t.Errorf("%s: exit %d: %s", line, code, said)
		}
		for _, w := range words {
			if !strings.Contains(said, w) {
				t.Errorf("%s does not say %q:\n%s", line, w, said)
			}
		}
	}
	says("quarantine list", 0, id, "eve@far.test", "b@else.test", "grüße", "it looks like a virus")
	says("quarantine list --from nobody.test", 0, "No message matches")
	says("quarantine show "+id, 0, "From: Eve <eve@far.test>", "Subject: grüße", "X-Odd: ?[31m", "application/zip, 3 octets, a.zip", "unless it is released")
	says("queue list", 0)
	if _, said := b.prompt("queue list"); strings.Contains(said, id) {
		t.Error("the queue lists what is in quarantine")
	}
	for _, verb := range []string{"show", "retry", "hold", "release", "remove --yes", "redirect"} {
		line := "queue " + verb + " " + id
		if verb == "redirect" {
			line += " c@else.test"
		}
		says(line, 1)
	}
	says("queue release --to else.test", 0, "Nothing was done")
	says("quarantine remove "+id, 1, "--yes")
	says("quarantine show "+id, 0)
	says("quarantine release "+id, 0, "1 recipient")
	says("quarantine release "+id, 1, "not in quarantine", "posthorn trace "+id)
	says("quarantine list", 0, "Nothing is in quarantine")
	says("queue list", 0, id)
	says("quarantine remove --yes "+id, 1, "not in quarantine")
	says("trace "+id, 0, "released", "from quarantine")
}

func TestReportsSayWhoSendsInOurName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, said := b.prompt("report list"); !strings.Contains(said, "reports.dmarc_addresses") {
		t.Error(said)
	}
	b.reported()
	id := b.reported()
	for line, words := range map[string][]string{
		"report list":              {"ours.test", "far.test"},
		"report show " + id:        {"p=reject", "5: 3 passed, 2 failed; 2 quarantined or rejected", "192.0.2.7", "spf=none spam.test"},
		"report sources ours.test": {"192.0.2.7", "10: 6 passed, 4 failed; 4 quarantined or rejected", "2 reports"},
		"report sources far.test":  {"No DMARC report"},
	} {
		code, said := b.prompt(line)
		for _, w := range words {
			if code != 0 || !strings.Contains(said, w) {
				t.Errorf("%s: exit %d, no %q in\n%s", line, code, w, said)
			}
		}
	}
	sum := invoke[manage.ReportSources](b, "report-sources", manage.ReportSourcesInput{Domain: "ours.test"})
	if sum.Reports != 2 || len(sum.Sources) != 2 || sum.Sources[0].Source != "192.0.2.7" || sum.Sources[0].Messages != 6 || sum.Sources[1].Failed != 4 || sum.Cut {
		t.Errorf("%+v", sum)
	}
	page := invoke[manage.Page[manage.Report]](b, "report-list", manage.ReportListInput{Paging: manage.Paging{Limit: 1}})
	if len(page.Items) != 1 || fmt.Sprint(page.Items[0].ID) != id || page.Next != id {
		t.Errorf("%+v", page)
	}
}

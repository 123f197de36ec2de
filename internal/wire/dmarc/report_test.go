package dmarc

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReportsAreReadInEveryPacking(t *testing.T) {
	t.Parallel()
	raw := fixture(t, "large-provider.xml")
	want := &Report{
		Organization: "provider.example", Email: "noreply-dmarc-support@provider.example",
		Contact: "https://support.provider.example/a/answer/2466580", ID: "10837159386158362411",
		Begin: time.Unix(1772323200, 0).UTC(), End: time.Unix(1772409599, 0).UTC(),
		Published: Published{Domain: "example.test", DKIM: Relaxed, SPF: Strict, Policy: PolicyQuarantine, Subdomain: PolicyReject, Nonexistent: PolicyReject, Percent: 50},
		Rows: []Row{
			{Source: netip.MustParseAddr("192.0.2.25"), Count: 214, Disposition: PolicyNone, DKIM: Pass, SPF: Pass, HeaderFrom: "example.test",
				Signatures: []AuthResult{{Domain: "example.test", Selector: "s2026a", Result: "pass"}},
				Senders:    []AuthResult{{Domain: "example.test", Result: "pass"}}},
			{Source: netip.MustParseAddr("2001:db8:51::17"), Count: 3, Disposition: PolicyNone, DKIM: Fail, SPF: Fail, HeaderFrom: "news.example.test",
				Reasons: []Reason{{"local_policy", "arc=pass"}},
				Signatures: []AuthResult{{Domain: "example.test", Selector: "s2026a", Result: "fail"},
					{Domain: "lists.example.net", Selector: "k1", Result: "pass"}},
				Senders: []AuthResult{{Domain: "lists.example.net", Result: "pass"}}},
		},
	}
	for name, data := range map[string][]byte{
		"xml": raw, "bom": append([]byte("\xef\xbb\xbf"), raw...), "gzip": gzipped(t, raw), "zip": zipped(t, "report", string(raw)),
		"zip of several": zipped(t, "readme.txt", "hello", "r.XML", string(raw)), "gzip with more behind": append(gzipped(t, raw), "\r\n"...),
	} {
		if got, err := ParseReport(data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}

func TestReportsWithOtherHabitsAreRead(t *testing.T) {
	t.Parallel()
	got, err := ParseReport(fixture(t, "namespaced.xml"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Report{
		Organization: "Enterprise Mail", Email: "dmarcreport@enterprise.example", ID: "9f1c6f0d7c8c4f5cb29f",
		Begin: time.Unix(1772323200, 0).UTC(), End: time.Unix(1772409600, 0).UTC(), Errors: []string{"could not send <failure> report"},
		Published: Published{Domain: "example.test", DKIM: Relaxed, SPF: Relaxed, Policy: PolicyReject, Subdomain: PolicyReject, Percent: 100, FailureOptions: "1", Method: "treewalk"},
		Rows: []Row{{Source: netip.MustParseAddr("198.51.100.9"), Count: 1, Disposition: PolicyReject, DKIM: Fail, SPF: Pass,
			HeaderFrom: "example.test", EnvelopeFrom: "example.test", EnvelopeTo: "other.example",
			Senders: []AuthResult{{Domain: "example.test", Scope: "mfrom", Result: "pass"}}}},
		Skipped: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func small(body string) string {
	return "<feedback><policy_published><domain>a.test</domain><p>none</p></policy_published>" + body + "</feedback>"
}

func TestReportsInOldCharsetsAreRead(t *testing.T) {
	t.Parallel()
	r, err := ParseReport([]byte("<?xml version='1.0' encoding='ISO-8859-1'?>" + small("<report_metadata><org_name>B\xfccher</org_name></report_metadata>")))
	if err != nil || r.Organization != "Bücher" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := ParseReport([]byte("<?xml version='1.0' encoding='UTF-7'?>" + small(""))); !errors.Is(err, ErrReport) {
		t.Errorf("UTF-7: %v", err)
	}
}

func TestTextsOfReportsAreCleanAndBounded(t *testing.T) {
	t.Parallel()
	r, err := ParseReport([]byte(small("<report_metadata><org_name> a&#13;&#10;b\u2028c&#x9b;d </org_name><email>" + strings.Repeat("ü", maxText) + "</email></report_metadata>")))
	if err != nil || r.Organization != "a  b c d" || r.Email != strings.Repeat("ü", maxText/2) {
		t.Errorf("%+v, %v", r, err)
	}
}

const fullRow = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>"

// crowdedRow holds as many results as are taken, and as short as they can be.
func crowdedRow() string {
	results := strings.Repeat("<spf/>", maxResults) + strings.Repeat("<dkim/>", maxResults)
	return strings.Replace(fullRow, "</row>", "</row><auth_results>"+results+"</auth_results>", 1)
}

func TestHostileReportsAreRefused(t *testing.T) {
	t.Parallel()
	laughs := `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>`
	zeros := bytes.Repeat([]byte{' '}, 4<<20)
	for name, data := range map[string][]byte{
		"empty":               nil,
		"no XML":              []byte("hello"),
		"other root":          []byte("<html></html>"),
		"no domain":           []byte("<feedback></feedback>"),
		"cut off":             []byte(small("")[:60]),
		"entities":            []byte(laughs + small("<report_metadata><org_name>&b;</org_name></report_metadata>")),
		"entity undeclared":   []byte(small("<report_metadata><org_name>&b;</org_name></report_metadata>")),
		"declaration alone":   []byte(`<!DOCTYPE feedback SYSTEM "file:///etc/passwd">` + small("")),
		"declaration inside":  []byte(small("<report_metadata>" + laughs + "</report_metadata>")),
		"deep":                []byte(small(strings.Repeat("<x>", 100) + strings.Repeat("</x>", 100))),
		"deep in a row":       []byte(small("<record>" + strings.Repeat("<x>", 100) + strings.Repeat("</x>", 100) + "</record>")),
		"attributes":          []byte(small("<x" + strings.Repeat(` a="b"`, 100) + "/>")),
		"bomb in gzip":        gzipped(t, zeros),
		"bomb in zip":         zipped(t, "a.xml", string(zeros)),
		"zip of many":         zipped(t, strings.Split(strings.Repeat("a.txt,b,", 10)+"a.xml,c", ",")...),
		"zip without XML":     zipped(t, "a.txt", "b", "c.exe", "d"),
		"zip of a folder":     zipped(t, "a.xml/", ""),
		"gzip cut off":        gzipped(t, fixture(t, "large-provider.xml"))[:200],
		"gzip of nothing":     {0x1f, 0x8b},
		"zip of nothing":      []byte("PK\x03\x04"),
		"zip of thousands":    zipped(t, strings.Split(strings.Repeat("a.txt,,", 3000)+"a.xml,c", ",")...),
		"larger than allowed": make([]byte, MaxPacked+1),
	} {
		if r, err := ParseReport(data); !errors.Is(err, ErrReport) || r != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestReportsOfMuchFromLittleAreRefused: what is kept of a report is not much
// more than its text.
func TestReportsOfMuchFromLittleAreRefused(t *testing.T) {
	t.Parallel()
	for want, body := range map[string]string{
		"too many elements": "<record>" + strings.Repeat("<auth_results/>", maxElements) + "</record>",
		"many elements":     "<x>" + strings.Repeat("<y/>", maxElements) + "</x>",
	} {
		if r, err := ParseReport([]byte(small(body))); !errors.Is(err, ErrReport) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", want, r != nil, err)
		}
	}
	if r, err := ParseReport([]byte(small(strings.Repeat(crowdedRow(), 100)))); err != nil || len(r.Rows) != 100 || len(r.Rows[99].Senders) != maxResults {
		t.Errorf("as much as is taken: %v", err)
	}
	x := rowXML{Source: "192.0.2.1", Count: "1", Senders: make([]authXML, maxResults)}
	full := &reading{r: &Report{Rows: make([]Row, maxRows)}}
	if err := full.row(&x); err == nil || err.Error() != "over 200000 rows" {
		t.Errorf("one row more: %v", err)
	}
	full = &reading{r: &Report{}, listed: maxListed - maxResults}
	if err := full.row(&x); err != nil || len(full.r.Rows) != 1 {
		t.Errorf("the last results: %v", err)
	}
	if err := full.row(&x); err == nil || err.Error() != "over 500000 results" || len(full.r.Rows) != 1 {
		t.Errorf("results more: %v", err)
	}
}

func TestListsInReportsAreBounded(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("<spf><domain>a.test</domain><result>pass</result></spf>", 3*maxResults)
	r, err := ParseReport([]byte(small("<record><row><source_ip>192.0.2.1</source_ip><count>9</count></row><auth_results>" + many + "</auth_results></record>")))
	if err != nil || len(r.Rows) != 1 || len(r.Rows[0].Senders) != maxResults {
		t.Errorf("%v", err)
	}
}

func FuzzReport(f *testing.F) {
	raw := fixture(f, "large-provider.xml")
	f.Add(raw)
	f.Add(fixture(f, "namespaced.xml"))
	f.Add(gzipped(f, raw))
	f.Add(zipped(f, "a.xml", string(raw)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReport(data)
		if (r == nil) != (err != nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if err != nil {
			return
		}
		for _, s := range []string{r.Organization, r.Email, r.Contact, r.ID, r.Published.Domain} {
			if len(s) > 3*maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				t.Fatalf("%q", s)
			}
		}
		for _, row := range r.Rows {
			if !row.Source.IsValid() || row.Count < 1 {
				t.Fatalf("%+v", row)
			}
		}
	})
}

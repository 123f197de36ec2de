package dmarc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Report is an aggregate report that a receiver sent about one of our domains
// (RFC 7489 appendix C). All texts are a stranger's words: valid UTF-8 without
// control characters, of bounded length, otherwise unchecked.
type Report struct {
	Organization string // who reports
	Email        string
	Contact      string
	ID           string
	Begin, End   time.Time
	Errors       []string
	Published    Published
	Rows         []Row
	// Skipped counts the rows that say nothing: without an address or count.
	Skipped int
}

// Published is the policy the receiver found.
type Published struct {
	Domain                 string
	DKIM, SPF              Alignment
	Policy, Subdomain      Policy
	Nonexistent            Policy // "" in reports of RFC 7489
	Percent                int
	FailureOptions, Method string
}

// Row is what happened to the messages of one client with the same results.
type Row struct {
	Source       netip.Addr
	Count        int
	Disposition  Policy
	DKIM, SPF    Result // after alignment
	Reasons      []Reason
	HeaderFrom   string
	EnvelopeFrom string
	EnvelopeTo   string
	Signatures   []AuthResult
	Senders      []AuthResult // of SPF
}

// Reason says why the receiver did not do what the policy wants.
type Reason struct{ Type, Comment string }

// AuthResult is one result of DKIM or SPF before alignment. Selector is of DKIM
// only, Scope of SPF only ("helo" or "mfrom").
type AuthResult struct{ Domain, Selector, Scope, Result, Text string }

// ErrReport is wrapped by what ParseReport says of reports it cannot read.
var ErrReport = errors.New("dmarc: bad aggregate report")

// Bounds of a report's content.
const (
	maxRows    = 200_000
	maxText    = 1024 // octets
	maxResults = 100  // of each kind in a row
	maxErrors  = 100
	maxDepth   = 16
	// maxElements bounds those of one child of the root, before it is known
	// which of them count; a row of maxResults of each kind has fewer.
	maxElements = 4096
	// maxListed bounds the reasons and results of all rows together.
	maxListed = 500_000
)

// ParseReport reads an aggregate report as it arrives in a part of a message:
// XML, or XML in gzip or zip, which is told by its first octets, not by the
// media type, for that is often wrong. XML may not declare entities.
func ParseReport(data []byte) (*Report, error) {
	text, err := unpack(data)
	if err != nil {
		return nil, err
	}
	d := xml.NewTokenDecoder(&guard{d: decoder(text)})
	root, err := start(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if root.Name.Local != "feedback" {
		return nil, fmt.Errorf("%w: root element %.40q", ErrReport, root.Name.Local)
	}
	r := &Report{}
	if err := (&reading{Decoder: d, r: r}).run(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if r.Published.Domain == "" {
		return nil, fmt.Errorf("%w: no domain", ErrReport)
	}
	return r, nil
}

func decoder(text []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(name string, r io.Reader) (io.Reader, error) {
		switch strings.ToLower(name) {
		case "us-ascii", "ascii":
			return r, nil
		case "iso-8859-1", "latin1", "windows-1252":
			return charmap.Windows1252.NewDecoder().Reader(r), nil
		}
		return nil, fmt.Errorf("charset %.40q", name)
	}
	return d
}

// guard refuses what could make XML more than it is long: document type
// declarations, which declare entities, deep nesting, and elements so short
// and so many that what is made of them is larger by far.
type guard struct {
	d        *xml.Decoder
	depth    int
	elements int // of this child of the root
}

// Token implements xml.TokenReader.
func (g *guard) Token() (xml.Token, error) {
	t, err := g.d.Token()
	switch t := t.(type) {
	case xml.Directive:
		return nil, errors.New("a document type declaration")
	case xml.StartElement:
		if g.depth++; g.depth > maxDepth {
			return nil, errors.New("nested too deep")
		}
		if len(t.Attr) > maxDepth {
			return nil, errors.New("too many attributes")
		}
		if g.depth <= 2 {
			g.elements = 0
		}
		if g.elements++; g.elements > maxElements {
			return nil, errors.New("too many elements in one")
		}
	case xml.EndElement:
		g.depth--
	}
	return t, err
}

// start skips to the root element.
func start(d *xml.Decoder) (xml.StartElement, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		if s, ok := t.(xml.StartElement); ok {
			return s, nil
		}
	}
}

// reading is a report on its way from XML.
type reading struct {
	*xml.Decoder
	r      *Report
	listed int // reasons and results of all rows so far
}

// run reads the children of the root one after the other.
func (d *reading) run() error {
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if err := d.child(t); err != nil {
				return err
			}
		}
	}
}

func (d *reading) child(s xml.StartElement) error {
	switch s.Name.Local {
	case "report_metadata":
		var m metadataXML
		if err := d.DecodeElement(&m, &s); err != nil {
			return err
		}
		m.into(d.r)
	case "policy_published":
		var p publishedXML
		if err := d.DecodeElement(&p, &s); err != nil {
			return err
		}
		d.r.Published = p.published()
	case "record":
		var x rowXML
		if err := d.DecodeElement(&x, &s); err != nil {
			return err
		}
		return d.row(&x)
	default:
		return d.Skip()
	}
	return nil
}

func (d *reading) row(x *rowXML) error {
	if len(d.r.Rows) == maxRows {
		return fmt.Errorf("over %d rows", maxRows)
	}
	row, ok := x.row()
	if !ok {
		d.r.Skipped++
		return nil
	}
	if d.listed += len(row.Reasons) + len(row.Signatures) + len(row.Senders); d.listed > maxListed {
		return fmt.Errorf("over %d results", maxListed)
	}
	d.r.Rows = append(d.r.Rows, row)
	return nil
}

// text is a bounded text without control characters.
type text string

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *text) UnmarshalText(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) > maxText {
		b = b[:maxText]
		for len(b) > 0 && !utf8.Valid(b[max(0, len(b)-utf8.UTFMax):]) {
			b = b[:len(b)-1]
		}
	}
	*s = text(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, string(b)))
	return nil
}

// lower is a text of one word from a list.
func lower(s text) string { return strings.ToLower(string(s)) }

// seconds reads a time; reports differ in how they write the number.
func seconds(s text) time.Time {
	n, err := strconv.ParseFloat(string(s), 64)
	if err != nil || !(n >= 0 && n < 1<<36) {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

func count(s text) (int, bool) {
	n, err := strconv.ParseUint(string(s), 10, 32)
	return int(min(n, math.MaxInt32)), err == nil && n > 0
}

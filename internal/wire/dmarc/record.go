package dmarc

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Policy is what a domain wants done with failures.
type Policy string

// The policies.
const (
	PolicyNone       Policy = "none"
	PolicyQuarantine Policy = "quarantine"
	PolicyReject     Policy = "reject"
)

func (p Policy) strictness() int {
	switch p {
	case PolicyReject:
		return 2
	case PolicyQuarantine:
		return 1
	}
	return 0
}

// Alignment is how near an identity must be to the author domain.
type Alignment string

// The modes of alignment.
const (
	Relaxed Alignment = "r" // of the same organisational domain
	Strict  Alignment = "s" // the same
)

// Public suffix answers of the coming standard (tag psd).
const (
	psdYes     = "y"
	psdNo      = "n"
	psdUnknown = "u"
)

// Record is a DMARC record with the defaults filled in.
type Record struct {
	Policy      Policy // p
	Subdomain   Policy // sp, else p
	Nonexistent Policy // np (RFC 9091), else sp
	DKIM, SPF   Alignment
	// Percent is pct, from 0 to 100.
	Percent int
	// Testing is the tag t of the coming standard.
	Testing bool
	// PublicSuffix is psd of the coming standard: "y", "n" or "u".
	PublicSuffix string
	// Interval is ri, the time between aggregate reports.
	Interval time.Duration
	// FailureOptions is fo, of the letters 0, 1, d and s.
	FailureOptions []string
	// AggregateTo and FailureTo are rua and ruf.
	AggregateTo, FailureTo []Destination
}

// Destination is where reports go to.
type Destination struct {
	// URI is mailto: or another scheme.
	URI string
	// Limit is the largest report taken, in octets; 0 is any.
	Limit int64
}

// Bounds of a record.
const (
	maxRecord       = 8 << 10
	maxTags         = 64
	maxDestinations = 16
)

// errNotDMARC tells that a TXT record is for something else.
var errNotDMARC = errors.New("dmarc: not a DMARC record")

// ParseRecord reads the text of a TXT record. Unknown tags are ignored, wrong
// values replaced by their defaults (RFC 7489 §6.3). A record without a policy
// that can be understood is taken for p=none if it wants reports
// (RFC 7489 §6.6.3); else it is an ErrRecord.
func ParseRecord(text string) (*Record, error) {
	if !isRecord(text) {
		return nil, errNotDMARC
	}
	tags, err := parseTags(text)
	if err != nil {
		return nil, err
	}
	r := &Record{
		DKIM: alignment(tags["adkim"]), SPF: alignment(tags["aspf"]), Percent: number(tags["pct"], 100, 100),
		Testing: strings.EqualFold(tags["t"], "y"), PublicSuffix: psd(tags["psd"]),
		Interval:       time.Duration(number(tags["ri"], 86400, 1<<31)) * time.Second,
		FailureOptions: failureOptions(tags["fo"]),
		AggregateTo:    destinations(tags["rua"]), FailureTo: destinations(tags["ruf"]),
	}
	var okP, okSP, okNP bool
	r.Policy, okP = policy(tags, "p", "")
	r.Subdomain, okSP = policy(tags, "sp", r.Policy)
	r.Nonexistent, okNP = policy(tags, "np", r.Subdomain)
	if okP && okSP && okNP {
		return r, nil
	}
	if len(r.AggregateTo) == 0 {
		return nil, fmt.Errorf("%w: no policy", ErrRecord)
	}
	r.Policy, r.Subdomain, r.Nonexistent = PolicyNone, PolicyNone, PolicyNone
	return r, nil
}

// isRecord reports a text that begins with v=DMARC1, in these letters.
func isRecord(text string) bool {
	first, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(first, "=")
	return ok && strings.EqualFold(trim(name), "v") && trim(value) == "DMARC1"
}

// parseTags reads the tag-list (RFC 6376 §3.2). What is no tag is ignored, but
// a tag twice spoils the record, for nobody can tell which is meant.
func parseTags(text string) (map[string]string, error) {
	if len(text) > maxRecord {
		return nil, fmt.Errorf("%w: over %d octets", ErrRecord, maxRecord)
	}
	tags := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		if name = strings.ToLower(trim(name)); !ok || name == "" {
			continue
		}
		if _, twice := tags[name]; twice {
			return nil, fmt.Errorf("%w: tag %.20q twice", ErrRecord, name)
		}
		if len(tags) == maxTags {
			return nil, fmt.Errorf("%w: over %d tags", ErrRecord, maxTags)
		}
		tags[name] = trim(value)
	}
	return tags, nil
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// policy reads p, sp or np; ok is false for a value that is no policy, or when
// there is neither value nor default.
func policy(tags map[string]string, name string, otherwise Policy) (p Policy, ok bool) {
	value, there := tags[name]
	if !there {
		return otherwise, otherwise != ""
	}
	switch p = Policy(strings.ToLower(value)); p {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		return p, true
	}
	return otherwise, false
}

func alignment(s string) Alignment {
	if strings.EqualFold(s, string(Strict)) {
		return Strict
	}
	return Relaxed
}

func psd(s string) string {
	if s = strings.ToLower(s); s == psdYes || s == psdNo {
		return s
	}
	return psdUnknown
}

func number(s string, otherwise, most int) int {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > uint64(most) {
		return otherwise
	}
	return int(n)
}

func failureOptions(s string) []string {
	var list []string
	for option := range strings.SplitSeq(strings.ToLower(s), ":") {
		if option = trim(option); option == "0" || option == "1" || option == "d" || option == "s" {
			list = append(list, option)
		}
	}
	if len(list) == 0 || len(list) > 4 {
		return []string{"0"}
	}
	return list
}

// destinations reads a list of URIs, each with an optional size limit
// (RFC 7489 §6.4), and leaves out what is none.
func destinations(s string) []Destination {
	var list []Destination
	for item := range strings.SplitSeq(s, ",") {
		if d, ok := destination(trim(item)); ok && len(list) < maxDestinations {
			list = append(list, d)
		}
	}
	return list
}

func destination(s string) (Destination, bool) {
	uri, limit, limited := strings.Cut(s, "!")
	d := Destination{URI: uri}
	if limited {
		var ok bool
		if d.Limit, ok = octets(limit); !ok {
			return d, false
		}
	}
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] >= 0x7f {
			return d, false
		}
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.Opaque == "" && u.Host == "" {
		return d, false
	}
	return d, u.Scheme != "mailto" || strings.Contains(u.Opaque, "@")
}

// octets reads a size with its unit k, m, g or t.
func octets(s string) (int64, bool) {
	shift := 0
	if s != "" {
		if i := strings.IndexByte("kmgt", s[len(s)-1]|0x20); i >= 0 {
			shift, s = 10*(i+1), s[:len(s)-1]
		}
	}
	n, err := strconv.ParseUint(s, 10, 22)
	return int64(n) << shift, err == nil && n > 0
}

package dsn

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// Report is what programs find in a notification. Values are as written,
// unfolded; they come from whoever wrote the notification.
type Report struct {
	EnvelopeID, ReportingMTA string
	Arrived                  time.Time // zero where it cannot be read
	Recipients               []Status
	// Text is the part for people, decoded.
	Text string
	// Original is what was returned of the message, as far as it was read; its
	// media type is in OriginalType.
	Original     []byte
	OriginalType string
}

// Status is one recipient of a Report.
type Status struct {
	Original, Final     string // address only
	OriginalType        string // "rfc822", "utf-8", …; lower case
	FinalType           string
	Action, Status      string // lower case
	RemoteMTA           string
	Diagnostic          string // with its type
	LastAttempt, Expiry time.Time
}

// Bounds of what is read.
const (
	maxRead       = 4 << 20
	maxRecipients = 10_000
)

// ErrNoReport is returned for a message that is no delivery status
// notification.
var ErrNoReport = errors.New("dsn: not a delivery status notification")

// Read reads a notification, tolerantly: line ends may be LF, parts may lack,
// fields may stand in any order. It looks at the first 4 MB. Errors are
// ErrNoReport and those of r.
func Read(r io.Reader) (*Report, error) {
	all, err := io.ReadAll(io.LimitReader(r, maxRead))
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	kind, params, body := split(all)
	if kind != "multipart/report" || params["boundary"] == "" {
		return nil, ErrNoReport
	}
	var out Report
	found := false
	for i, part := range parts(body, params["boundary"]) {
		kind, _, body := split(part)
		switch {
		case kind == "message/delivery-status" || kind == "message/global-delivery-status":
			if !found {
				out.status(body)
				found = true
			}
		case i == 0:
			out.Text = string(body)
		default:
			out.Original, out.OriginalType = body, kind
		}
	}
	if !found || len(out.Recipients) == 0 {
		return nil, ErrNoReport
	}
	return &out, nil
}

// parts cuts a multipart body; at most four parts are looked at.
func parts(body []byte, boundary string) [][]byte {
	var out [][]byte
	begun, start := false, 0
	for at := 0; at < len(body) && len(out) < 4; {
		end := at + len(body[at:])
		if i := bytes.IndexByte(body[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		mark, ok := bytes.CutPrefix(bytes.TrimRight(body[at:end], " \t\r\n"), []byte("--"+boundary))
		last := string(mark) == "--"
		if ok && (len(mark) == 0 || last) {
			if begun {
				out = append(out, cutLineEnd(body[start:at]))
			}
			begun, start = !last, end
			if last {
				return out
			}
		}
		at = end
	}
	if begun && len(out) < 4 {
		out = append(out, body[start:])
	}
	return out
}

// cutLineEnd takes the line end off that belongs to the boundary.
func cutLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// split returns the media type in lower case and the decoded body of an entity.
func split(entity []byte) (kind string, params map[string]string, body []byte) {
	fields, body := fieldsOf(entity)
	kind, params, err := mime.ParseMediaType(fields["content-type"])
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		kind = "text/plain"
	}
	var r io.Reader = bytes.NewReader(body)
	switch strings.ToLower(fields["content-transfer-encoding"]) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	default:
		return kind, params, body
	}
	decoded, err := io.ReadAll(r)
	if err != nil && len(decoded) == 0 {
		return kind, params, body // what cannot be decoded stays as it is
	}
	return kind, params, decoded
}

// fieldsOf reads fields up to an empty line and returns what follows it. Names
// are in lower case; the first field of a name counts.
func fieldsOf(b []byte) (fields map[string]string, rest []byte) {
	fields = map[string]string{}
	name := ""
	for len(b) > 0 {
		text, more, _ := bytes.Cut(b, []byte("\n"))
		b = more
		text = bytes.TrimSuffix(text, []byte("\r"))
		if len(bytes.TrimRight(text, " \t")) == 0 {
			break
		}
		if text[0] == ' ' || text[0] == '\t' {
			if name != "" {
				fields[name] += " " + string(bytes.TrimSpace(text))
			}
			continue
		}
		key, value, ok := bytes.Cut(text, []byte(":"))
		name = strings.ToLower(string(bytes.TrimSpace(key)))
		if _, has := fields[name]; has || !ok {
			name = ""
			continue
		}
		fields[name] = string(bytes.TrimSpace(value))
	}
	return fields, b
}

// status reads the groups of a delivery-status body.
func (r *Report) status(body []byte) {
	first := true
	for len(body) > 0 && len(r.Recipients) < maxRecipients {
		var f map[string]string
		f, body = fieldsOf(body)
		if len(f) == 0 {
			continue
		}
		if first {
			first = false
			r.EnvelopeID = f["original-envelope-id"]
			_, r.ReportingMTA = cutType(f["reporting-mta"])
			r.Arrived = date(f["arrival-date"])
		}
		if f["final-recipient"] != "" || f["original-recipient"] != "" {
			r.Recipients = append(r.Recipients, statusOf(f))
		}
	}
}

func statusOf(f map[string]string) Status {
	s := Status{Action: strings.ToLower(f["action"]), Diagnostic: f["diagnostic-code"],
		LastAttempt: date(f["last-attempt-date"]), Expiry: date(f["will-retry-until"])}
	s.Status, _, _ = strings.Cut(f["status"], " ") // a comment may follow
	s.OriginalType, s.Original = cutType(f["original-recipient"])
	s.FinalType, s.Final = cutType(f["final-recipient"])
	_, s.RemoteMTA = cutType(f["remote-mta"])
	return s
}

// cutType splits "rfc822; bob@example.test" and undoes the ASCII form of
// addresses outside it (RFC 6533 §3).
func cutType(s string) (kind, value string) {
	kind, value, ok := strings.Cut(s, ";")
	if !ok {
		return "", strings.TrimSpace(s)
	}
	kind, value = strings.ToLower(strings.TrimSpace(kind)), strings.TrimSpace(value)
	if kind == "utf-8" {
		value = unescape(value)
	}
	return kind, value
}

// date reads the forms of RFC 5322 §3.3 that notifications use.
func date(s string) time.Time {
	s, _, _ = strings.Cut(s, "(")
	s = strings.TrimSpace(s)
	for _, layout := range []string{"Mon, _2 Jan 2006 15:04:05 -0700", "_2 Jan 2006 15:04:05 -0700", "Mon, _2 Jan 2006 15:04:05 MST"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}

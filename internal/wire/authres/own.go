package authres

import (
	"bytes"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/wire/mime"
)

// Span is a field's place in a header section, from the first octet of its
// name to behind its last line end.
type Span struct{ Start, End int }

// Own finds the fields in a header section that claim to be of the server with
// this authserv-id, in their order. They must be removed from what comes from
// outside (RFC 8601 §5). A field that cannot be read to its end is taken for a
// forgery if it names the id anywhere, for others may read it differently.
func Own(header []byte, id string) []Span {
	var list []Span
	at := 0
	for f := range mime.Fields(header) {
		if strings.EqualFold(string(f.Name), Name) && claims(string(f.Value), id) {
			list = append(list, Span{at, at + len(f.Raw)})
		}
		at += len(f.Raw)
	}
	return list
}

// Remove returns the header section without the spans, which are in order. It
// returns header itself if there are none.
func Remove(header []byte, list []Span) []byte {
	if len(list) == 0 {
		return header
	}
	var out bytes.Buffer
	at := 0
	for _, s := range list {
		out.Write(header[at:s.Start])
		at = s.End
	}
	out.Write(header[at:])
	return out.Bytes()
}

func claims(value, id string) bool {
	f, err := Parse(value)
	if same(f.ID, id) {
		return true
	}
	return err != nil && strings.Contains(strings.ToLower(unfold(value)), strings.ToLower(id))
}

func unfold(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }

// same compares authserv-ids: most are host names, which have several forms.
func same(a, b string) bool { return strings.EqualFold(a, b) || host(a) == host(b) }

func host(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	if d, err := mail.ParseDomain(s); err == nil {
		return d
	}
	return strings.ToLower(s)
}

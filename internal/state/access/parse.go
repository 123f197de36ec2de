package access

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Error says which field of a rule cannot be, and what to write instead.
type Error struct {
	Field string // as it is called in the API: "name", "value", …
	Text  string
}

// Error joins both.
func (e *Error) Error() string { return e.Field + ": " + e.Text }

// Unwrap makes errors.Is(err, store.ErrInvalid) true.
func (e *Error) Unwrap() error { return store.ErrInvalid }

func wrong(field, format string, args ...any) *Error {
	return &Error{field, fmt.Sprintf(format, args...)}
}

// Bounds of a rule's texts, in octets.
const (
	maxName = 100
	maxText = 500
)

// New checks a rule and puts its value into normal form. Errors are *Error.
func New(row store.AccessRow) (*Rule, error) {
	r, err := Parse(Kind(row.Kind), row.Value)
	if err != nil {
		return nil, err
	}
	row.Value = r.Value
	r.AccessRow = row
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// check looks at everything but kind and value.
func (r *Rule) check() error {
	switch {
	case strings.TrimSpace(r.Name) != r.Name || r.Name == "" || len(r.Name) > maxName || !printable(r.Name):
		return wrong("name", "%q; give 1 to %d printable characters without space at the ends", clip(r.Name), maxName)
	case strings.Trim(r.Name, ".") == "":
		return wrong("name", "%q; give one that is not only dots", r.Name)
	case len(r.Owner) > maxText || !printable(r.Owner):
		return wrong("owner", "at most %d octets in one line, please", maxText)
	case len(r.Reason) > maxText || !printable(r.Reason):
		return wrong("reason", "at most %d octets in one line, please", maxText)
	case r.Block && r.Kind == Domain:
		return wrong("kind", "domain is for allow rules only; block single senders (kind sender) or the client's network (kind network)")
	case r.Discard && !r.Block:
		return wrong("discard", "an allow rule discards nothing; only block rules can")
	case r.FromField && r.Kind != Sender:
		return wrong("from_field", "only a rule by sender can look at the From field as well")
	case r.Authenticated && !r.Forgeable():
		return wrong("authenticated", "only allow rules by sender or domain can ask for it; a client's address cannot be forged, a recipient need not be")
	}
	return nil
}

// printable refuses control characters and what does not stand in one line.
func printable(s string) bool {
	for _, c := range s {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' || c == 0xfffd {
			return false
		}
	}
	return true
}

// Parse reads a rule's value as people write it. Value of the rule is its
// normal form: addresses as netip writes them, networks without host bits (with
// a mask that is no prefix: as written), mail addresses and domains in the form
// they are compared in. Errors are *Error.
func Parse(kind Kind, value string) (*Rule, error) {
	value = strings.TrimSpace(value)
	r := &Rule{AccessRow: store.AccessRow{Kind: string(kind)}, Kind: kind}
	var err error
	switch kind {
	case IP:
		err = r.readIP(value)
	case Network:
		err = r.readNetwork(value)
	case Sender, Recipient:
		err = r.readAddress(value)
	case Domain:
		err = r.readDomain(value)
	default:
		err = wrong("kind", "%q; take one of ip, network, sender, recipient, domain", clip(string(kind)))
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Rule) readIP(value string) error {
	if strings.Contains(value, "/") {
		return wrong("value", "%q is a network; make a rule of the kind network", clip(value))
	}
	ip, err := netip.ParseAddr(value)
	if err != nil || ip.Zone() != "" {
		return wrong("value", "%q is no IP address; write 192.0.2.1 or 2001:db8::1", clip(value))
	}
	r.client = ip.Unmap()
	r.Value = r.client.String()
	return nil
}

func (r *Rule) readNetwork(value string) error {
	bad := wrong("value", "%q is no network; write 192.0.2.0/24, 192.0.2.0/255.255.255.0 or 2001:db8::/32", clip(value))
	host, mask, ok := strings.Cut(value, "/")
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil || ip.Zone() != "":
		return bad
	case !ok:
		return wrong("value", "%s has no mask; write %s/%d, or make a rule of the kind ip", ip, ip, ip.BitLen())
	case strings.Contains(mask, "."):
		return r.readMask(ip, mask, bad)
	}
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return bad
	}
	if ip.Is4In6() {
		if p.Bits() < 96 {
			return bad
		}
		p = netip.PrefixFrom(ip.Unmap(), p.Bits()-96)
	}
	return r.setNetwork(p)
}

// readMask reads an IPv4 network with a mask in dotted form (M-SEC-BW-03).
func (r *Rule) readMask(ip netip.Addr, text string, bad *Error) error {
	mask, err := netip.ParseAddr(text)
	if err != nil || !mask.Is4() || !ip.Is4() {
		return bad
	}
	m := maskOf(ip, mask)
	if bits, ok := m.prefix(); ok {
		return r.setNetwork(netip.PrefixFrom(ip, bits))
	}
	r.masked = m
	r.Value = ip.String() + "/" + mask.String()
	return nil
}

func (r *Rule) setNetwork(p netip.Prefix) error {
	if p.Bits() == 0 {
		return wrong("value", "%s would match everybody", p)
	}
	r.network = p.Masked()
	r.Value = r.network.String()
	return nil
}

func (r *Rule) readAddress(value string) error {
	inside := strings.TrimSuffix(strings.TrimPrefix(value, "<"), ">")
	if inside == "" {
		return wrong("value", "the null sender <> is everybody's; a rule names one address, such as eve@example.org")
	}
	a, err := mail.ParseAddress(inside)
	switch {
	case err == nil && strings.Contains(a.Local, "*"):
		text := "a * stands for itself, so this would match nobody else"
		if r.Kind == Sender {
			text += fmt.Sprintf("; an allow rule can be for all senders of %s (kind domain, --domain %[1]s), a block rule for single senders or for the clients the mail comes from (kind network, --network)", a.Domain)
		}
		return wrong("value", "%s", text)
	case err != nil && !strings.Contains(inside, "@") && r.Kind == Sender:
		return wrong("value", "%q is no mail address; write eve@example.org. A whole domain can be allowed by the kind domain", clip(inside))
	case err != nil:
		return wrong("value", "%v; write eve@example.org", err)
	}
	a.Local = mail.FoldLocal(a.Local)
	r.address = a
	r.Value = a.String()
	return nil
}

func (r *Rule) readDomain(value string) error {
	name, below := strings.CutPrefix(value, ".")
	d, err := mail.ParseDomain(name)
	if err != nil || below && mail.IsLiteral(d) {
		return wrong("value", "%q is no domain; write example.org, or .example.org for the domains below it", clip(value))
	}
	r.Value = d
	if below {
		r.Value = "." + d
	}
	return nil
}

// clip shortens what somebody wrote for an error text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// Ended says how a rule stands that is not live: "" when it is.
func (r *Rule) Ended(now time.Time) string {
	switch {
	case r.Disabled:
		return "disabled"
	case !r.Live(now):
		return "expired"
	}
	return ""
}

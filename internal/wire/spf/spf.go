// Package spf tells whether a client may use the domain it names as its sender
// (RFC 7208). The server asks after MAIL; the answer goes to the policy check,
// into the Received-SPF and Authentication-Results fields and, as half of an
// alignment, to DMARC.
//
//	domain ─► TXT ─► record ─► directives in order ─┬ one matches: its result
//	            ▲                                   ├ include, a, mx, ptr, exists: look-ups, counted
//	            └───────────── redirect= ◄──────────┴ none: neutral
//	fail ─► exp= ─► TXT ─► Explanation
//
// The package has no sockets and does not know what follows from a result.
package spf

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
)

// Result is a result of check_host() (RFC 7208 §2.6), as it is written.
type Result string

// The results.
const (
	None      Result = "none"
	Neutral   Result = "neutral"
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Identity says what was judged, as Received-SPF names it (RFC 7208 §9.1).
type Identity string

// The identities.
const (
	MailFrom Identity = "mailfrom"
	Helo     Identity = "helo"
)

// DefaultTimeout bounds a whole check; RFC 7208 §4.6.4 wants 20 seconds or more.
const DefaultTimeout = 20 * time.Second

// Resolver looks up records; a *dns.Resolver is one. Errors are those of
// base/dns: what does not match dns.ErrNotFound is a failure that makes the
// result temperror. Names in answers have no final dot.
type Resolver interface {
	TXT(ctx context.Context, name string) (dns.Answer[string], error)
	MX(ctx context.Context, domain string) (dns.Answer[dns.MX], error)
	A(ctx context.Context, host string) (dns.Addrs, error)
	AAAA(ctx context.Context, host string) (dns.Addrs, error)
	PTR(ctx context.Context, ip netip.Addr) (dns.Answer[string], error)
}

// Checker judges clients. It has no state; all of its methods may be called
// from many goroutines.
type Checker struct {
	Resolver Resolver
	// Timeout bounds each check with its explanation; 0 is DefaultTimeout.
	Timeout time.Duration
	// Receiver is our host name, the macro %{r} of explanations.
	Receiver string
	// Records, if not nil, keeps records as they were read, for all checks.
	Records *Records
}

// Client is who connected.
type Client struct {
	IP netip.Addr
	// Helo is the argument of EHLO or HELO as the client gave it.
	Helo string
	// Now is the time of the check, the macro %{t} of explanations.
	Now time.Time
}

// Outcome is a judgement. Mechanism and Explanation are the words of the judged
// domain: printable ASCII of bounded length, otherwise unchecked.
type Outcome struct {
	Result   Result
	Identity Identity
	// Sender is the address judged; for Helo it is postmaster@helo.
	Sender string
	// Domain is the domain judged, "" if there was none to judge.
	Domain string
	// Mechanism is the directive that decided, as the domain wrote it, or
	// "default" if none did. It is empty for none and the errors.
	Mechanism string
	// Explanation is what the domain wants refused clients to be told
	// (RFC 7208 §6.2); it is only there for fail.
	Explanation string
	// Err says why the result is none, temperror or permerror.
	Err error
}

// Errors in Outcome.Err, beside those of the Resolver.
var (
	ErrNoDomain = errors.New("spf: no domain name to judge")
	ErrNoRecord = errors.New("spf: the domain has no record")
	ErrSyntax   = errors.New("spf: bad record")
	ErrSeveral  = errors.New("spf: a domain has several records")
	ErrDangling = errors.New("spf: the record leads to a domain without one")
	ErrTooMany  = errors.New("spf: the record needs too many look-ups")
	ErrClient   = errors.New("spf: the client has no IP address")
)

// CheckMail judges the reverse-path. The null reverse-path has none, so the
// HELO identity is judged in its place (RFC 7208 §2.4).
func (c *Checker) CheckMail(ctx context.Context, client Client, sender mail.Address) Outcome {
	if sender.Domain == "" {
		return c.CheckHelo(ctx, client)
	}
	local := sender.Local
	if local == "" {
		local = "postmaster" // RFC 7208 §4.3
	}
	return c.check(ctx, client, Outcome{Identity: MailFrom, Sender: local + "@" + sender.Domain, Domain: sender.Domain})
}

// CheckHelo judges the name the client gave itself, which need not be in any
// normal form (RFC 7208 §2.3).
func (c *Checker) CheckHelo(ctx context.Context, client Client) Outcome {
	domain := client.Helo
	if d, err := mail.ParseDomain(strings.TrimSuffix(domain, ".")); err == nil {
		domain = d
	}
	return c.check(ctx, client, Outcome{Identity: Helo, Sender: "postmaster@" + domain, Domain: domain})
}

// maxHelo bounds what macros see of a HELO argument, in octets; no name is longer.
const maxHelo = 255

func (c *Checker) check(ctx context.Context, client Client, o Outcome) Outcome {
	ip := client.IP.Unmap().WithZone("")
	domain, ok := judged(o.Domain)
	switch {
	case !ip.IsValid():
		o.Result, o.Err = None, ErrClient
		return o
	case !ok:
		o.Result, o.Err, o.Domain = None, ErrNoDomain, ""
		return o
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := dns.Within(ctx, timeout)
	defer cancel()
	e := &evaluation{ctx: ctx, dns: c.Resolver, records: c.Records, ip: ip, helo: client.Helo[:min(len(client.Helo), maxHelo)],
		sender: o.Sender, receiver: cmp.Or(c.Receiver, "unknown"), now: client.Now}
	d, err := e.judge(domain)
	if err != nil {
		o.Result, o.Err = resultOf(err), err
		return o
	}
	o.Result, o.Mechanism = d.result, d.mechanism[:min(len(d.mechanism), maxShown)]
	if o.Result == Fail {
		o.Explanation = e.explain(d.record)
	}
	return o
}

// judged returns the name of a domain that can have a record: no address
// literal, and not cut to fit (RFC 7208 §4.3).
func judged(domain string) (name string, ok bool) {
	name, ok = lookupName(domain)
	return name, ok && isDomain(name) && len(strings.TrimSuffix(domain, ".")) <= maxName && !mail.IsLiteral(name)
}

// Package spf tells whether a client may use the domain it names as its sender
// (RFC 7208). The server asks after MAIL; the answer goes to the policy check,
// into the Received-SPF and Authentication-Results fields and, as half of an
// alignment, to DMARC.
//
// Records are evaluated by a library. What it leaves out stands here: errors
// anywhere in a record, the term that matched, the explanation of the domain.
//
// The package has no sockets and does not know what follows from a result.
package spf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"

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

// Resolver looks up names; base/dns.Net is one. Absence of a name or of the
// records is a *net.DNSError with IsNotFound, every other error a failure that
// makes the result temperror.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Checker judges clients. It has no state; all of its methods may be called
// from many goroutines.
type Checker struct {
	Resolver Resolver
	// Timeout bounds each check with its explanation; 0 is DefaultTimeout.
	Timeout time.Duration
	// Receiver is our host name, the macro %{r} of explanations.
	Receiver string
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

func (c *Checker) check(ctx context.Context, client Client, o Outcome) Outcome {
	ip := client.IP.Unmap().WithZone("")
	switch {
	case !ip.IsValid():
		o.Result, o.Err = None, ErrClient
		return o
	case !judged(o.Domain):
		o.Result, o.Err, o.Domain = None, ErrNoDomain, ""
		return o
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	e := &evaluation{ctx: ctx, memo: newMemo(c.Resolver), values: values{
		ip: ip, helo: client.Helo, sender: o.Sender, receiver: c.Receiver, now: client.Now,
	}}
	e.domain, _ = lookupName(o.Domain)
	result, err := e.run(e.memo)
	o.Result, o.Err = e.translate(result, err)
	if o.Err != nil {
		return o
	}
	var last *record
	if last, o.Mechanism = e.decider(); last != nil && o.Result == Fail {
		o.Explanation = e.explain(last)
	}
	return o
}

// judged reports a domain that can have a record: a name of several labels, no
// address literal (RFC 7208 §4.3).
func judged(domain string) bool {
	name, ok := lookupName(domain)
	return ok && strings.Contains(name, ".") && !mail.IsLiteral(name)
}

// evaluation is one run of check_host().
type evaluation struct {
	ctx    context.Context
	memo   *memo
	values values
	domain string // the one judged
}

// run evaluates the domain's record with what the resolver tells.
func (e *evaluation) run(r spf.DNSResolver) (spf.Result, error) {
	// The library takes what follows the first @ for the domain.
	local := strings.ReplaceAll(e.values.local(), "@", "_")
	sender := local + "@" + e.domain
	return spf.CheckHostWithSender(net.IP(e.values.ip.AsSlice()), e.values.helo, sender, spf.WithContext(e.ctx), spf.WithResolver(r))
}

// translate puts the library's answer in our words. A failed look-up wins over
// everything: half of the facts decide nothing.
func (e *evaluation) translate(result spf.Result, err error) (Result, error) {
	switch result {
	case spf.Pass, spf.Fail, spf.SoftFail, spf.Neutral:
		return Result(result), nil
	case spf.None:
		return None, ErrNoRecord
	case spf.TempError:
		return TempError, fmt.Errorf("spf: %w", err)
	}
	switch {
	case errors.Is(err, spf.ErrLookupLimitReached), errors.Is(err, spf.ErrVoidLookupLimitReached), errors.Is(err, spf.ErrTooManyMXRecords):
		return PermError, fmt.Errorf("%w: %w", ErrTooMany, err)
	case e.memo.broken != nil:
		return PermError, e.memo.broken
	}
	return PermError, fmt.Errorf("%w: %w", ErrSyntax, err)
}

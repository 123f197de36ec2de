package evidence

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/wire/arc"
	"posthorn/internal/wire/dkim"
	"posthorn/internal/wire/dmarc"
	"posthorn/internal/wire/spf"
)

// defaultTimeout bounds each of the three: SPF, signatures, DMARC. Who signs
// with keys that nobody can look up must not use up DMARC's time.
const defaultTimeout = 20 * time.Second

// Options are what Authenticity works with. The functions are asked for every
// message and must be fast; nil is empty or false.
type Options struct {
	Resolver *dns.Resolver
	// Hostname is the authserv-id, under which we judge (RFC 8601 §2.5). Without
	// one no field is written.
	Hostname func() string
	// TreeWalk finds DMARC records as the coming standard does.
	TreeWalk func() bool
	// Forwarders are the domains whose seals are believed: the domain itself, or
	// with a dot in front all below it.
	Forwarders func() []string
	// SPFField asks for a Received-SPF field (B1G-SPF-02).
	SPFField func() bool
	// MinRSABits is the least size of RSA keys; below dkim.MinRSABits it is that.
	MinRSABits int
	// Timeout is how long SPF may take, then the keys of all signatures and
	// seals, then DMARC; 0 is 20 s (RFC 7208 §4.6.4).
	Timeout time.Duration
}

// Authenticity implements policy.Authenticity. It may be used by many
// goroutines.
type Authenticity struct {
	o        Options
	keys     dkim.Records
	senders  spf.Records
	policies dmarc.Records
	lately   lately
}

var _ policy.Authenticity = (*Authenticity)(nil)

// NewAuthenticity returns an Authenticity.
func NewAuthenticity(o Options) *Authenticity {
	if o.Hostname == nil {
		o.Hostname = func() string { return "" }
	}
	if o.TreeWalk == nil {
		o.TreeWalk = func() bool { return false }
	}
	if o.Forwarders == nil {
		o.Forwarders = func() []string { return nil }
	}
	if o.SPFField == nil {
		o.SPFField = func() bool { return false }
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Authenticity{o: o, lately: newLately()}
}

// SPF judges the client by the sender's domain, or by the HELO name where the
// sender is null (B1G-SPF-01).
func (a *Authenticity) SPF(ctx context.Context, f *policy.Facts) policy.SPF {
	host := a.o.Hostname()
	p := pair{client: f.Client, helo: f.Helo, host: host, sender: f.Sender, field: a.o.SPFField()}
	if s, ok := a.lately.find(p); ok {
		return s
	}
	h := horizon{Resolver: a.o.Resolver}
	c := spf.Checker{Resolver: &h, Timeout: a.o.Timeout, Receiver: host, Records: &a.senders}
	client := spf.Client{IP: f.Client, Helo: f.Helo, Now: f.Time}
	o := c.CheckMail(ctx, client, f.Sender)
	s := policy.SPF{Result: string(o.Result), Identity: string(o.Identity), Domain: plain(o.Domain),
		Mechanism: plain(o.Mechanism), Explanation: o.Explanation} // package spf has cleaned and bounded it
	if o.Err != nil {
		s.Problem = plain(o.Err.Error())
	}
	if p.field {
		s.Field = o.Field(host, client)
	}
	a.lately.keep(p, s, h.until)
	return s
}

// Message verifies the signatures and seals of the content. For mail from
// outside (kind MX) it asks what SPF said, applies DMARC and writes the
// Authentication-Results field; others have their own reasons to be let in.
func (a *Authenticity) Message(ctx context.Context, f *policy.Facts) policy.Authentication {
	var r policy.Authentication
	var seen findings
	m, err := read(ctx, f.Content)
	if err != nil {
		seen.unread = fmt.Errorf("the content could not be read: %w", err)
	} else {
		a.signatures(ctx, m, f.Time, &seen)
	}
	r.Signatures = verdicts(seen.dkim)
	r.Chain = chain(seen.arc)
	if f.Kind != policy.MX {
		return r
	}
	seen.spf = f.SPF(ctx)
	a.dmarc(ctx, f, &seen, &r)
	a.believe(seen.arc, &r)
	r.Field = a.field(f, &seen, &r)
	return r
}

// findings are what the methods found, before they are put together.
type findings struct {
	spf    policy.SPF
	dkim   []dkim.Result
	arc    arc.Chain
	unread error // the content could not be read
}

// signatures looks up keys and verifies signatures and seals.
func (a *Authenticity) signatures(ctx context.Context, m *dkim.Message, now time.Time, seen *findings) {
	ctx, cancel := dns.Within(ctx, a.o.Timeout)
	defer cancel()
	keys := a.keys.Keys(a.o.Resolver.Net(), a.o.MinRSABits)
	seen.dkim = m.Verify(ctx, keys, now)
	seen.arc = arc.Verify(ctx, m, keys, now)
}

// verdicts are the results of DKIM in policy's words.
func verdicts(results []dkim.Result) []policy.Signature {
	var all []policy.Signature
	for _, r := range results {
		status, reason := verdict(r)
		all = append(all, policy.Signature{Result: status.String(), Domain: plain(r.Domain), Selector: plain(r.Selector), Reason: reason})
	}
	return all
}

// verdict is what a signature counts for. That of a domain which only tests is
// as good as none (RFC 6376 §3.6.1), be it right or wrong.
func verdict(r dkim.Result) (dkim.Status, string) {
	if !r.Testing {
		return r.Status, plain(r.Reason)
	}
	return dkim.Neutral, plain("the key is for testing only (t=y): " + r.Status.String() + " " + r.Reason)
}

const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// read takes the content in, once. Of a message without signatures and seals no
// more is read than the piece in which the header section ends.
func read(ctx context.Context, c *policy.Message) (*dkim.Message, error) {
	m := dkim.NewMessage()
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for at := int64(0); at < c.Size; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := c.Body.ReadAt(buf[:min(bufferSize, c.Size-at)], at)
		if _, err := m.Write(buf[:n]); err != nil {
			return nil, err
		}
		if at += int64(n); at < c.Size && (err != nil || n == 0) {
			return nil, short(err)
		}
		if len(m.Fields()) > 0 && !signed(m) {
			break
		}
	}
	return m, m.Close()
}

// short makes an end before the size that was announced an error of its own.
func short(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// signed reports that the body matters to a signature or seal.
func signed(m *dkim.Message) bool {
	return len(m.Find("dkim-signature")) > 0 || len(m.Find("arc-message-signature")) > 0
}

// identity is a domain as DMARC compares it; what is no domain name has none.
func identity(domain string, pass, temporary bool) dmarc.Identity {
	domain, err := mail.ParseDomain(domain)
	if err != nil {
		return dmarc.Identity{}
	}
	return dmarc.Identity{Domain: domain, Pass: pass, Temporary: temporary}
}

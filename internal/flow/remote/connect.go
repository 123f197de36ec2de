package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/route"
	"posthorn/internal/wire/sasl"
	"posthorn/internal/wire/smtp"
)

// key says what a kept connection is good for.
type key struct {
	hop
	need           requirement
	user, password string
}

// connection is a conversation that got as far as EHLO and login.
type connection struct {
	key    key
	link   *link
	client *smtp.Client
	tls    *session // nil in clear text
	uses   int      // transactions
	reused bool     // it was kept, so the host may have hung up meanwhile
	timer  *time.Timer
	kept   time.Time // since when nobody used it
}

// most is how many messages it may carry.
func (c *connection) most(r Reuse) int {
	if l := c.client.Limits().Mails; l > 0 {
		return min(l, r.Messages)
	}
	return r.Messages
}

// farewell is how long QUIT may take, lastFarewell once this server stops.
const (
	farewell     = 5 * time.Second
	lastFarewell = 500 * time.Millisecond
)

const (
	// trusted is how long a connection may have been kept to be used unasked:
	// across a line that was cut, MAIL would wait minutes for its reply.
	trusted = 100 * time.Millisecond
	// sign is how long a kept host may take to give a sign of life.
	sign = 10 * time.Second
)

// alive finds out whether a kept connection is good for another message. A host
// that has not been heard for a while is asked whether it is there.
func (c *connection) alive(ctx context.Context) bool {
	if c.unread() {
		return false
	}
	if time.Since(c.kept) < trusted {
		return true
	}
	defer context.AfterFunc(ctx, c.link.stop)()
	c.link.until(time.Now().Add(sign))
	return c.client.Noop() == nil && !c.unread()
}

// unread reports whether the host has said what nobody asked for, or has hung
// up, as far as is known here. Deadlines are to be set anew afterwards.
func (c *connection) unread() bool {
	c.link.until(time.Now())
	return c.client.Unread() || c.link.unread()
}

// quit ends the session as RFC 5321 §4.1.1.10 wants, within the limit of the
// link. What the host answers changes nothing any more.
func (c *connection) quit() {
	_ = c.client.Quit()
	c.hangUp()
}

// hangUp closes the socket; TLS needs no goodbye, for SMTP had its own.
func (c *connection) hangUp() { _ = c.link.Close() }

// connection returns a kept connection or opens one.
func (a *attempt) connection(ctx context.Context, h hop) (*connection, *problem) {
	k := key{hop: h, need: a.need}
	if r := a.job.To.Relay; r != nil {
		k.user, k.password = r.User, r.Password
	}
	for {
		c, err := a.d.pool.get(ctx, k, a.fresh, a.set.Connections)
		if err != nil {
			return nil, passing(reply.E(4, 3, 2), "no connection was free").because(err)
		}
		if c == nil {
			break
		}
		if c.alive(ctx) {
			c.reused = true
			return c, nil
		}
		a.d.pool.discard(c)
	}
	c, p := a.open(ctx, k)
	if p != nil {
		a.d.pool.release()
		return nil, p.at(h)
	}
	a.d.dead.Delete(h.addr)
	return c, nil
}

// open connects. A host that fails at the TLS it offers is called once more
// without, where clear text is allowed at all; never because of a certificate,
// since those are not checked then.
func (a *attempt) open(ctx context.Context, k key) (*connection, *problem) {
	c, p := a.call(ctx, k, true)
	if p != nil && errors.Is(p.reply.Cause, errHandshake) && !k.need.tls && a.set.ClearFallback && ctx.Err() == nil {
		a.log.Log(event.TLSFailed, slog.String("host", k.hop.String()), slog.Bool("clear_text", true), event.Err(p.reply.Cause))
		return a.call(ctx, k, false)
	}
	return c, p
}

// call dials and introduces us.
func (a *attempt) call(ctx context.Context, k key, withTLS bool) (*connection, *problem) {
	raw, err := a.dial(ctx, k.hop)
	if err != nil {
		a.suspect(ctx, k.hop)
		return nil, passing(reply.E(4, 4, 1), "%s does not answer: %s", k.hop, dialReason(err)).because(err)
	}
	c := &connection{key: k, link: &link{Conn: raw}}
	c.link.until(a.within(maxSetup))
	release := context.AfterFunc(ctx, c.link.stop)
	p := a.introduce(c, withTLS)
	if !release() && p == nil {
		p = passing(reply.E(4, 3, 2), "this server stops").because(ctx.Err())
	}
	if p != nil {
		if p.silent {
			a.suspect(ctx, k.hop)
		}
		c.hangUp()
		return nil, p
	}
	return c, nil
}

// suspect remembers that the address did not answer, unless it is us who gave up.
func (a *attempt) suspect(ctx context.Context, h hop) {
	if ctx.Err() == nil && !a.hurried() {
		a.d.dead.Set(h.addr, time.Now().Add(deadTime))
	}
}

func (a *attempt) dial(ctx context.Context, h hop) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, a.within(a.set.ConnectTimeout))
	defer cancel()
	if a.d.o.Dial != nil {
		return a.d.o.Dial(ctx, "tcp", h.addr.String())
	}
	var d net.Dialer
	if from := a.set.sourceFor(h.addr.Addr()); from.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	return d.DialContext(ctx, "tcp", h.addr.String())
}

// dialReason is the end of a dial error, without the addresses in front.
func dialReason(err error) string {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

// introduce brings a fresh connection to where MAIL can be said.
func (a *attempt) introduce(c *connection, withTLS bool) *problem {
	conn := smtp.Conn(c.link)
	o := smtp.ClientOptions{Now: time.Now}
	if c.key.need.implicit {
		var err error
		if conn, o.TLS, err = a.handshake(c); err != nil {
			return a.tlsProblem(c, err)
		}
	}
	c.client = smtp.NewClient(conn, o)
	if err := c.client.Greet(a.d.o.Hostname()); err != nil {
		if _, refused := errors.AsType[*smtp.RefusedError](err); refused { // who takes nobody under its own name
			if p := a.mirror(c, c.client.Greeting); p != nil {
				return p
			}
		}
		return a.greetProblem(c, err)
	}
	if p := a.mirror(c, c.client.Hello); p != nil {
		c.link.until(time.Now().Add(farewell))
		c.quit()
		return p
	}
	if withTLS && !c.key.need.implicit {
		if p := a.startTLS(c); p != nil {
			return p
		}
	}
	if c.key.need.requireTLS {
		if _, ok := c.client.Extension("REQUIRETLS"); !ok {
			p := final(550, reply.E(5, 7, 30), "%s does not support REQUIRETLS", c.key.hop)
			p.message = true
			return p
		}
	}
	return a.login(c)
}

// greetProblem is about a host that does not want to talk, or not to us. A 5xx
// says so for now: it is the host that is wrong, or a list we are on, and not
// the message. Only 521 is for good (RFC 7504 §3).
func (a *attempt) greetProblem(c *connection, err error) *problem {
	r, ok := errors.AsType[*smtp.RefusedError](err)
	if !ok {
		p := ioProblem(c.key.hop, "the connection", err)
		p.silent = true
		return p
	}
	p := &problem{reply: kept(r.Reply, r.Verb).Because(err)}
	if r.Reply.Code == 521 && a.job.To.Relay == nil {
		p.final = true
	} else if r.Reply.Permanent() {
		return temporary(p.reply, "refused for now").because(err)
	}
	return p
}

// errHandshake marks a failed TLS handshake.
var errHandshake = errors.New("TLS handshake")

func (a *attempt) handshake(c *connection) (smtp.Conn, *tls.ConnectionState, error) {
	s := &session{}
	conn := tls.Client(c.link, c.key.need.config(c.key.host, a.d.o.RootCAs, s))
	if err := c.link.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return nil, nil, errors.Join(errHandshake, err)
	}
	// The link has the deadline and the stop; a context would add nothing.
	if err := conn.Handshake(); err != nil {
		return nil, nil, errors.Join(errHandshake, err)
	}
	s.state = conn.ConnectionState()
	c.tls = s
	return conn, &s.state, nil
}

const handshakeTime = 2 * time.Minute

// startTLS begins TLS where it is offered. 454 and the like from a host that
// offered it leave the connection as it is (RFC 3207 §4).
func (a *attempt) startTLS(c *connection) *problem {
	need := c.key.need
	err := c.client.StartTLS(a.d.o.Hostname(), func() (smtp.Conn, *tls.ConnectionState, error) { return a.handshake(c) })
	_, refused := errors.AsType[*smtp.RefusedError](err)
	refused = refused && c.tls == nil
	switch {
	case err == nil:
		return nil
	case errors.Is(err, smtp.ErrExtension) && !need.tls, refused && !need.tls && a.set.ClearFallback:
		return nil
	case errors.Is(err, smtp.ErrExtension) || refused:
		return a.secure(passing(reply.E(4, 7, 4), "%s offers no TLS, which is demanded", c.key.hop).because(err))
	case errors.Is(err, errHandshake):
		return a.tlsProblem(c, err)
	case c.tls != nil:
		return a.greetProblem(c, err) // EHLO again
	}
	return ioProblem(c.key.hop, "STARTTLS", err)
}

func (a *attempt) tlsProblem(c *connection, err error) *problem {
	if errors.Is(err, errCertificate) {
		return a.secure(passing(reply.E(4, 7, 5), "the certificate of %s is not accepted: %s", c.key.hop, objection(err)).because(err))
	}
	p := passing(reply.E(4, 7, 5), "the TLS handshake with %s failed", c.key.hop).because(err)
	p.alarm, p.message = a.job.To.Relay != nil, a.need.requireTLS
	return p
}

// secure decides what a lack of security means: for REQUIRETLS the end of the
// message (RFC 8689 §4.2.1), for a relay that should have it an alarm and
// patience (M-DEL-02c).
func (a *attempt) secure(p *problem) *problem {
	relay := a.job.To.Relay
	p.message = a.need.requireTLS
	if p.message && (relay == nil || !relay.Secure) {
		p.reply.Code, p.reply.Enhanced = 550, reply.E(5, 7, 10)
		p.final = true
		return p
	}
	p.alarm = relay != nil
	return p
}

// proven reports that the other end may be shown the password itself: its
// certificate is the relay's own, or the relay is declared to need none. Anybody
// on the way can offer TLS with a certificate of his own.
func (c *connection) proven(r *route.Relay) bool {
	return c.tls != nil && (c.tls.verified || r.Secure || r.AnyCertificate)
}

// unproven says what is to be done when that is what is missing.
func (c *connection) unproven() string {
	if c.tls == nil || c.tls.verified {
		return ""
	}
	return ": its certificate cannot be verified (" + c.tls.trouble.Error() + "); give its fingerprint, or say that any certificate will do"
}

// login logs in where the relay wants it. A refusal is never the message's
// fault: everything for the relay waits and somebody is told (M-DEL-02d).
func (a *attempt) login(c *connection) *problem {
	if c.key.user == "" {
		return nil
	}
	err := c.client.Auth(sasl.Credentials{Name: c.key.user, Password: c.key.password}, a.job.To.Relay.ClearLogin || c.proven(a.job.To.Relay))
	if err == nil {
		return nil
	}
	var p *problem
	r, refused := errors.AsType[*smtp.RefusedError](err)
	switch {
	case refused && r.Reply.Permanent():
		p = temporary(kept(r.Reply, "AUTH"), "the relay does not accept our login")
		a.over = true // the next host would count one more wrong password
	case refused:
		p = &problem{reply: kept(r.Reply, "AUTH")}
	case errors.Is(err, smtp.ErrExtension):
		p = passing(reply.E(4, 7, 0), "%s offers no login", c.key.hop)
	case errors.Is(err, sasl.ErrMechanism):
		p = passing(reply.E(4, 7, 4), "%s offers no login that is safe here%s", c.key.hop, c.unproven())
	case errors.Is(err, sasl.ErrServer), errors.Is(err, sasl.ErrProtocol), errors.Is(err, sasl.ErrCredentials):
		p = passing(reply.E(4, 7, 0), "the login at %s failed", c.key.hop)
	default:
		return ioProblem(c.key.hop, "AUTH", err)
	}
	p.alarm = true
	return p.because(err)
}

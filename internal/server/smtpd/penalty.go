package smtpd

import (
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// penalty counts what a client did wrong on one connection. RSET, EHLO and
// STARTTLS do not reset it (B1G-LIM-05).
type penalty struct {
	errors  int
	junk    int
	unknown int // recipients nobody here has
	surplus int // recipients refused for their number alone
}

// mostUnknown is how many addresses a client may try out on one connection,
// whatever the settings say (reliability.md row 23).
const mostUnknown = 50

// noSuchRecipient is the status of RFC 3463 for an address nobody has.
var noSuchRecipient = reply.E(5, 1, 1)

// junkPause is what every junkGroup junk commands cost (M-SEC-ADV-05).
const (
	junkGroup = 10
	junkPause = time.Second
)

// weigh counts the reply and returns what to say and how long to wait before.
func (p *penalty) weigh(c *connection, o outcome, junk bool) (reply.Reply, time.Duration) {
	r := o.Reply
	if c.session.facts.Trust == policy.TrustedClass {
		return r, 0
	}
	e := &c.settings.Errors
	wrong := r.Permanent() || e.Count == "all" && r.Temporary()
	if o.surplus { // M-GEN-09 has an end of its own
		wrong = false
		p.surplus++
	}
	var cost, tarpit time.Duration
	if junk {
		tarpit, wrong = p.countJunk(c.settings.JunkLimit, wrong)
	}
	if wrong {
		p.errors++
	}
	if wrong || p.errors > e.SoftLimit {
		cost = e.Delay
	}
	if r.Enhanced == noSuchRecipient {
		p.unknown++
	}
	if p.errors > e.HardLimit || p.unknown >= mostUnknown || p.surplus > mostAttempts {
		c.log.Log(event.SessionJunk, slog.Int("errors", p.errors), slog.Int("junk", p.junk))
		r = replyTooManyErrors
	}
	return r, cost + tarpit
}

func (p *penalty) countJunk(limit int, wrong bool) (time.Duration, bool) {
	p.junk++
	if limit == 0 {
		return 0, wrong
	}
	if p.junk%junkGroup == 0 {
		return junkPause, wrong || p.junk > limit
	}
	return 0, wrong || p.junk > limit
}

// delivered forgets junk after an accepted message.
func (p *penalty) delivered() { p.junk = 0 }

// foul tells of what no proper client does; too much of it leads to a ban
// (B1G-BAN-01).
func (c *connection) foul() {
	if f := c.session.facts; c.guard != nil && f.Login == nil && f.Trust == policy.Untrusted {
		c.guard.ProtocolError()
	}
}

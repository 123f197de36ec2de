package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/policy/scan"
)

// Virus asks ClamAV about viruses (M-SEC-BW-15).
type Virus struct {
	// Server is where clamd listens: host:port, or unix:/path of its socket.
	// Empty asks nobody.
	Server string `default:""`
	// Timeout is how long clamd may take for one message, waiting for a turn
	// included.
	Timeout time.Duration `default:"2m" min:"1s" max:"10m"`
	// Most is the largest message that is sent to clamd; its own StreamMaxLength
	// must be no less. 0 is no limit.
	Most unit.Size `default:"25MB" min:"0"`
	// Width is how many messages clamd is asked about at once.
	Width int `default:"4" min:"1" max:"100"`
	// Found is what happens to mail from outside with a virus: it is refused, held
	// in quarantine or filed in Junk.
	Found string `default:"refuse" oneof:"refuse,quarantine,junk"`
	// WhenDown is what happens while clamd does not answer: mail is put off, or
	// taken and marked in its header.
	WhenDown string `default:"defer" oneof:"defer,accept"`
	// WhenLarge is what happens to messages larger than clamd takes: they are
	// taken and marked in their header, or refused.
	WhenLarge string `default:"accept" oneof:"accept,refuse"`
	// MarkClean marks in their header the messages too in which no virus was
	// found.
	MarkClean bool `default:"false"`
	// Outgoing scans what users and trusted clients send. A virus in it is
	// always refused.
	Outgoing bool `default:"true"`
	// Mode is how the verdict of the virus scanner counts.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// virusField is the field that tells what was found out.
const virusField = "X-Virus-Status"

// Validate refuses an address that nobody could connect to.
func (v *Virus) Validate() error {
	if v.Server == "" {
		return nil
	}
	if _, err := scan.ParseEndpoint(v.Server); err != nil {
		return fmt.Errorf("policy.virus.server: %w", err)
	}
	return nil
}

// check refuses viruses.
func (v *Virus) check(ctx context.Context, f *policy.Facts) policy.Verdict {
	outside := fromOutside(f)
	switch {
	case v.Server == "":
		return policy.Passed("there is no virus scanner")
	case !outside && !v.Outgoing:
		return policy.Passed("only mail from outside is scanned")
	}
	switch r := f.Virus(ctx); r.Opinion {
	case policy.Clean:
		if v.MarkClean {
			return marked("nothing was found", virusField, "Clean")
		}
		return policy.Passed("nothing was found")
	case policy.Suspect:
		return v.found(r.Signature, outside)
	case policy.TooLarge:
		if v.WhenLarge == "refuse" {
			return policy.Refused(reply.New(552, reply.E(5, 3, 4), "Message is too large to be scanned for viruses"), r.Problem).By("policy.virus.when_large")
		}
		return marked("too large to be scanned: "+r.Problem, virusField, "Not scanned (too large)")
	case policy.Down:
		if v.WhenDown == "defer" {
			return policy.Refused(scannerDown("Virus scanner").Because(errors.New(r.Problem)), "the virus scanner is down: "+r.Problem).By("policy.virus.when_down")
		}
		return marked("the virus scanner is down: "+r.Problem, virusField, "Not scanned (scanner unavailable)")
	}
	return policy.Passed("nobody was asked")
}

func (v *Virus) found(signature string, outside bool) policy.Verdict {
	reason := "the virus scanner found " + signature
	if v.Found == "refuse" || !outside {
		return policy.Refused(reply.New(554, reply.E(5, 7, 1), "Message contains a virus: "+ascii(signature, 100)), reason)
	}
	r := marked(reason, virusField, "Infected ("+ascii(signature, 100)+")")
	if v.Found == "quarantine" {
		r.Effects.Quarantine = "virus " + signature
	} else {
		r.Effects.Junk = "virus " + signature
	}
	return r
}

// scannerDown puts mail off.
func scannerDown(what string) reply.Reply {
	return reply.New(451, reply.E(4, 7, 1), what+" is not available, try again later")
}

// fromOutside reports mail that comes from neither a user nor a trusted client.
func fromOutside(f *policy.Facts) bool {
	return f.Kind == policy.MX && f.Login == nil && f.Trust == policy.Untrusted
}

// marked lets a message pass with a header field.
func marked(reason, name, value string) policy.Verdict {
	v := policy.Passed(reason)
	v.Effects = &policy.Effects{Fields: []string{name + ": " + value + "\r\n"}}
	return v
}

// ascii makes text of a scanner fit for a reply and a header field: printable
// ASCII of at most so many octets, without what would end or nest a comment.
func ascii(s string, most int) string {
	b := make([]byte, 0, most)
	for _, r := range s {
		if len(b) == most {
			break
		}
		if r < ' ' || r >= 0x7f || r == '(' || r == ')' || r == '\\' {
			r = '?'
		}
		b = append(b, byte(r))
	}
	return string(b)
}

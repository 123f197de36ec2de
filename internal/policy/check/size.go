package check

import (
	"context"
	"fmt"

	"posthorn/internal/base/reply"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
)

// Size limits the octets of a message as they pass the wire: an attachment of
// 25 MB needs about 34 MB.
type Size struct {
	// Inbound is the largest message from outside (M-GEN-11); 0 is no limit.
	// One MB is 1,048,576 octets.
	Inbound unit.Size `default:"50MB" factory:"10MB" min:"0"`
	// Outbound is the largest message of users, and of trusted clients to
	// other servers (M-GEN-11); 0 is no limit.
	Outbound unit.Size `default:"50MB" factory:"10MB" min:"0"`
	// Cap is the size above which mail is refused in all cases, whoever sends
	// it (B1G-GEN-03); 0 is no further limit. The smaller limit wins.
	Cap unit.Size `default:"0" factory:"10MB" min:"0"`
}

// Validate implements the settings' check.
func (s *Size) Validate() error {
	if s.Inbound < 0 || s.Outbound < 0 || s.Cap < 0 {
		return fmt.Errorf("policy.size: a size is not negative")
	}
	for name, n := range map[string]unit.Size{"inbound": s.Inbound, "outbound": s.Outbound, "cap": s.Cap} {
		if n > 0 && n < leastSize {
			return fmt.Errorf("policy.size.%s: %d octets would keep every mail out; write a unit, such as 50MB, or 0 for no limit", name, int64(n))
		}
	}
	return nil
}

// leastSize is the smallest limit that can be meant: a header alone is larger
// than a number that lacks its unit.
const leastSize = 100

// smaller returns the smaller of two limits, where 0 is none.
func smaller(a, b unit.Size) unit.Size {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// limit returns the limit for one direction, and the setting it comes from.
func (s *Size) limit(trust policy.Trust, outbound bool) (unit.Size, string) {
	own, setting := s.Inbound, "policy.size.inbound"
	if outbound {
		own, setting = s.Outbound, "policy.size.outbound"
	}
	if trust == policy.TrustedClass {
		own = 0 // B1G-CLS-02
	}
	if n := smaller(own, s.Cap); n != own {
		return n, "policy.size.cap"
	}
	return own, setting
}

// announced is the SIZE of EHLO.
func (s *Size) announced(kind policy.Kind, trust policy.Trust) unit.Size {
	in, _ := s.limit(trust, false)
	out, _ := s.limit(trust, true)
	switch {
	case kind == policy.Submission:
		return out
	case kind == policy.MX:
		return in
	case in == 0 || out == 0:
		return 0
	}
	return max(in, out)
}

// atMail compares the declared size (RFC 1870 §6.1). A trusted client may
// still turn either way, so the larger limit counts.
func (s *Size) atMail(_ context.Context, f *policy.Facts) policy.Verdict {
	f.SawNumber("declared", int64(f.DeclaredSize))
	limit := s.announced(f.Kind, f.Trust)
	if limit == 0 || f.DeclaredSize <= limit {
		return policy.Passed("small enough as declared")
	}
	_, setting := s.limit(f.Trust, f.Kind != policy.MX)
	return tooBig("declared", f.DeclaredSize, limit).By(setting)
}

// atContent compares the size that arrived.
func (s *Size) atContent(_ context.Context, f *policy.Facts) policy.Verdict {
	f.SawNumber("size", int64(f.Size))
	limit, setting := s.limit(f.Trust, f.Outbound())
	if limit == 0 || f.Size <= limit {
		return policy.Passed("small enough")
	}
	return tooBig("received", f.Size, limit).By(setting)
}

func tooBig(how string, size, limit unit.Size) policy.Verdict {
	return policy.Refused(
		reply.Newf(552, reply.E(5, 3, 4), "Message exceeds the size limit of %d octets", int64(limit)),
		fmt.Sprintf("%d octets were %s and the limit is %s (%d octets)", int64(size), how, limit, int64(limit)))
}

package dkim

import (
	"strings"
	"time"
)

// Claim is who says to have signed, and the signature: what DKIM-Signature,
// ARC-Message-Signature and ARC-Seal have in common.
type Claim struct {
	// Domain and Selector name the key; lower case, A-labels.
	Domain, Selector string
	// Algorithm is a=, lower case: rsa-sha256 or ed25519-sha256.
	Algorithm string
	// Value is b=, decoded; Mark its beginning as written.
	Value []byte
	Mark  string
}

// markLength is how much of b= tells signatures apart (RFC 6008 §4).
const markLength = 8

// ParseClaim reads the tags a=, b=, d= and s=. The Result says why it cannot, and
// holds what could be read; its Status is Pass if all is well.
func ParseClaim(tags Tags) (Claim, Result) {
	var c Claim
	r := Result{Status: Pass}
	domain, _ := tags.Get("d")
	selector, _ := tags.Get("s")
	d, okD := hostName(domain)
	s, okS := hostName(selector)
	if !okD || !okS {
		return c, r.blame(neutral("the signature's domain or selector (d=, s=) is missing or is none"))
	}
	algorithm, _ := tags.Get("a")
	algorithm = strings.ToLower(algorithm)
	c = Claim{Domain: d, Selector: s, Algorithm: algorithm}
	r.Domain, r.Selector, r.Algorithm = d, s, printable(algorithm)
	switch algorithm {
	case "rsa-sha256", "ed25519-sha256":
	case "rsa-sha1":
		return c, r.blame(permanent("rsa-sha1 is no longer accepted (RFC 8301)"))
	case "":
		return c, r.blame(neutral("the signature names no algorithm (a=)"))
	default:
		return c, r.blame(neutral("unknown algorithm " + printable(algorithm)))
	}
	value, _ := tags.Get("b")
	value = squeeze(value)
	c.Mark = printable(value)
	c.Mark = c.Mark[:min(markLength, len(c.Mark))]
	r.Mark = c.Mark
	var err error
	if c.Value, err = decode(value); err != nil {
		return c, r.blame(neutral("the signature itself (b=) is missing or not base64"))
	}
	return c, r
}

// signature is a DKIM-Signature or an ARC-Message-Signature.
type signature struct {
	Claim
	result       Result // what is known of it so far
	fault        *fault // why it is no signature
	header, body Canon
	length       int64 // l=, or whole
	bodyHash     []byte
	signed       []string // h=
	identity     string   // domain of i=
	expires      time.Time
}

// parseSignature reads the field (RFC 6376 §3.5). The ARC-Message-Signature has
// no v=, and its i= is a number (RFC 8617 §4.1.2).
func parseSignature(f Field) *signature {
	s := &signature{}
	tags, err := ParseTags(f.Value())
	if err != nil {
		s.fault = neutral("the signature " + err.Error())
		return s
	}
	s.Claim, s.result = ParseClaim(tags)
	if s.result.Status != Pass {
		s.fault = &fault{s.result.Status, s.result.Reason}
		return s
	}
	steps := readings[:]
	if f.Name != "dkim-signature" {
		steps = steps[:ofBoth]
	}
	for _, step := range steps {
		if s.fault = step(s, tags); s.fault != nil {
			break
		}
	}
	return s
}

// readings are the steps of reading a signature, ofBoth how many of them both
// kinds have.
var readings = [...]func(*signature, Tags) *fault{(*signature).readCanon, (*signature).readBody, (*signature).readSigned, (*signature).readTimes,
	(*signature).readVersion, (*signature).readIdentity}

const ofBoth = 4

func (s *signature) readVersion(tags Tags) *fault {
	if v, _ := tags.Get("v"); v != "1" {
		return neutral("the signature is not of version 1 (v=)")
	}
	if q, ok := tags.Get("q"); ok && !has(list(q), "dns/txt") {
		return neutral("its key is not in DNS (q=)")
	}
	return nil
}

func (s *signature) readCanon(tags Tags) *fault {
	c, ok := tags.Get("c")
	if !ok {
		return nil // simple/simple
	}
	header, body, both := strings.Cut(squeeze(c), "/")
	s.header, ok = parseCanon(header)
	if ok && both {
		s.body, ok = parseCanon(body)
	}
	if !ok {
		return neutral("unknown canonical form (c=)")
	}
	return nil
}

func (s *signature) readBody(tags Tags) *fault {
	s.length = whole
	if l, ok := tags.Get("l"); ok {
		if s.length, ok = number(l); !ok {
			return neutral("the body length (l=) is no number")
		}
	}
	value, _ := tags.Get("bh")
	var err error
	if s.bodyHash, err = decode(value); err != nil {
		return neutral("the body's hash (bh=) is missing or not base64")
	}
	return nil
}

func (s *signature) readSigned(tags Tags) *fault {
	h, ok := tags.Get("h")
	if !ok {
		return neutral("the signature names no fields (h=)")
	}
	s.signed = list(strings.ToLower(h))
	s.result.Signed = s.signed
	if !has(s.signed, "from") {
		return permanent("the From field is not signed (h=)") // RFC 6376 §6.1.1
	}
	return nil
}

// readTimes reads t= and x=; a signature from the future is none of our
// business (RFC 6376 §3.5 leaves it to the verifier).
func (s *signature) readTimes(tags Tags) *fault {
	x, ok := tags.Get("x")
	if !ok {
		return nil
	}
	expires, ok := number(x)
	if !ok {
		return neutral("the expiration (x=) is no number")
	}
	s.expires = time.Unix(expires, 0)
	if t, ok := tags.Get("t"); ok {
		if signed, ok := number(t); ok && signed >= expires {
			return neutral("the signature expires before it was made (x=, t=)")
		}
	}
	return nil
}

// readIdentity sees that i= is the domain or below it (RFC 6376 §6.1.1).
func (s *signature) readIdentity(tags Tags) *fault {
	s.identity, s.result.Identity = s.Domain, "@"+s.Domain
	i, ok := tags.Get("i")
	if !ok {
		return nil
	}
	s.result.Identity = printable(squeeze(i))
	at := strings.LastIndexByte(i, '@')
	if at < 0 {
		return neutral("the identity (i=) is none")
	}
	if s.identity, ok = hostName(strings.Trim(i[at+1:], white)); !ok {
		return neutral("the identity (i=) is none")
	}
	if s.identity != s.Domain && !strings.HasSuffix(s.identity, "."+s.Domain) {
		return permanent("the identity (i=) is not in the signing domain (d=)")
	}
	return nil
}

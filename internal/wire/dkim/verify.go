package dkim

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Verify ends the message and judges its DKIM signatures, from the top. Beyond
// MaxSignatures a last, neutral result says how many were left out. ctx bounds the
// look-ups: what it cuts short is a temporary error.
func (m *Message) Verify(ctx context.Context, keys *Keys, now time.Time) []Result {
	m.end()
	all := m.index.of("dkim-signature")
	judged := all[:min(MaxSignatures, len(all))]
	m.fetch(ctx, keys, now, judged)
	var results []Result
	for _, i := range judged {
		results = append(results, m.Check(ctx, keys, now, i))
	}
	if n := len(all) - len(judged); n > 0 {
		results = append(results, Result{}.blame(neutral(strconv.Itoa(n)+" more signatures were not verified")))
	}
	return results
}

// fetch looks up the keys that will be asked for.
func (m *Message) fetch(ctx context.Context, keys *Keys, now time.Time, places []int) {
	if len(places) < 2 {
		return // it is asked for at once
	}
	var claims []Claim
	for _, i := range places {
		if s := m.signature(i); s != nil && s.fault == nil && s.acceptable(now) == nil && m.wrong == "" {
			claims = append(claims, s.Claim)
		}
	}
	if len(claims) > 1 {
		keys.Fetch(ctx, claims)
	}
}

// Check judges the signature in the i-th field of a message that has ended: one
// of the first MaxSignatures DKIM-Signature fields, or an ARC-Message-Signature.
func (m *Message) Check(ctx context.Context, keys *Keys, now time.Time, i int) Result {
	s := m.signature(i)
	if s == nil {
		s = parseSignature(m.fields[i])
	}
	if m.wrong != "" {
		return s.result.blame(permanent(m.wrong))
	}
	f := s.fault
	if f == nil {
		f = s.acceptable(now)
	}
	if f == nil && m.unsignedFrom(s) {
		f = permanent("the message has a From field that is not signed")
	}
	if f != nil {
		return s.result.blame(f)
	}
	digest := m.headerHash(s.header, s.signed, WithoutSignature(m.fields[i].Raw))
	r := keys.Verify(ctx, s.Claim, digest)
	r.Identity, r.Signed = s.result.Identity, s.result.Signed
	if changed := m.compare(s); changed != nil && (r.Status == Pass || changed.status == Fail && r.Status == TempError) {
		return r.blame(changed) // no key can make up for it
	}
	if r.Status == Pass && s.identity != "" && s.identity != s.Domain && keys.strict(ctx, s.Claim) {
		return r.blame(permanent("the key does not sign for names below its domain (t=s)"))
	}
	return r
}

// acceptable sees what can be seen without the message.
func (s *signature) acceptable(now time.Time) *fault {
	if !s.expires.IsZero() && now.After(s.expires) {
		return permanent("the signature expired " + s.expires.UTC().Format(time.RFC3339))
	}
	// A registry's name signs for nobody (RFC 6376 §6.1.1).
	if suffix, icann := publicsuffix.PublicSuffix(s.Domain); icann && suffix == s.Domain {
		return permanent("the domain " + s.Domain + " belongs to a registry")
	}
	return nil
}

// unsignedFrom reports a From field that the signature leaves out: which one is
// shown to people depends on their program (RFC 6376 §8.15).
func (m *Message) unsignedFrom(s *signature) bool {
	signed := 0
	for _, name := range s.signed {
		if name == "from" {
			signed++
		}
	}
	return len(m.index.of("from")) > signed
}

// compare sees whether the body is the one that was signed, and all of it.
func (m *Message) compare(s *signature) *fault {
	sum, total, ok := m.bodyHash(s.body, s.length)
	switch {
	case !ok:
		return neutral("the message's signatures have too many different body lengths (l=)")
	case s.length > total:
		return failed("the body was cut: it is shorter than what was signed (l=)")
	case !bytes.Equal(sum[:], s.bodyHash):
		return failed("the body was changed")
	case s.length != whole && s.length < total: // RFC 6376 §8.2
		return neutral(fmt.Sprintf("only the first %d octets of the body are signed, %d are not (l=)", s.length, total-s.length))
	}
	return nil
}

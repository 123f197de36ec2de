package policy

import (
	"context"
	"encoding/json"
	"io"

	"posthorn/internal/wire/dmarc"
	"posthorn/internal/wire/mime"
)

// Authenticity finds out who a message really comes from; *evidence.Authenticity
// does. It may use everything the facts know at the stage it is asked.
type Authenticity interface {
	// SPF judges the client by the sender's domain, or by the HELO name where
	// the sender is null (RFC 7208 §2.4).
	SPF(ctx context.Context, f *Facts) SPF
	// Message verifies signatures and seals of the content and applies DMARC
	// to them and to what SPF said.
	Message(ctx context.Context, f *Facts) Authentication
}

// SPF is the result of RFC 7208; Result is "" when nobody was asked.
type SPF struct {
	Result    string `json:"result"`
	Identity  string `json:"identity,omitempty"` // "mailfrom" or "helo"
	Domain    string `json:"domain,omitempty"`
	Mechanism string `json:"mechanism,omitempty"`
	// Explanation is the domain's own text for a refusal, in ASCII.
	Explanation string `json:"explanation,omitempty"`
	Problem     string `json:"problem,omitempty"`
	// Field is the Received-SPF field with its line end.
	Field string `json:"-"`
}

// Signature is the result of one DKIM signature.
type Signature struct {
	Result   string `json:"result"`
	Domain   string `json:"domain"`
	Selector string `json:"selector,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Aligned with the author's domain, as its DMARC policy demands, strictly
	// or not; relaxed where there is none.
	Aligned bool `json:"aligned,omitempty"`
}

// Chain is the result of ARC (RFC 8617). Sealer sealed last; Trusted says that
// it is one of the known forwarders, whose word about earlier results counts.
// With Result temperror both are only what the message says.
type Chain struct {
	Result  string `json:"result"`
	Sealer  string `json:"sealer,omitempty"`
	Trusted bool   `json:"trusted,omitempty"`
	// Passed: the trusted sealer says DMARC passed when the message came there.
	Passed bool   `json:"passed,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Conformance is the result of DMARC.
type Conformance struct {
	Result string `json:"result"`
	// Domain is the author's, Policy what its owner asks for: none,
	// quarantine or reject; PolicyDomain where the record stands.
	Domain       string `json:"domain,omitempty"`
	Policy       string `json:"policy,omitempty"`
	PolicyDomain string `json:"policy_domain,omitempty"`
	// Sampled: pct left the message out of the policy.
	Sampled bool   `json:"sampled,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// Authentication is all that is known of a message's origin.
type Authentication struct {
	Signatures []Signature `json:"signatures,omitempty"`
	Chain      Chain       `json:"arc,omitzero"`
	DMARC      Conformance `json:"dmarc,omitzero"`
	// Field is the Authentication-Results field with its line end.
	Field string `json:"-"`
	// Outcome is DMARC's in full, for the material of our reports; it is not recorded.
	Outcome *dmarc.Outcome `json:"-"`
}

// Message is the content under judgement.
type Message struct {
	Structure *mime.Structure
	Body      io.ReaderAt
	Size      int64
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *SPF) UnmarshalText(b []byte) error {
	type plain SPF
	return json.Unmarshal(b, (*plain)(s))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Authentication) UnmarshalText(b []byte) error {
	type plain Authentication
	return json.Unmarshal(b, (*plain)(a))
}

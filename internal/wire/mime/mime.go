// Package mime finds the structure of a message in one pass and answers
// questions about it later without reading the message again.
//
// A message passes through a Parser while it is received; the Structure that
// comes out holds octet offsets and the header values IMAP asks for, is stored
// beside the message in a compact form, and renders ENVELOPE, BODY and
// BODYSTRUCTURE and locates every BODY[section] by offset alone.
//
// The parser never fails: what breaks a rule of RFC 5322 or RFC 2045 gets the
// most useful reading, and what exceeds a limit is opaque. The package knows
// no store, no policy and no connection; it never holds a body in memory.
package mime

// Limits of what is interpreted; more of anything is opaque, not an error.
// A Structure says in Opaque which of them a message exceeded.
const (
	// MaxDepth bounds the nesting of parts, the message itself being 1.
	MaxDepth = 100
	// MaxParts bounds the parts of a message, the message itself included.
	MaxParts = 10_000
	// MaxHeaderFields bounds the fields interpreted in one header section.
	MaxHeaderFields = 10_000
	// MaxHeaderSize bounds the octets interpreted in one header section.
	MaxHeaderSize = 1 << 20
	// MaxParams bounds the parameters of one field.
	MaxParams = 100
	// MaxAddresses bounds the addresses kept for one envelope.
	MaxAddresses = 1000

	maxBoundary       = 256      // RFC 2046 §5.1.1 allows 70
	maxField          = 64 << 10 // unfolded octets of one field that are read
	maxText           = 8 << 10  // octets kept of one unstructured value
	maxToken          = 1 << 10  // octets kept of a type, name, identifier or address part
	maxLanguages      = 50
	maxDeliveredTo    = 100
	maxTotalAddresses = 5 * MaxAddresses // of all envelopes of a message
	maxTotalParams    = 20_000
	maxKept           = 1 << 20 // octets of all kept strings of a message
)

// Limits is a set of the limits a message exceeded.
type Limits uint8

// The limits, one bit each.
const (
	LimitDepth Limits = 1 << iota
	LimitParts
	LimitHeader
	LimitParams
	LimitAddresses
	LimitValue   // a value was cut short or left out
	LimitAuthors // a From field of the message itself may name more than was read
)

// Span is a range of octets of the message, End exclusive.
type Span struct{ Start, End int64 }

// Len is the number of octets in the span.
func (s Span) Len() int64 { return s.End - s.Start }

// Package dns asks name servers: a caching resolver of our own, because a mail
// server must know NXDOMAIN from a failure, whether an answer was signed, and
// what each of two configured servers said (design.md 7).
//
// It knows records, not mail: which host to try first is flow/remote's.
package dns

import (
	"errors"
	"net/netip"
	"time"
)

// What a look-up can fail with. Every error of a Resolver matches exactly one
// of ErrNotFound and ErrTemporary by errors.Is.
var (
	// ErrNotFound: the name servers say there is no such record.
	ErrNotFound = errors.New("no such record in DNS")
	// ErrNoName, an ErrNotFound too: not even the name exists (NXDOMAIN).
	ErrNoName error = notFound("no such name in DNS")
	// ErrTemporary: nobody could say (SERVFAIL, timeout, garbage). Asking
	// again later may help; it is never a reason to refuse for good.
	ErrTemporary = errors.New("DNS look-up failed for now")
)

// notFound is an ErrNotFound with words of its own.
type notFound string

func (e notFound) Error() string        { return string(e) }
func (e notFound) Is(target error) bool { return target == ErrNotFound }

// Answer is what a look-up found: at least one record.
type Answer[T any] struct {
	Records []T
	// Authentic is the AD bit: the resolver asked says it checked DNSSEC
	// signatures. Worth as much as the path to that resolver.
	Authentic bool
	// Expires is when the answer must be asked for again.
	Expires time.Time
}

// MX is a mail exchanger. Host is lower case without a final dot; "" is the
// null MX of RFC 7505.
type MX struct {
	Host       string
	Preference uint16
}

// TLSA is a certificate association (RFC 6698 §2.1).
type TLSA struct {
	Usage, Selector, MatchingType uint8
	Data                          []byte
}

// Addrs is both kinds of addresses, in the order the caller should try them.
type Addrs = Answer[netip.Addr]

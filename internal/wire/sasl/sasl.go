// Package sasl speaks the SASL mechanisms of mail (RFC 4422): PLAIN, LOGIN,
// SCRAM-SHA-1 and SCRAM-SHA-256 with and without channel binding, server and
// client side, as state machines that take and give octets.
//
// SMTP, submission, IMAP, POP3 and ManageSieve carry these octets in base64
// lines; this package has the strict decoders for them. It deliberately does
// not know sockets, accounts, where hashes lie, or what a failure is called in
// each protocol.
//
// A stranger learns nothing about which names exist: an unknown name goes
// through the same steps with the same words as a wrong password. PLAIN and
// LOGIN leave that to the Verifier (see passwd.Verifier.Dummy); a SCRAM
// exchange of an unknown name goes on with an invented salt, the same one
// each time, and fails only at the end.
package sasl

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"posthorn/internal/base/passwd"
)

// Mechanism is the registered name of a mechanism, in upper case.
type Mechanism string

// The mechanisms this package speaks.
const (
	Plain           Mechanism = "PLAIN"              // RFC 4616
	Login           Mechanism = "LOGIN"              // draft-murchison-sasl-login
	ScramSHA1       Mechanism = "SCRAM-SHA-1"        // RFC 5802
	ScramSHA1Plus   Mechanism = "SCRAM-SHA-1-PLUS"   // RFC 5802
	ScramSHA256     Mechanism = "SCRAM-SHA-256"      // RFC 7677
	ScramSHA256Plus Mechanism = "SCRAM-SHA-256-PLUS" // RFC 7677
)

var (
	// ErrMechanism says that the mechanism is not among those offered (504 5.5.4).
	ErrMechanism = errors.New("sasl: mechanism not offered")
	// ErrProtocol says that the peer's message breaks the mechanism's grammar
	// or comes out of turn (501 5.5.2).
	ErrProtocol = errors.New("sasl: malformed message")
	// ErrCredentials says that name and password are not right together
	// (535 5.7.8). A Verifier returns it, wrapped or not, for unknown names
	// too. It is the error of passwd.Verifier, so that one passes through.
	ErrCredentials = passwd.ErrMismatch
	// ErrBinding says that the exchange is not bound to this TLS connection,
	// or that somebody removed the -PLUS mechanisms from the list the client
	// saw (535 5.7.8; worth an operator's look).
	ErrBinding = errors.New("sasl: channel binding does not match")
	// ErrCancelled says that the client sent "*" (501 5.7.0).
	ErrCancelled = errors.New("sasl: cancelled by the client")
	// ErrServer says that a server could not prove it knows the password, or
	// ended an exchange early. The client must not go on with the connection.
	ErrServer = errors.New("sasl: server did not authenticate itself")
)

// What one message and its parts may measure in octets.
const (
	// MaxResponse bounds a decoded message: 12288 octets of base64 (RFC 4954 §4).
	MaxResponse = 9216

	maxName  = 1024
	maxNonce = 1024
	maxSalt  = 1024
)

// scramOf returns the hash of a SCRAM mechanism and whether it binds to the
// channel; "" for others.
func scramOf(m Mechanism) (h passwd.ScramHash, plus bool) {
	switch m {
	case ScramSHA1, ScramSHA1Plus:
		h = passwd.SHA1
	case ScramSHA256, ScramSHA256Plus:
		h = passwd.SHA256
	}
	return h, strings.HasSuffix(string(m), plusSuffix)
}

// plusSuffix marks the mechanisms with channel binding (RFC 5801 §4).
const plusSuffix = "-PLUS"

// Plaintext reports whether the mechanism shows the password to whoever reads
// the connection.
func (m Mechanism) Plaintext() bool { return m == Plain || m == Login }

// Offer is what decides the mechanisms of a listener at one moment.
type Offer struct {
	// TLS says that the connection is encrypted.
	TLS bool
	// PlaintextWithoutTLS lifts M-GEN-06 and offers PLAIN and LOGIN on
	// connections that are not encrypted.
	PlaintextWithoutTLS bool
	// Login offers LOGIN beside PLAIN, for old clients.
	Login bool
	// Scram says that accounts have SCRAM verifiers; directory accounts have none.
	Scram bool
	// SHA1 offers SCRAM-SHA-1 beside SCRAM-SHA-256.
	SHA1 bool
	// Binding says that channel binding data of this connection is at hand
	// (ChannelBinding.Available).
	Binding bool
}

// Mechanisms returns what is offered, the strongest first.
func Mechanisms(o Offer) []Mechanism {
	plaintext := o.TLS || o.PlaintextWithoutTLS
	bound := o.TLS && o.Binding
	var out []Mechanism
	for _, row := range []struct {
		m       Mechanism
		offered bool
	}{
		{ScramSHA256Plus, o.Scram && bound},
		{ScramSHA1Plus, o.Scram && o.SHA1 && bound},
		{ScramSHA256, o.Scram},
		{ScramSHA1, o.Scram && o.SHA1},
		{Plain, plaintext},
		{Login, plaintext && o.Login},
	} {
		if row.offered {
			out = append(out, row.m)
		}
	}
	return out
}

// Identity is who logged in.
type Identity struct {
	Mechanism Mechanism
	// Account is what the Verifier returned.
	Account string
	// Authcid is the name whose password was right, after passwd.Prepare.
	Authcid string
	// Authzid is the name the client wants to act as; "" means Authcid. The
	// caller decides whether it may, before it reports success.
	Authzid string
}

// Verifier knows credentials. Its methods may block under the context and are
// called at most once an exchange. Both return an error wrapping
// ErrCredentials if the name is unknown, may not log in, or has no such
// credentials; any other error is taken for a temporary failure and comes out
// of Next as it is.
type Verifier interface {
	// VerifyPassword returns the account whose password it is. It must take
	// as long for an unknown name as for a wrong password.
	VerifyPassword(ctx context.Context, name, password string) (account string, err error)
	// Scram returns the account of a name and its verifier.
	Scram(ctx context.Context, name string, h passwd.ScramHash) (account string, s passwd.Scram, err error)
}

// Server is the server's side of one exchange. Next takes the decoded response
// of the client; nil (not empty) means that the client sent no initial
// response with the command. While done is false the challenge goes to the
// client, empty or not, and its answer into Next; done means success, with
// nothing more to send. After an error the exchange is over. A failed SCRAM
// exchange sends no "e=" message: protocols say it in their own reply, in the
// same words for every cause.
type Server interface {
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
	// Identity is valid once Next has returned done.
	Identity() Identity
}

// Config is what a server needs for one exchange.
type Config struct {
	Verifier Verifier
	// Offered are the mechanisms the client was told on this connection. Others
	// are refused, and a client that says it saw no -PLUS although there was
	// one is refused as well (RFC 5802 §6).
	Offered []Mechanism
	// Binding is the channel binding data of the connection.
	Binding ChannelBinding
	// Secret keys the invented salts of unknown names. It outlives restarts
	// and is the same on all nodes (see passwd.UnknownScram); SCRAM does not
	// start without it. The name is put in lower case first; a Verifier that knows more spellings of one name
	// returns UnknownScram of its own canonical form instead of an error.
	Secret []byte

	nonce func() string // the server's part; for the examples of the RFCs
}

// NewServer starts an exchange, ErrMechanism if it is not among c.Offered. The
// name may be in any case.
func NewServer(name string, c Config) (Server, error) {
	m := Mechanism(strings.ToUpper(name))
	if !slices.Contains(c.Offered, m) {
		return nil, ErrMechanism
	}
	switch m {
	case Plain:
		return &plainServer{verifier: c.Verifier}, nil
	case Login:
		return &loginServer{verifier: c.Verifier}, nil
	case ScramSHA1, ScramSHA1Plus, ScramSHA256, ScramSHA256Plus:
		if len(c.Secret) == 0 {
			return nil, fmt.Errorf("sasl: %s needs a secret for unknown names", m)
		}
		return newScramServer(m, c), nil
	}
	return nil, ErrMechanism
}

// DecodeInitial decodes the initial response in an AUTH or AUTHENTICATE
// command: "=" stands for the empty one (RFC 4954 §4, RFC 5034 §4).
func DecodeInitial(s string) ([]byte, error) {
	if s == "=" {
		return []byte{}, nil
	}
	if s == "" {
		return nil, fmt.Errorf("%w: no initial response", ErrProtocol)
	}
	return decode(s)
}

// DecodeResponse decodes the client's line without its line end. "*" gives
// ErrCancelled; the empty line is the empty response.
func DecodeResponse(line string) ([]byte, error) {
	if line == "*" {
		return nil, ErrCancelled
	}
	return decode(line)
}

// EncodeInitial is the inverse of DecodeInitial.
func EncodeInitial(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return Encode(b)
}

// Encode writes a challenge or response in base64.
func Encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// decode is base64 without any freedom: alphabet, padding and unused bits are
// exact, line ends (which Go's decoder skips) and oversize are refused.
func decode(s string) ([]byte, error) {
	if len(s) > base64.StdEncoding.EncodedLen(MaxResponse) {
		return nil, fmt.Errorf("%w: %d octets", ErrProtocol, len(s))
	}
	if strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: line end in base64", ErrProtocol)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", ErrProtocol)
	}
	return b, nil
}

// checkName prepares a name and refuses what no name has: the wrong size, bad
// UTF-8 and control characters, which would also spoil logs.
func checkName(s string) (string, error) {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fmt.Errorf("%w: name", ErrProtocol)
	}
	return passwd.Prepare(s), nil
}

// checkAuthzid is checkName for an optional name.
func checkAuthzid(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return checkName(s)
}

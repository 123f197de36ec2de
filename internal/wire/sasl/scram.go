package sasl

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/base/passwd"
)

// scramServer is SCRAM (RFC 5802), with hash and channel binding as the
// mechanism's name says.
type scramServer struct {
	mechanism Mechanism
	hash      passwd.ScramHash
	plus      bool
	config    Config
	step      scramStep
	claimed   Identity // who the client says it is
	proved    Identity // the same once it has proved it

	first       clientFirst
	serverFirst string
	nonce       string
	known       bool // false: the verifier is an invented one
	verifier    passwd.Scram
}

type scramStep int

const (
	scramStart scramStep = iota
	scramAsked           // for the client's first message
	scramProof           // waits for the client's final message
	scramLast            // waits for the empty response to the server's final message
	scramOver
)

func newScramServer(m Mechanism, c Config) *scramServer {
	h, plus := scramOf(m)
	if c.nonce == nil {
		c.nonce = rand.Text // 130 bits in base32
	}
	return &scramServer{mechanism: m, hash: h, plus: plus, config: c}
}

// Next implements Server.
func (s *scramServer) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	step := s.step
	s.step = scramOver // unless a step below finds everything right
	switch step {
	case scramStart, scramAsked:
		if step == scramStart && response == nil {
			s.step = scramAsked
			return []byte{}, false, nil
		}
		challenge, err = s.start(ctx, response)
		return challenge, false, err
	case scramProof:
		challenge, err = s.prove(response)
		return challenge, false, err
	case scramLast:
		if len(response) != 0 {
			return nil, false, malformed("data after the end")
		}
		s.proved = s.claimed
		return nil, true, nil
	}
	return nil, false, malformed("exchange is over")
}

// Identity implements Server.
func (s *scramServer) Identity() Identity { return s.proved }

// start reads the client's first message and answers with salt and nonce,
// also for a name that does not exist.
func (s *scramServer) start(ctx context.Context, response []byte) ([]byte, error) {
	m, err := parseClientFirst(response)
	if err != nil {
		return nil, err
	}
	if err := s.checkBinding(m); err != nil {
		return nil, err
	}
	// Invented for every name, so that known ones take no shorter time.
	invented := passwd.UnknownScram(s.config.Secret, s.hash, strings.ToLower(m.name))
	account, verifier, err := s.config.Verifier.Scram(ctx, m.name, s.hash)
	switch {
	case errors.Is(err, ErrCredentials):
		verifier = invented
	case err != nil:
		return nil, err
	case verifier.Hash != s.hash || len(verifier.StoredKey) != s.hash.Size() || len(verifier.ServerKey) != s.hash.Size():
		return nil, fmt.Errorf("sasl: the verifier of %s is no %s", account, s.hash)
	default:
		s.known = true
	}
	s.verifier, s.first = verifier, m
	s.claimed = Identity{Mechanism: s.mechanism, Account: account, Authcid: m.name, Authzid: m.authzid}
	s.nonce = m.nonce + s.config.nonce()
	s.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, b64(verifier.Salt), verifier.Iterations)
	s.step = scramProof
	return []byte(s.serverFirst), nil
}

// checkBinding compares the client's flag with what was offered (RFC 5802 §6).
func (s *scramServer) checkBinding(m clientFirst) error {
	switch {
	case s.plus && m.flag != 'p':
		return fmt.Errorf("%w: -PLUS without channel binding", ErrBinding)
	case s.plus && s.config.Binding.data(m.binding) == nil:
		return fmt.Errorf("%w: no %s here", ErrBinding, m.binding)
	case !s.plus && m.flag == 'p':
		return fmt.Errorf("%w: channel binding without -PLUS", ErrBinding)
	case m.flag == 'y' && offersPlus(s.config.Offered):
		return fmt.Errorf("%w: the client was not shown -PLUS", ErrBinding)
	}
	return nil
}

func offersPlus(offered []Mechanism) bool {
	return slices.ContainsFunc(offered, func(m Mechanism) bool { return strings.HasSuffix(string(m), plusSuffix) })
}

// prove checks the client's proof and returns the server's.
func (s *scramServer) prove(response []byte) ([]byte, error) {
	m, err := parseClientFinal(response)
	if err != nil {
		return nil, err
	}
	if m.nonce != s.nonce {
		return nil, malformed("nonce of another exchange")
	}
	want := slices.Concat([]byte(s.first.gs2), s.config.Binding.data(s.first.binding))
	if subtle.ConstantTimeCompare(m.binding, want) != 1 {
		return nil, ErrBinding
	}
	authMessage := []byte(s.first.bare + "," + s.serverFirst + "," + m.without)
	signature := s.hash.HMAC(s.verifier.StoredKey, authMessage)
	if len(m.proof) != len(signature) {
		return nil, malformed("proof")
	}
	clientKey := make([]byte, len(signature))
	subtle.XORBytes(clientKey, signature, m.proof)
	if subtle.ConstantTimeCompare(s.hash.H(clientKey), s.verifier.StoredKey) != 1 || !s.known {
		return nil, ErrCredentials
	}
	s.step = scramLast
	return []byte("v=" + b64(s.hash.HMAC(s.verifier.ServerKey, authMessage))), nil
}

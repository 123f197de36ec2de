package sasl

import (
	"bytes"
	"context"
	"fmt"
)

// plainServer is PLAIN (RFC 4616).
type plainServer struct {
	verifier Verifier
	identity Identity
	asked    bool
	over     bool
}

// Next implements Server.
func (s *plainServer) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if s.over {
		return nil, false, fmt.Errorf("%w: exchange is over", ErrProtocol)
	}
	if response == nil && !s.asked {
		s.asked = true
		return []byte{}, false, nil
	}
	s.over = true
	authzid, authcid, password, err := parsePlain(response)
	if err != nil {
		return nil, false, err
	}
	s.identity, err = verify(ctx, s.verifier, Identity{Mechanism: Plain, Authcid: authcid, Authzid: authzid}, password)
	return nil, err == nil, err
}

// Identity implements Server.
func (s *plainServer) Identity() Identity { return s.identity }

// parsePlain reads authzid NUL authcid NUL password. Names must be UTF-8; a
// password may be any octets, since some were set in other character sets.
func parsePlain(b []byte) (authzid, authcid, password string, err error) {
	part := bytes.Split(b, []byte{0})
	if len(b) > MaxResponse || len(part) != 3 {
		return "", "", "", fmt.Errorf("%w: PLAIN has three parts", ErrProtocol)
	}
	if authzid, err = checkAuthzid(string(part[0])); err != nil {
		return "", "", "", err
	}
	if authcid, err = checkName(string(part[1])); err != nil {
		return "", "", "", err
	}
	return authzid, authcid, string(part[2]), nil
}

// verify asks the Verifier. An empty password never reaches it: directory
// servers take one for an anonymous login and say yes (RFC 4513 §5.1.2).
func verify(ctx context.Context, v Verifier, id Identity, password string) (Identity, error) {
	if password == "" {
		return Identity{}, ErrCredentials
	}
	account, err := v.VerifyPassword(ctx, id.Authcid, password)
	if err != nil {
		return Identity{}, err
	}
	id.Account = account
	return id, nil
}

// loginServer is LOGIN: two questions, two answers. An initial response is
// taken for the name, as widely done.
type loginServer struct {
	verifier Verifier
	identity Identity
	step     loginStep
	name     string
}

type loginStep int

const (
	loginStart loginStep = iota
	loginName
	loginPassword
	loginOver
)

// Next implements Server.
func (s *loginServer) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	switch {
	case s.step == loginStart && response == nil:
		s.step = loginName
		return []byte("Username:"), false, nil
	case s.step == loginStart || s.step == loginName:
		name, err := checkName(string(response))
		if err != nil {
			s.step = loginOver
			return nil, false, err
		}
		s.name, s.step = name, loginPassword
		return []byte("Password:"), false, nil
	case s.step == loginPassword:
		return s.finish(ctx, response)
	}
	return nil, false, fmt.Errorf("%w: exchange is over", ErrProtocol)
}

func (s *loginServer) finish(ctx context.Context, response []byte) ([]byte, bool, error) {
	s.step = loginOver
	if len(response) > MaxResponse || bytes.IndexByte(response, 0) >= 0 {
		return nil, false, fmt.Errorf("%w: password", ErrProtocol)
	}
	var err error
	s.identity, err = verify(ctx, s.verifier, Identity{Mechanism: Login, Authcid: s.name}, string(response))
	return nil, err == nil, err
}

// Identity implements Server.
func (s *loginServer) Identity() Identity { return s.identity }

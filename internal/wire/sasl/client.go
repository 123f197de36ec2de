package sasl

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/base/passwd"
)

// Client is the client's side of one exchange. Start gives the initial
// response, nil if the mechanism has none; Next answers a challenge. When the
// server reports success the caller asks Finish, which returns ErrServer if
// the server has not proved that it knows the password: then the connection
// must not be used.
type Client interface {
	Mechanism() Mechanism
	Start() (initial []byte, err error)
	Next(challenge []byte) (response []byte, err error)
	Finish() error
}

// Credentials are what a client logs in with.
type Credentials struct {
	Name     string
	Password string
	// Authzid is the name to act as; "" for Name. LOGIN has no place for it.
	Authzid string
}

// Choose returns the strongest mechanism of a server's list that this package
// speaks, ErrMechanism if there is none. PLAIN and LOGIN are taken only if
// plaintext is true, which is right inside verified TLS (M-DEL-02d).
func Choose(offered []string, b ChannelBinding, plaintext bool) (Mechanism, error) {
	for _, m := range Mechanisms(Offer{TLS: true, Login: true, Scram: true, SHA1: true, Binding: b.Available()}) {
		if m.Plaintext() && !plaintext {
			continue
		}
		if offers(offered, m) {
			return m, nil
		}
	}
	return "", ErrMechanism
}

func offers(offered []string, m Mechanism) bool {
	return slices.ContainsFunc(offered, func(s string) bool { return strings.EqualFold(s, string(m)) })
}

// NewClient starts an exchange. offered is the server's list: a SCRAM client
// that could bind to the channel but saw no -PLUS in it says so, and the
// server notices if somebody removed it (RFC 5802 §6). Errors: ErrMechanism
// for an unknown mechanism, ErrBinding for -PLUS without data to bind to,
// ErrCredentials for names or passwords that cannot be sent.
func NewClient(m Mechanism, c Credentials, offered []string, b ChannelBinding) (Client, error) {
	if c.Name == "" || len(c.Password) > MaxResponse/2 || len(c.Name)+len(c.Authzid) > maxName || strings.ContainsRune(c.Name+c.Authzid+c.Password, 0) {
		return nil, fmt.Errorf("%w: cannot be sent", ErrCredentials)
	}
	switch m {
	case Plain:
		return &plainClient{credentials: c}, nil
	case Login:
		return &loginClient{credentials: c}, nil
	case ScramSHA1, ScramSHA1Plus, ScramSHA256, ScramSHA256Plus:
		return newScramClient(m, c, offered, b)
	}
	return nil, ErrMechanism
}

func isPlus(name string) bool { return strings.HasSuffix(strings.ToUpper(name), plusSuffix) }

type plainClient struct{ credentials Credentials }

func (c *plainClient) Mechanism() Mechanism { return Plain }

func (c *plainClient) Start() ([]byte, error) {
	return []byte(c.credentials.Authzid + "\x00" + c.credentials.Name + "\x00" + c.credentials.Password), nil
}

func (c *plainClient) Next([]byte) ([]byte, error) {
	return nil, fmt.Errorf("%w: PLAIN has no challenge", ErrProtocol)
}

func (c *plainClient) Finish() error { return nil }

// loginClient answers by position: servers word the questions as they like.
type loginClient struct {
	credentials Credentials
	answered    int
}

func (c *loginClient) Mechanism() Mechanism { return Login }

func (c *loginClient) Start() ([]byte, error) { return nil, nil }

func (c *loginClient) Next([]byte) ([]byte, error) {
	c.answered++
	switch c.answered {
	case 1:
		return []byte(c.credentials.Name), nil
	case 2:
		return []byte(c.credentials.Password), nil
	}
	return nil, fmt.Errorf("%w: LOGIN has two questions", ErrProtocol)
}

func (c *loginClient) Finish() error { return nil }

type scramClient struct {
	mechanism   Mechanism
	hash        passwd.ScramHash
	credentials Credentials
	gs2         string
	binding     []byte
	nonce       string
	step        clientStep
	bare        string
	signature   []byte // what the server has to prove
}

type clientStep int

const (
	clientStart  clientStep = iota
	clientProved            // the proof is sent
	clientSure              // the server has proved itself
	clientFailed
)

func newScramClient(m Mechanism, c Credentials, offered []string, b ChannelBinding) (*scramClient, error) {
	h, plus := scramOf(m)
	s := &scramClient{mechanism: m, hash: h, credentials: c, nonce: rand.Text()}
	flag := "n"
	switch {
	case plus && !b.Available():
		return nil, fmt.Errorf("%w: nothing to bind to", ErrBinding)
	case plus:
		flag, s.binding = "p="+b.preferred(), b.data(b.preferred())
	case b.Available() && !slices.ContainsFunc(offered, isPlus):
		flag = "y"
	}
	authzid := ""
	if c.Authzid != "" {
		authzid = "a=" + escapeName(passwd.Prepare(c.Authzid))
	}
	s.gs2 = flag + "," + authzid + ","
	return s, nil
}

func (c *scramClient) Mechanism() Mechanism { return c.mechanism }

func (c *scramClient) Start() ([]byte, error) {
	c.bare = "n=" + escapeName(passwd.Prepare(c.credentials.Name)) + ",r=" + c.nonce
	return []byte(c.gs2 + c.bare), nil
}

func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	if c.bare == "" {
		return nil, malformed("challenge before the start")
	}
	step := c.step
	c.step = clientFailed // unless everything is right
	switch step {
	case clientStart:
		return c.prove(challenge)
	case clientProved:
		return c.believe(challenge)
	}
	return nil, malformed("challenge after the end")
}

// believe checks the server's proof.
func (c *scramClient) believe(challenge []byte) ([]byte, error) {
	signature, err := parseServerFinal(challenge)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(signature, c.signature) != 1 {
		return nil, ErrServer
	}
	c.step = clientSure
	return []byte{}, nil
}

// prove answers salt and nonce with the proof, and computes what the server
// will have to say.
func (c *scramClient) prove(challenge []byte) ([]byte, error) {
	m, err := parseServerFirst(challenge)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(m.nonce, c.nonce) || len(m.nonce) == len(c.nonce) {
		return nil, malformed("server's nonce")
	}
	salted, err := c.hash.SaltedPassword(c.credentials.Password, m.salt, m.iterations)
	if err != nil {
		return nil, err
	}
	without := "c=" + b64(slices.Concat([]byte(c.gs2), c.binding)) + ",r=" + m.nonce
	authMessage := []byte(c.bare + "," + string(challenge) + "," + without)
	clientKey := c.hash.HMAC(salted, []byte("Client Key"))
	proof := c.hash.HMAC(c.hash.H(clientKey), authMessage)
	subtle.XORBytes(proof, proof, clientKey)
	c.signature = c.hash.HMAC(c.hash.HMAC(salted, []byte("Server Key")), authMessage)
	c.step = clientProved
	return []byte(without + ",p=" + b64(proof)), nil
}

// Finish implements Client.
func (c *scramClient) Finish() error {
	if c.step != clientSure {
		return ErrServer
	}
	return nil
}

package imap

import "errors"

// ErrCancelled is returned by AuthResponse when the client gave the exchange
// up with "*" (RFC 3501 §6.2.2): answer BAD.
var ErrCancelled = errors.New("imap: authentication cancelled by the client")

// Login takes the arguments of LOGIN to the end of the command.
func (d *Decoder) Login() (user, password string, err error) {
	d.arg("a user name")
	user = d.AString("a user name")
	d.arg("a password")
	password = d.AString("a password")
	return user, password, d.End()
}

// Authenticate is the arguments of AUTHENTICATE. Initial is nil without an
// initial response and empty, not nil, for "=" (RFC 4959).
type Authenticate struct {
	Mechanism string
	Initial   []byte
}

// Authenticate takes the arguments of AUTHENTICATE to the end of the command.
func (d *Decoder) Authenticate() (Authenticate, error) {
	var a Authenticate
	d.arg("a mechanism")
	a.Mechanism = d.Keyword("a mechanism")
	if d.accept(' ') {
		a.Initial = d.base64("an initial response in base64")
	}
	return a, d.End()
}

// AuthResponse reads the client's answer to a challenge.
func (d *Decoder) AuthResponse() ([]byte, error) {
	line, err := d.Line()
	if err != nil {
		return nil, err
	}
	if line == "*" {
		return nil, ErrCancelled
	}
	b, ok := decodeBase64([]byte(line))
	if !ok {
		return nil, expected("base64")
	}
	return b, nil
}

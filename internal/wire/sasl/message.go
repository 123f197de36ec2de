package sasl

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"posthorn/internal/base/passwd"
)

// The four messages of SCRAM (RFC 5802 §7). Unknown extensions at the end are
// skipped, as the grammar asks; the mandatory extension "m=" is refused.

// clientFirst is the client's first message.
type clientFirst struct {
	gs2     string // the header with its commas, as sent
	flag    byte   // 'n', 'y' or 'p'
	binding string // the type after "p="
	authzid string
	name    string
	nonce   string
	bare    string // what AuthMessage takes
}

func parseClientFirst(b []byte) (clientFirst, error) {
	var m clientFirst
	if len(b) > MaxResponse {
		return m, malformed("too long")
	}
	text := string(b)
	part := strings.SplitN(text, ",", 3)
	if len(part) != 3 {
		return m, malformed("header")
	}
	m.bare = part[2]
	m.gs2 = text[:len(text)-len(m.bare)]
	switch kind, bound := strings.CutPrefix(part[0], "p="); {
	case bound && bindingName(kind):
		m.flag, m.binding = 'p', kind
	case part[0] == "n" || part[0] == "y":
		m.flag = part[0][0]
	default:
		return m, malformed("channel binding flag")
	}
	var err error
	if part[1] != "" {
		if m.authzid, err = attribute(part[1], "a="); err != nil {
			return m, err
		}
		if m.authzid, err = saslName(m.authzid); err != nil {
			return m, err
		}
	}
	return m, m.parseBare()
}

func (m *clientFirst) parseBare() error {
	field := strings.Split(m.bare, ",")
	if len(field) < 2 {
		return malformed("client-first-message-bare")
	}
	name, err := attribute(field[0], "n=")
	if err != nil {
		return err
	}
	if m.name, err = saslName(name); err != nil {
		return err
	}
	if m.nonce, err = nonce(field[1]); err != nil {
		return err
	}
	return extensions(field[2:])
}

// serverFirst is the server's first message.
type serverFirst struct {
	nonce      string
	salt       []byte
	iterations int
}

func parseServerFirst(b []byte) (serverFirst, error) {
	var m serverFirst
	if len(b) > MaxResponse {
		return m, malformed("too long")
	}
	field := strings.Split(string(b), ",")
	if len(field) < 3 {
		return m, malformed("server-first-message")
	}
	var err error
	if m.nonce, err = nonce(field[0]); err != nil {
		return m, err
	}
	if m.salt, err = octets(field[1], "s="); err != nil {
		return m, err
	}
	count, err := attribute(field[2], "i=")
	if err != nil {
		return m, err
	}
	n, err := strconv.ParseUint(count, 10, 32)
	if err != nil || len(m.salt) == 0 || len(m.salt) > maxSalt {
		return m, malformed("salt or iteration count")
	}
	if n < passwd.MinIterations || n > passwd.MaxIterations {
		return m, malformed("iteration count out of bounds")
	}
	m.iterations = int(n)
	return m, extensions(field[3:])
}

// clientFinal is the client's second message.
type clientFinal struct {
	binding []byte // header and channel binding data
	nonce   string
	proof   []byte
	without string // the message up to the proof, what AuthMessage takes
}

func parseClientFinal(b []byte) (clientFinal, error) {
	var m clientFinal
	if len(b) > MaxResponse {
		return m, malformed("too long")
	}
	text := string(b)
	end := strings.LastIndex(text, ",p=")
	if end < 0 {
		return m, malformed("no proof")
	}
	m.without = text[:end]
	var err error
	if m.proof, err = octets(text[end+1:], "p="); err != nil {
		return m, err
	}
	field := strings.Split(m.without, ",")
	if len(field) < 2 {
		return m, malformed("client-final-message")
	}
	if m.binding, err = octets(field[0], "c="); err != nil {
		return m, err
	}
	if m.nonce, err = nonce(field[1]); err != nil {
		return m, err
	}
	return m, extensions(field[2:])
}

// parseServerFinal returns the server's signature. A server that reports
// failure instead gives ErrCredentials, with its word in the text.
func parseServerFinal(b []byte) ([]byte, error) {
	if len(b) > MaxResponse {
		return nil, malformed("too long")
	}
	field := strings.Split(string(b), ",")
	if word, ok := strings.CutPrefix(field[0], "e="); ok {
		return nil, fmt.Errorf("%w: server says %.40q", ErrCredentials, word)
	}
	signature, err := octets(field[0], "v=")
	if err != nil {
		return nil, err
	}
	return signature, extensions(field[1:])
}

func malformed(what string) error { return fmt.Errorf("%w: SCRAM: %s", ErrProtocol, what) }

// attribute returns the non-empty value after a prefix such as "r=".
func attribute(s, prefix string) (string, error) {
	value, ok := strings.CutPrefix(s, prefix)
	if !ok || value == "" {
		return "", malformed("attribute " + prefix)
	}
	return value, nil
}

// octets returns a base64 value.
func octets(s, prefix string) ([]byte, error) {
	value, err := attribute(s, prefix)
	if err != nil {
		return nil, err
	}
	return decode(value)
}

// nonce is "r=" and printable ASCII without comma.
func nonce(s string) (string, error) {
	value, err := attribute(s, "r=")
	if err != nil {
		return "", err
	}
	if len(value) > maxNonce || strings.ContainsFunc(value, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return "", malformed("nonce")
	}
	return value, nil
}

// saslName undoes =2C and =3D, the only places where "=" may stand.
func saslName(s string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return checkName(b.String())
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", malformed("name")
		}
		s = after[2:]
	}
}

func escapeName(s string) string {
	return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s)
}

// extensions accepts attr-val pairs this package does not know.
func extensions(field []string) error {
	for _, f := range field {
		if len(f) < 3 || f[1] != '=' || !letter(f[0]) || f[0] == 'm' || strings.IndexByte(f, 0) >= 0 {
			return malformed("extension")
		}
	}
	return nil
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// bindingName is cb-name: letters, digits, "." and "-".
func bindingName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r >= 0x80 || !letter(byte(r)) && (r < '0' || r > '9') && r != '.' && r != '-'
	})
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

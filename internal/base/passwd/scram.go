package passwd

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// ScramHash names the hash function of a SCRAM verifier, in the words of the
// SASL mechanism registry.
type ScramHash string

// The two SCRAM hashes in use with mail.
const (
	SHA1   ScramHash = "SCRAM-SHA-1"   // RFC 5802
	SHA256 ScramHash = "SCRAM-SHA-256" // RFC 7677
)

const (
	// Iterations is the PBKDF2 count of new SCRAM verifiers: the most that
	// clients built on Cyrus SASL agree to compute.
	Iterations = 65_536
	// MaxIterations bounds what a stored verifier or a foreign server may
	// ask for: about a second of one core.
	MaxIterations = 2_000_000
	// MinIterations is the least a client may be asked for (RFC 7677 §4).
	MinIterations = 4096
)

// New returns the hash function, or nil for an unknown name.
func (h ScramHash) New() func() hash.Hash {
	switch h {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	}
	return nil
}

// Size is the length of keys and signatures in octets, 0 for an unknown name.
func (h ScramHash) Size() int {
	switch h {
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	}
	return 0
}

// HMAC is the HMAC of RFC 5802 §2.2. The hash must be a known one.
func (h ScramHash) HMAC(key, text []byte) []byte {
	m := hmac.New(h.New(), key)
	m.Write(text)
	return m.Sum(nil)
}

// H is the H of RFC 5802 §2.2. The hash must be a known one.
func (h ScramHash) H(text []byte) []byte {
	m := h.New()()
	m.Write(text)
	return m.Sum(nil)
}

// SaltedPassword is Hi(Normalize(password), salt, i) of RFC 5802 §3. It costs
// iterations times two hashes of processor time.
func (h ScramHash) SaltedPassword(password string, salt []byte, iterations int) ([]byte, error) {
	if h.Size() == 0 || iterations < 1 || iterations > MaxIterations {
		return nil, fmt.Errorf("passwd: %s with %d iterations is not possible", h, iterations)
	}
	key, err := pbkdf2.Key(h.New(), Prepare(password), salt, iterations, h.Size())
	if err != nil {
		return nil, fmt.Errorf("passwd: %s: %w", h, err)
	}
	return key, nil
}

// Scram is what a server keeps for one user and hash (RFC 5802 §3). It lets
// nobody log in by itself, but a guess at the password can be tried on it
// with Iterations hashes, which is cheaper than argon2id: treat it as a secret.
type Scram struct {
	Hash       ScramHash
	Iterations int
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
}

// DeriveScram computes the verifier of a password.
func DeriveScram(h ScramHash, password string, salt []byte, iterations int) (Scram, error) {
	salted, err := h.SaltedPassword(password, salt, iterations)
	if err != nil {
		return Scram{}, err
	}
	return Scram{
		Hash: h, Iterations: iterations, Salt: salt,
		StoredKey: h.H(h.HMAC(salted, []byte("Client Key"))),
		ServerKey: h.HMAC(salted, []byte("Server Key")),
	}, nil
}

// UnknownScram invents the verifier of a name that has none. Its salt is a
// keyed hash of the name, so a stranger who asks twice gets the same salt, as
// for a real name, and no password fits it. The secret must outlive restarts
// and be the same on all nodes: a salt that changes betrays the invention.
func UnknownScram(secret []byte, h ScramHash, name string) Scram {
	label := func(what string) []byte { return []byte(what + "\x00" + string(h) + "\x00" + name) }
	salt := SHA256.HMAC(secret, label("salt"))
	return Scram{
		Hash: h, Iterations: Iterations, Salt: salt[:saltLength],
		StoredKey: h.HMAC(secret, label("stored key")),
		ServerKey: h.HMAC(secret, label("server key")),
	}
}

func newScram(h ScramHash, password string) (Scram, error) {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	return DeriveScram(h, password, salt, Iterations)
}

// String returns the text for storing, the one of RFC 5803 §2:
// SCRAM-SHA-256$65536:salt$StoredKey:ServerKey.
func (s Scram) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", s.Hash, s.Iterations, b64(s.Salt), b64(s.StoredKey), b64(s.ServerKey))
}

// ParseScram reads what String wrote. Every error wraps ErrSyntax and never
// shows the text.
func ParseScram(text string) (Scram, error) {
	bad := fmt.Errorf("%w: not a SCRAM verifier", ErrSyntax)
	field := strings.Split(text, "$")
	if len(text) > maxText || len(field) != 3 {
		return Scram{}, bad
	}
	s := Scram{Hash: ScramHash(field[0])}
	iterations, salt, ok1 := strings.Cut(field[1], ":")
	stored, server, ok2 := strings.Cut(field[2], ":")
	n, err := strconv.ParseUint(iterations, 10, 32)
	if !ok1 || !ok2 || s.Hash.Size() == 0 || err != nil || n < 1 || n > MaxIterations {
		return Scram{}, bad
	}
	s.Iterations = int(n)
	for _, f := range []struct {
		text string
		to   *[]byte
	}{{salt, &s.Salt}, {stored, &s.StoredKey}, {server, &s.ServerKey}} {
		if strings.ContainsAny(f.text, "\r\n") {
			return Scram{}, bad
		}
		if *f.to, err = base64.StdEncoding.Strict().DecodeString(f.text); err != nil {
			return Scram{}, bad
		}
	}
	if len(s.Salt) == 0 || len(s.StoredKey) != s.Hash.Size() || len(s.ServerKey) != s.Hash.Size() {
		return Scram{}, bad
	}
	return s, nil
}

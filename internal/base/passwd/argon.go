// Package passwd keeps passwords: argon2id hashes for verification, SCRAM
// verifiers beside them, and a Verifier that keeps the cost of both from
// becoming a way to stop the server.
//
// It stands below every login: SMTP submission, IMAP, POP3, the console and
// the API verify here. It deliberately does not know accounts, names or where
// hashes are stored: texts come in, texts go out.
package passwd

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

var (
	// ErrMismatch says that the password is not the one of the hash.
	ErrMismatch = errors.New("wrong name or password")
	// ErrSyntax says that a stored text is not one this package reads.
	ErrSyntax = errors.New("passwd: unreadable hash")
	// ErrTooLong refuses a new password of more than MaxPassword octets.
	ErrTooLong = errors.New("passwd: password too long")
)

// MaxPassword is the longest password in octets; a longer one is always wrong.
const MaxPassword = 1024

// Params is the cost of an argon2id computation.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8
}

// Recommended is what new hashes cost: 19 MiB, two passes, one thread.
// The design states the numbers; OWASP recommends the same.
func Recommended() Params { return Params{Memory: 19 * 1024, Time: 2, Threads: 1} }

// What a stored hash may ask for at most, so that an imported one cannot
// stop the server, and what it must have at least to be a hash at all.
const (
	maxMemory  = 256 * 1024 // KiB
	maxTime    = 32
	maxThreads = 16
	maxText    = 512

	saltLength = 16
	hashLength = 32
)

// Hash is one argon2id hash (RFC 9106), version 19.
type Hash struct {
	Params Params
	Salt   []byte // 8 to 64 octets
	Sum    []byte // 16 to 64 octets
}

// encoding is the one of PHC strings: standard alphabet without padding.
var encoding = base64.RawStdEncoding.Strict()

// String returns the PHC string: $argon2id$v=19$m=19456,t=2,p=1$salt$sum.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Params.Memory, h.Params.Time, h.Params.Threads,
		encoding.EncodeToString(h.Salt), encoding.EncodeToString(h.Sum))
}

// ParseHash reads a PHC string of argon2id. Costs beyond 256 MiB, 32 passes or
// 16 threads are refused. Every error wraps ErrSyntax and never shows the text.
func ParseHash(text string) (Hash, error) {
	if len(text) > maxText {
		return Hash{}, fmt.Errorf("%w: %d octets long", ErrSyntax, len(text))
	}
	field := strings.Split(text, "$")
	if len(field) != 6 || field[0] != "" {
		return Hash{}, fmt.Errorf("%w: not a PHC string", ErrSyntax)
	}
	if field[1] != "argon2id" || field[2] != "v=19" {
		return Hash{}, fmt.Errorf("%w: not argon2id of version 19", ErrSyntax)
	}
	p, err := parseParams(field[3])
	if err != nil {
		return Hash{}, err
	}
	salt, err1 := decode(field[4])
	sum, err2 := decode(field[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(sum) < 16 || len(sum) > 64 {
		return Hash{}, fmt.Errorf("%w: salt or sum", ErrSyntax)
	}
	return Hash{Params: p, Salt: salt, Sum: sum}, nil
}

func parseParams(s string) (Params, error) {
	bad := fmt.Errorf("%w: parameters", ErrSyntax)
	field := strings.Split(s, ",")
	if len(field) != 3 {
		return Params{}, bad
	}
	m, ok1 := number(field[0], "m=", maxMemory)
	t, ok2 := number(field[1], "t=", maxTime)
	p, ok3 := number(field[2], "p=", maxThreads)
	if !ok1 || !ok2 || !ok3 || m < 8*p {
		return Params{}, bad
	}
	return Params{Memory: m, Time: t, Threads: uint8(p)}, nil
}

// number reads a decimal from 1 to limit without sign or leading zero, the
// only spelling a PHC string knows.
func number(s, prefix string, limit uint32) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil && n <= uint64(limit)
}

// decode is strict base64: Go's decoder skips line ends, which are no part of a stored text.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, ErrSyntax
	}
	return encoding.DecodeString(s)
}

// newHash costs one computation; the Verifier's gate stands before it.
func newHash(password string, p Params) Hash {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	return Hash{Params: p, Salt: salt, Sum: compute(password, p, salt, hashLength)}
}

// matches costs one computation and compares in constant time.
func (h Hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(compute(password, h.Params, h.Salt, len(h.Sum)), h.Sum) == 1
}

// compute allocates Params.Memory anew each time: x/crypto/argon2 has no way
// to hand memory in. The gate bounds how much of it is alive at once.
func compute(password string, p Params, salt []byte, length int) []byte {
	return argon2.IDKey([]byte(Prepare(password)), salt, p.Time, p.Memory, p.Threads, uint32(length))
}

// Package seal keeps secrets at rest: relay passwords, DKIM keys, TOTP seeds.
// A Box holds the key of one file of 32 octets that lies outside the database
// and its backup, so that neither alone gives a secret away
// (reliability.md row 37).
//
// It does not know what the secrets are for nor where the texts are stored.
package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// prefix starts every sealed text.
const prefix = "sealed:v1:"

// MaxPlain is the longest secret in octets.
const MaxPlain = 1 << 20

// idSize is the length of the key's mark in a sealed text; it tells a secret
// of another key from a damaged one.
const idSize = 4

var (
	// ErrKey says that the text was sealed with another key.
	ErrKey = errors.New("sealed with another key")
	// ErrDamaged says that the text is damaged or was sealed under another name.
	ErrDamaged = errors.New("sealed text is damaged or belongs to another name")
	// ErrSyntax says that the text is not a sealed one.
	ErrSyntax = errors.New("not a sealed text")
)

// Box seals and opens with one key. It may be used by many goroutines.
type Box struct {
	aead cipher.AEAD
	id   [idSize]byte
	path string // for error texts
	root []byte // what Derive starts from
}

// newBox takes a key of 32 octets.
func newBox(key []byte, path string) (*Box, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	sum := sha256.Sum256(append([]byte("posthorn key file mark\x00"), key...))
	return &Box{aead: aead, id: [idSize]byte(sum[:idSize]), path: path, root: bytes.Clone(key)}, nil
}

// Seal returns the text to store. name is what the secret belongs to (a
// setting, an account); Open wants the same, so that a text moved to another
// place does not open. The text is one line of printable ASCII.
func (b *Box) Seal(name string, plain []byte) (string, error) {
	if len(plain) > MaxPlain {
		return "", fmt.Errorf("seal %s: secret of %d octets, at most %d", name, len(plain), MaxPlain)
	}
	out := make([]byte, idSize+chacha20poly1305.NonceSizeX, idSize+chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	copy(out, b.id[:])
	nonce := out[idSize:]
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	out = b.aead.Seal(out, nonce, plain, []byte(name))
	return prefix + base64.RawStdEncoding.EncodeToString(out), nil
}

// Open returns the secret. Errors wrap ErrSyntax, ErrKey or ErrDamaged and
// name the key file and the remedy; none shows the text.
func (b *Box) Open(name, text string) ([]byte, error) {
	body, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, fmt.Errorf("open secret %s: %w; enter it again", name, ErrSyntax)
	}
	if len(body) > base64.RawStdEncoding.EncodedLen(MaxPlain+100) {
		return nil, fmt.Errorf("open secret %s: %w: too long; enter it again", name, ErrSyntax)
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(body)
	if err != nil || strings.ContainsAny(body, "\r\n") || len(raw) < idSize+chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead {
		return nil, fmt.Errorf("open secret %s: %w; enter it again", name, ErrDamaged)
	}
	if [idSize]byte(raw) != b.id {
		return nil, fmt.Errorf("open secret %s: %w than the one in %s; put the right key file back or enter the secret again", name, ErrKey, b.path)
	}
	nonce := raw[idSize : idSize+chacha20poly1305.NonceSizeX]
	plain, err := b.aead.Open(nil, nonce, raw[idSize+chacha20poly1305.NonceSizeX:], []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open secret %s with the key of %s: %w; enter it again", name, b.path, ErrDamaged)
	}
	return plain, nil
}

// IsSealed reports whether a text looks like one of Seal.
func IsSealed(text string) bool { return strings.HasPrefix(text, prefix) }

// Derive returns 32 octets for one purpose, always the same for the same key
// file (HKDF, RFC 5869), so that nodes which share the file agree.
func (b *Box) Derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, b.root, nil, "posthorn "+purpose, 32)
}

// Mark is a number of the key file, never 0 and not negative, that tells
// nothing of the key: what is sealed can be stored with it, to know another key
// when it comes.
func (b *Box) Mark() (int64, error) {
	sum, err := b.Derive("key mark")
	if err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(sum)>>1 | 1), nil
}

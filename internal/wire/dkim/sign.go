package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What signing can fail with.
var (
	// ErrKey: the key is neither RSA of MinRSABits nor Ed25519.
	ErrKey = errors.New("not a key that can sign mail")
	// ErrUnsignable: the message has no From field or more than one, a
	// malformed header section, or no hash in the signer's form.
	ErrUnsignable = errors.New("message cannot be signed")
	// ErrName: domain or selector are no names.
	ErrName = errors.New("not a name to sign with")
)

// Signer writes signatures with one key.
type Signer struct {
	Domain, Selector string
	// Key is an *rsa.PrivateKey or an ed25519.PrivateKey, or signs like one.
	Key crypto.Signer
	// Header and Body are the canonical forms. Relaxed survives more of what
	// happens to mail on its way.
	Header, Body Canon
	// Lifetime, if not 0, sets x=.
	Lifetime time.Duration
	// Fields are signed wherever they occur; nil means those that RFC 6376
	// §5.4.1 recommends.
	Fields []string
	// Sealed are signed as often as they occur and once more, so that nobody
	// can add another; nil means those that a message has once at most.
	// From is always one of them.
	Sealed []string
}

// The fields signed by default.
var (
	defaultSealed = []string{"From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
	defaultFields = []string{"Sender", "Reply-To", "In-Reply-To", "References", "Content-ID", "Content-Description",
		"Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID",
		"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"}
)

// Sign ends the message and returns its DKIM-Signature field with CRLF. The
// message must have been made by NewMessage(s.Body).
func (s *Signer) Sign(m *Message, now time.Time) ([]byte, error) {
	return s.SignAs(m, "DKIM-Signature", Tags{{"v", "1"}}, now)
}

// SignAs is Sign for a field of another name, whose list begins with lead.
func (s *Signer) SignAs(m *Message, field string, lead Tags, now time.Time) ([]byte, error) {
	m.end()
	sum, _, ok := m.bodyHash(s.Body, whole)
	if !ok || m.wrong != "" || len(m.index.of("from")) != 1 {
		return nil, ErrUnsignable
	}
	claim, err := s.Claim()
	if err != nil {
		return nil, err
	}
	names := s.names(m)
	tags := append(append(Tags{}, lead...), claim...)
	tags = append(tags, Tag{"c", s.Header.String() + "/" + s.Body.String()}, Tag{"t", strconv.FormatInt(now.Unix(), 10)})
	if s.Lifetime > 0 {
		tags = append(tags, Tag{"x", strconv.FormatInt(now.Add(s.Lifetime).Unix(), 10)})
	}
	tags = append(tags, Tag{"h", strings.Join(names, ":")}, Tag{"bh", base64.StdEncoding.EncodeToString(sum[:])})
	text := Unsigned(field, tags)
	return s.Complete(text, m.headerHash(s.Header, lower(names), text))
}

// Claim returns the tags a=, d= and s=.
func (s *Signer) Claim() (Tags, error) {
	domain, okD := hostName(s.Domain)
	selector, okS := hostName(s.Selector)
	if !okD || !okS {
		return nil, ErrName
	}
	kind := ""
	switch public := s.Key.Public().(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() >= MinRSABits {
			kind = "rsa-sha256"
		}
	case ed25519.PublicKey:
		kind = "ed25519-sha256"
	}
	if kind == "" {
		return nil, ErrKey
	}
	return Tags{{"a", kind}, {"d", domain}, {"s", selector}}, nil
}

// Complete signs the digest of a field that Unsigned wrote and returns the
// field, ending in CRLF.
func (s *Signer) Complete(text []byte, digest [sha256.Size]byte) ([]byte, error) {
	var opts crypto.SignerOpts = crypto.SHA256
	if _, ok := s.Key.Public().(ed25519.PublicKey); ok {
		opts = crypto.Hash(0) // RFC 8463 §3: PureEdDSA over the hash
	}
	value, err := s.Key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		return nil, fmt.Errorf("dkim: sign for %s: %w", s.Domain, err)
	}
	f := folder{text: text, column: len(text) - strings.LastIndexByte(string(text), '\n') - 1}
	f.breakable(base64.StdEncoding.EncodeToString(value))
	return append(f.text, crlf...), nil
}

// SignedFields returns a copy of Fields, or those that nil means.
func (s *Signer) SignedFields() []string {
	if s.Fields == nil {
		return slices.Clone(defaultFields)
	}
	return slices.Clone(s.Fields)
}

// names returns h=.
func (s *Signer) names(m *Message) []string {
	sealed, fields := s.Sealed, s.SignedFields()
	if sealed == nil {
		sealed = defaultSealed
	}
	if !has(sealed, "from") {
		sealed = append([]string{"From"}, sealed...)
	}
	var names []string
	for _, name := range sealed {
		for range len(m.index.of(strings.ToLower(name))) + 1 {
			names = append(names, name)
		}
	}
	for _, name := range fields {
		for range m.index.of(strings.ToLower(name)) {
			names = append(names, name)
		}
	}
	return names
}

func lower(words []string) []string {
	low := make([]string, len(words))
	for i, w := range words {
		low[i] = strings.ToLower(w)
	}
	return low
}

// Unsigned writes a field of tags, folded, that ends in an empty b=.
func Unsigned(field string, tags Tags) []byte {
	f := folder{}
	f.add(field + ":")
	for _, tag := range tags {
		switch tag.Name {
		case "h":
			f.word("h=")
			for name := range strings.SplitAfterSeq(tag.Value+";", ":") {
				f.piece(name)
			}
		default:
			f.word(tag.Name + "=" + tag.Value + ";")
		}
	}
	f.word("b=")
	return f.text
}

// folder writes a field in lines of at most 78 columns where it can.
type folder struct {
	text   []byte
	column int
}

const columns = 76

func (f *folder) add(s string) {
	f.text = append(f.text, s...)
	f.column += len(s)
}

func (f *folder) fold() {
	f.text = append(f.text, "\r\n\t"...)
	f.column = 1
}

// word appends a tag after a space or a line end.
func (f *folder) word(s string) {
	if f.column+1+len(s) > columns {
		f.fold()
	} else {
		f.add(" ")
	}
	f.add(s)
}

// piece appends what may begin a line but needs no space.
func (f *folder) piece(s string) {
	if f.column+len(s) > columns {
		f.fold()
	}
	f.add(s)
}

// breakable appends base64, which may be folded anywhere.
func (f *folder) breakable(s string) {
	for len(s) > 0 {
		if f.column >= columns {
			f.fold()
		}
		n := min(len(s), columns-f.column)
		f.add(s[:n])
		s = s[n:]
	}
}

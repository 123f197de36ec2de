package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"strconv"
	"strings"
)

const (
	// MinRSABits is the least size of an RSA key whose signatures count (RFC 8301
	// §3.2).
	MinRSABits = 1024
	// maxRSABits bounds the work a stranger's key can cause.
	maxRSABits = 8192
)

// key is a key record (RFC 6376 §3.6.1). g= of RFC 4871 is gone and overlooked.
type key struct {
	public  crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey
	kind    string           // k=, "rsa" or "ed25519"
	bits    int
	testing bool // t=y
	strict  bool // t=s: no identities below the domain
}

// parseKey reads a key record. All its faults are permanent.
func parseKey(text string) (*key, *fault) {
	tags, err := ParseTags(text)
	if err != nil {
		return nil, permanent("the key record " + err.Error())
	}
	if v, ok := tags.Get("v"); ok && (v != "DKIM1" || tags[0].Name != "v") {
		return nil, permanent("the key record is not of version DKIM1")
	}
	k := &key{kind: "rsa"}
	if kind, ok := tags.Get("k"); ok {
		k.kind = strings.ToLower(kind)
	}
	if t, ok := tags.Get("t"); ok {
		flags := list(t)
		k.testing, k.strict = has(flags, "y"), has(flags, "s")
	}
	p, ok := tags.Get("p")
	if !ok {
		return k, permanent("the key record holds no key (p=)")
	}
	if squeeze(p) == "" {
		return k, permanent("the key has been revoked")
	}
	if h, ok := tags.Get("h"); ok && !has(list(h), "sha256") {
		return k, permanent("the key is not for SHA-256 (h=)")
	}
	if s, ok := tags.Get("s"); ok && !has(list(s), "*") && !has(list(s), "email") {
		return k, permanent("the key is not for mail (s=)")
	}
	data, err := decode(p)
	if err != nil {
		return k, permanent("the key (p=) is not base64")
	}
	return k, k.read(data)
}

// read takes the public key out of p=.
func (k *key) read(data []byte) *fault {
	switch k.kind {
	case "rsa":
		public, err := parseRSA(data)
		if err != nil {
			return permanent("the key (p=) is no RSA key")
		}
		k.public, k.bits = public, public.N.BitLen()
		if k.bits > maxRSABits {
			return permanent("the key is over " + strconv.Itoa(maxRSABits) + " bits")
		}
	case "ed25519":
		if len(data) != ed25519.PublicKeySize { // RFC 8463 §4
			return permanent("the key (p=) is no Ed25519 key")
		}
		k.public, k.bits = ed25519.PublicKey(data), 8*ed25519.PublicKeySize
	default:
		return permanent("unknown kind of key (k=) " + printable(k.kind))
	}
	return nil
}

// parseRSA reads both forms that are in use: SubjectPublicKeyInfo and, by the
// letter of RFC 6376, RSAPublicKey (erratum 3017).
func parseRSA(data []byte) (*rsa.PublicKey, error) {
	if public, err := x509.ParsePKIXPublicKey(data); err == nil {
		if k, ok := public.(*rsa.PublicKey); ok {
			return k, nil
		}
	}
	return x509.ParsePKCS1PublicKey(data)
}

// check sees whether the key made the signature.
func (k *key) check(c Claim, digest [sha256.Size]byte) *fault {
	kind, _, _ := strings.Cut(c.Algorithm, "-")
	if kind != k.kind {
		return permanent("the key is of another kind (k=) than the signature (a=)")
	}
	right := false
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		right = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], c.Value) == nil
	case ed25519.PublicKey:
		right = ed25519.Verify(public, digest[:], c.Value)
	}
	if !right {
		return failed("the signature is not right: a signed header field was changed, or the key is another")
	}
	return nil
}

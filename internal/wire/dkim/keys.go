package dkim

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"

	"posthorn/internal/base/dns"
)

// Resolver looks up key records. Errors are those of base/dns: what does not
// match dns.ErrNotFound is temporary. dns.Net is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

const (
	// maxKeys bounds the look-ups for one message.
	maxKeys = 100
	// atOnce bounds those under way together.
	atOnce = 10
)

// Keys gets public keys from DNS, each once. It is for one message; several
// goroutines may use it.
type Keys struct {
	resolver Resolver
	minBits  int
	records  *Records
	mu       sync.Mutex
	known    map[string]*lookup
}

type lookup struct {
	once  sync.Once
	key   *key // what could be read, even of a faulty record
	fault *fault
}

// NewKeys returns Keys without any. RSA keys below minRSABits, and below
// MinRSABits in any case, make no signature pass.
func NewKeys(r Resolver, minRSABits int) *Keys {
	return new(Records).Keys(r, minRSABits)
}

// Fetch looks up the keys of all claims at the same time, so that verifying
// them does not wait for one after the other. A resolver that panics leaves its
// key unknown for now.
func (k *Keys) Fetch(ctx context.Context, claims []Claim) {
	var wait sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for _, c := range claims {
		turn <- struct{}{}
		wait.Go(func() {
			defer func() {
				_ = recover()
				<-turn
			}()
			k.get(ctx, c)
		})
	}
	wait.Wait()
}

func (k *Keys) get(ctx context.Context, c Claim) (*key, *fault) {
	name := c.Selector + "._domainkey." + c.Domain
	k.mu.Lock()
	l := k.known[name]
	if l == nil && len(k.known) < maxKeys {
		l = &lookup{}
		k.known[name] = l
	}
	k.mu.Unlock()
	if l == nil {
		return nil, neutral("the message needs too many keys")
	}
	l.once.Do(func() {
		l.fault = temporary("the key " + name + " could not be looked up") // holds when the resolver panics
		l.key, l.fault = k.lookUp(ctx, name)
	})
	return l.key, l.fault
}

// lookUp asks DNS. Several records are an error only if more than one could be
// a key (RFC 6376 §3.6.2.2).
func (k *Keys) lookUp(ctx context.Context, name string) (*key, *fault) {
	records, err := k.resolver.LookupTXT(ctx, name)
	switch {
	case errors.Is(err, dns.ErrNotFound):
		return nil, permanent("there is no key " + name)
	case err != nil:
		return nil, temporary("the key " + name + " could not be looked up: " + printable(err.Error()))
	}
	var found []string
	for _, text := range records {
		if len(records) == 1 || holdsKey(text) {
			found = append(found, text)
		}
	}
	switch len(found) {
	case 0:
		return nil, permanent("there is no key " + name)
	case 1:
		return k.accept(found[0])
	}
	return nil, permanent("there are several keys " + name)
}

func holdsKey(text string) bool {
	tags, err := ParseTags(text)
	_, ok := tags.Get("p")
	return err == nil && ok
}

// accept reads a key record and refuses weak keys.
func (k *Keys) accept(text string) (*key, *fault) {
	got, f := k.records.parse(text)
	if f != nil {
		return got, f
	}
	if _, ok := got.public.(*rsa.PublicKey); ok && got.bits < k.minBits {
		return got, permanent("the key has only " + strconv.Itoa(got.bits) + " bits; " + strconv.Itoa(k.minBits) + " are needed")
	}
	return got, nil
}

// Verify sees whether the key of the claim made its signature over the digest.
func (k *Keys) Verify(ctx context.Context, c Claim, digest [sha256.Size]byte) Result {
	r := Result{Status: Pass, Domain: c.Domain, Selector: c.Selector, Algorithm: c.Algorithm, Mark: c.Mark}
	key, f := k.get(ctx, c)
	if key != nil {
		r.Bits, r.Testing = key.bits, key.testing
	}
	if f == nil {
		f = key.check(c, digest)
	}
	if f != nil {
		return r.blame(f)
	}
	return r
}

// strict reports that the key signs for no identity below its domain.
func (k *Keys) strict(ctx context.Context, c Claim) bool {
	key, _ := k.get(ctx, c)
	return key != nil && key.strict
}

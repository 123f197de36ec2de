package spf

import (
	"context"
	"errors"
	"net"
	"strings"
)

// Bounds of a name in text form (RFC 1035 §2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// memo remembers what the resolver said during one check, so that the record
// can be walked through again without a look-up. The limits of RFC 7208 §4.6.4
// bound it.
type memo struct {
	r       Resolver
	txt     map[string]answer[string]
	mx      map[string]answer[*net.MX]
	ip      map[string]answer[net.IPAddr]
	ptr     map[string]answer[string]
	records map[string]*record
	// broken is the first error found in a record.
	broken error
}

type answer[T any] struct {
	list []T
	err  error
}

func newMemo(r Resolver) *memo {
	return &memo{r: r, txt: map[string]answer[string]{}, mx: map[string]answer[*net.MX]{}, ip: map[string]answer[net.IPAddr]{},
		ptr: map[string]answer[string]{}, records: map[string]*record{}}
}

// unreadable is evaluated in the place of a record with an error. The library
// would find errors only up to the term that matches, but RFC 7208 §4.6 wants
// those behind it found as well.
const unreadable = "v=spf1 unreadable"

// LookupTXT returns the one SPF record of the name; several are left for the
// library to complain about.
func (m *memo) LookupTXT(ctx context.Context, name string) ([]string, error) {
	key, ok := lookupName(name)
	if a, known := m.txt[key]; known || !ok {
		return a.list, found(ok, a.err)
	}
	list, err := m.r.LookupTXT(ctx, key)
	var own []string
	for _, text := range list {
		if isRecord(text) {
			own = append(own, text)
		}
	}
	a := answer[string]{own, plain(ctx, err)}
	if len(own) == 1 && a.err == nil {
		rec, err := parseRecord(own[0])
		rec.domain = key
		if err != nil {
			own[0] = unreadable
			if m.broken == nil {
				m.broken = err
			}
		}
		m.records[key] = rec
	}
	m.txt[key] = a
	return a.list, a.err
}

// LookupMX implements spf.DNSResolver.
func (m *memo) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return remembered(ctx, m.mx, name, m.r.LookupMX)
}

// LookupIPAddr implements spf.DNSResolver.
func (m *memo) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return remembered(ctx, m.ip, host, m.r.LookupIPAddr)
}

// LookupAddr implements spf.DNSResolver.
func (m *memo) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	a, known := m.ptr[addr]
	if !known {
		a.list, a.err = m.r.LookupAddr(ctx, addr)
		a.err = plain(ctx, a.err)
		m.ptr[addr] = a
	}
	return a.list, a.err
}

func remembered[T any](ctx context.Context, known map[string]answer[T], name string, look func(context.Context, string) ([]T, error)) ([]T, error) {
	key, ok := lookupName(name)
	if !ok || net.ParseIP(key) != nil { // a resolver may take an address for its own answer
		return nil, found(false, nil)
	}
	a, ok := known[key]
	if !ok {
		a.list, a.err = look(ctx, key)
		a.err = plain(ctx, a.err)
		known[key] = a
	}
	return a.list, a.err
}

// found is err, or the absence of a name that cannot exist.
func found(ok bool, err error) error {
	if !ok {
		return &net.DNSError{Err: "no name", IsNotFound: true}
	}
	return err
}

// plain makes every error one the library can tell: absence or temporary
// failure. It recognises no wrapped errors and takes others for permanent.
func plain(ctx context.Context, err error) error {
	var dns *net.DNSError
	switch {
	case err == nil && ctx.Err() == nil:
		return nil
	case err == nil:
		err = ctx.Err()
	case errors.As(err, &dns) && dns.IsNotFound:
		return dns
	}
	return &net.DNSError{Err: err.Error(), IsTemporary: true, UnwrapErr: err}
}

// lookupName returns the form a name is asked for in; ok is false for what no
// name can be. Names that macros made too long lose labels at the left
// (RFC 7208 §7.3).
func lookupName(name string) (key string, ok bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for len(name) > maxName {
		_, rest, cut := strings.Cut(name, ".")
		if !cut {
			return "", false
		}
		name = rest
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return "", false
		}
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] >= 0x7f {
			return "", false // RFC 8616 §4: a local part in UTF-8 matches nothing
		}
	}
	return name, true
}

// isRecord tells SPF records from other TXT records (RFC 7208 §4.5).
func isRecord(text string) bool {
	const version = "v=spf1"
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

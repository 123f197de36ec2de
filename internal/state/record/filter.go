package record

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"posthorn/internal/base/ident"
)

// A key is the hash of one thing records are searched by, with the letter of
// what it is: an id, a sender, a recipient or their domains, a client, a stored copy.
const (
	keyID     = 'i'
	keyFrom   = 'f'
	keyTo     = 't'
	keyClient = 'c'
	keyCopy   = 'm'
)

// hash is FNV-1a of the letter and the text in lower case, with its bits mixed
// (the finalizer of MurmurHash3), since a filter takes both halves of it.
func hash(kind byte, text string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := (offset ^ uint64(kind)) * prime
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * prime
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func hashID(id ident.ID) uint64 { return hash(keyID, string(id[:])) }

func hashClient(ip netip.Addr) uint64 { b := ip.As16(); return hash(keyClient, string(b[:])) }

// addressKeys adds the keys of an address: the whole and its domain.
func addressKeys(keys []uint64, kind byte, addr string) []uint64 {
	keys = append(keys, hash(kind, addr))
	if at := strings.LastIndexByte(addr, '@'); at >= 0 {
		keys = append(keys, hash(kind, addr[at:]))
	}
	return keys
}

func attemptKeys(keys []uint64, a *Attempt) []uint64 {
	keys = append(keys, hashID(a.ID), hashID(a.Session.ID))
	if a.Client.IsValid() {
		keys = append(keys, hashClient(a.Client))
	}
	if a.HasSender {
		keys = addressKeys(keys, keyFrom, a.Sender)
	}
	for _, rcpt := range a.Recipients[:min(len(a.Recipients), maxList)] {
		keys = addressKeys(keys, keyTo, rcpt)
	}
	return keys
}

func eventKeys(keys []uint64, e *Event) []uint64 {
	if e.ID.IsZero() {
		return append(keys, e.copy().hash())
	}
	keys = append(keys, hashID(e.ID))
	if !e.Other.IsZero() {
		keys = append(keys, hashID(e.Other))
	}
	if e.onward() {
		keys = addressKeys(keys, keyTo, e.Place)
	}
	return keys
}

// onward reports that Place is an address the mail goes on to.
func (e *Event) onward() bool {
	return (e.Kind == Forwarded || e.Kind == Redirected) && e.Place != ""
}

// copied names what an account keeps of a message.
type copied struct{ account, arrived int64 }

func (e *Event) copy() copied { return copied{e.Account, e.Arrived} }

func (c copied) hash() uint64 {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(c.account)), uint64(c.arrived))
	return hash(keyCopy, string(b))
}

// filter is a Bloom filter: about ten bits and seven probes a key, so that one
// in a hundred segments is read for nothing.
type filter []byte

const probes = 7

func makeFilter(keys []uint64) filter {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	f := make(filter, (len(keys)*10+7)/8)
	for _, k := range keys {
		f.each(k, func(octet int, bit byte) bool { f[octet] |= bit; return true })
	}
	return f
}

// has reports whether the key may be among those the filter was made of.
func (f filter) has(key uint64) bool {
	all := len(f) > 0
	f.each(key, func(octet int, bit byte) bool {
		all = f[octet]&bit != 0
		return all
	})
	return all
}

func (f filter) each(key uint64, visit func(octet int, bit byte) bool) {
	bits := uint64(len(f)) * 8
	if bits == 0 {
		return
	}
	step := key>>32 | 1
	for range probes {
		at := key % bits
		if !visit(int(at/8), 1<<(at%8)) {
			return
		}
		key += step
	}
}

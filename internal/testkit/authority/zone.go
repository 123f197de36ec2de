package authority

import (
	"slices"
	"strings"

	mdns "github.com/miekg/dns"
)

// negativeTTL is the SOA minimum of zones that bring none.
const negativeTTL = 60

func newSOA(apex string) *mdns.SOA {
	return &mdns.SOA{Hdr: mdns.RR_Header{Name: apex, Rrtype: mdns.TypeSOA, Class: mdns.ClassINET, Ttl: negativeTTL},
		Ns: "ns.invalid.", Mbox: "hostmaster.invalid.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL}
}

// Add adds records in master-file syntax. Each $ORIGIN line begins a zone, with
// an SOA of minimum 60 unless it has its own; without $ORIGIN write full names.
// Unless told otherwise records have a TTL of 300.
func (a *Authority) Add(text string) {
	a.tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "$ORIGIN" && a.zones[canonical(words[1])] == nil {
			apex := canonical(words[1])
			a.zones[apex] = newSOA(apex)
			a.records[apex] = append(a.records[apex], a.zones[apex])
		}
	}
	p := mdns.NewZoneParser(strings.NewReader(text+"\n"), ".", "")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		a.put(rr)
	}
	if err := p.Err(); err != nil {
		a.tb.Fatalf("authority: %v", err)
	}
}

func (a *Authority) put(rr mdns.RR) {
	owner := canonical(rr.Header().Name)
	if soa, ok := rr.(*mdns.SOA); ok {
		a.zones[owner] = soa
		a.drop(owner, mdns.TypeSOA)
	}
	a.records[owner] = append(a.records[owner], rr)
}

// drop removes records; the last one takes the name with it.
func (a *Authority) drop(owner string, qtype uint16) {
	left := slices.DeleteFunc(slices.Clone(a.records[owner]), func(rr mdns.RR) bool {
		return qtype == mdns.TypeANY || rr.Header().Rrtype == qtype
	})
	if a.records[owner] = left; len(left) == 0 {
		delete(a.records, owner)
	}
}

// Remove removes the records of a name and a type; mdns.TypeANY removes the
// name.
func (a *Authority) Remove(name string, qtype uint16) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(canonical(name), qtype)
}

// Replace puts records in the place of those of a name and a type.
func (a *Authority) Replace(name string, qtype uint16, text string) {
	a.tb.Helper()
	a.Remove(name, qtype)
	a.Add(text)
}

package dns

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

// Bounds of what is believed of an answer.
const (
	maxRecords  = 512 // of all sections together
	maxAliases  = 8   // CNAMEs from the name asked for to the one with records
	maxTTL      = 24 * time.Hour
	maxNegative = time.Hour // RFC 2308 §5 wants one to three hours at most
)

// What is wrong with an answer; all end as ErrTemporary.
var (
	errTruncated = errors.New("the answer is cut off")
	errWrong     = errors.New("the answer is to another question")
	errTooMany   = fmt.Errorf("the answer has over %d records", maxRecords)
	errLoop      = errors.New("the aliases lead in a circle")
	errAliases   = fmt.Errorf("over %d aliases follow each other", maxAliases)
	errAlias     = errors.New("an alias leads to what is no name")
	errReferral  = errors.New("the server does not look up for others")
)

// answers checks that a message is the answer to the query (RFC 5452 §9.1).
func answers(q, m *mdns.Msg) error {
	switch {
	case m == nil || !m.Response || m.Id != q.Id || m.Opcode != q.Opcode:
		return errWrong
	case len(m.Question) == 0 && (m.Rcode == mdns.RcodeFormatError || m.Rcode == mdns.RcodeServerFailure || m.Rcode == mdns.RcodeRefused || m.Rcode == mdns.RcodeNotImplemented):
		return nil // it could or would not read the question
	case len(m.Question) != 1 || m.Question[0].Qtype != q.Question[0].Qtype || m.Question[0].Qclass != q.Question[0].Qclass,
		!strings.EqualFold(m.Question[0].Name, q.Question[0].Name):
		return errWrong
	case m.Truncated:
		return errTruncated
	case len(m.Answer)+len(m.Ns)+len(m.Extra) > maxRecords:
		return errTooMany
	}
	return nil
}

// chain is the way from the name asked for along aliases, and what was learned
// on it. It may be longer than one message.
type chain struct {
	qtype     uint16
	names     []string
	ttl       time.Duration
	authentic bool
}

func newChain(name string, qtype uint16) *chain {
	return &chain{qtype: qtype, names: []string{name}, ttl: maxTTL, authentic: true}
}

// last is the name to ask for now.
func (c *chain) last() string { return c.names[len(c.names)-1] }

// read follows the chain through a message that answers a question for its
// last name. It ends with records, with ErrNoName or ErrNotFound, with the
// reason why the message is no use, or, with neither records nor error, at an
// alias whose target the message does not tell.
func (c *chain) read(m *mdns.Msg) ([]mdns.RR, error) {
	c.authentic = c.authentic && m.AuthenticatedData
	followed := false
	for {
		records, alias, err := c.at(m)
		if err != nil {
			return nil, err
		}
		if len(records) > 0 {
			return records, nil
		}
		if alias == "" {
			break
		}
		followed = true
		if err := c.add(alias); err != nil {
			return nil, err
		}
	}
	negative, told := negativeTTL(m, c.last())
	switch {
	case m.Rcode == mdns.RcodeNameError:
		c.lower(negative)
		return nil, ErrNoName
	case told:
		c.lower(negative)
		return nil, ErrNotFound
	case followed:
		return nil, nil
	case !m.RecursionAvailable && !m.Authoritative:
		return nil, errReferral
	}
	c.lower(0)
	return nil, ErrNotFound
}

// at returns what the answer section has for the chain's last name: records
// of the type asked for, else the target of an alias.
func (c *chain) at(m *mdns.Msg) (records []mdns.RR, alias string, err error) {
	owner := spelled(c.last())
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Class != mdns.ClassINET || !strings.EqualFold(h.Name, owner) {
			continue
		}
		if h.Rrtype == c.qtype {
			records = append(records, rr)
			c.lower(seconds(h.Ttl))
		}
		if target, ok := rr.(*mdns.CNAME); ok && alias == "" && len(records) == 0 {
			c.lower(seconds(h.Ttl))
			if alias, err = normal(target.Target); err != nil {
				return nil, "", errAlias
			}
		}
	}
	return records, alias, nil
}

func (c *chain) add(name string) error {
	if slices.Contains(c.names, name) {
		return errLoop
	}
	if len(c.names) > maxAliases {
		return errAliases
	}
	c.names = append(c.names, name)
	return nil
}

func (c *chain) lower(ttl time.Duration) { c.ttl = min(c.ttl, ttl) }

// negativeTTL is how long the absence of a name may be believed: the lesser of
// the SOA's TTL and its minimum (RFC 2308 §5). Without an SOA the absence is
// not remembered, and told is false.
func negativeTTL(m *mdns.Msg, name string) (ttl time.Duration, told bool) {
	for _, rr := range m.Ns {
		soa, ok := rr.(*mdns.SOA)
		if ok && mdns.IsSubDomain(soa.Hdr.Name, spelled(name)) {
			return min(seconds(soa.Hdr.Ttl), seconds(soa.Minttl), maxNegative), true
		}
	}
	return 0, false
}

// seconds reads a TTL; one with the sign bit is 0 (RFC 2181 §8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

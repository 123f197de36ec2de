package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/testkit/authority"
	"posthorn/internal/wire/dkim"
)

// Who sends in the policy lines: a proxy names these clients, whose names,
// records and signatures are all as they should be.
const (
	proxySource  = "127.0.0.2"
	firstClient  = "198.51.100.10"
	senderDomain = "bench.example.test"
	selector     = "s1"
	keyBits      = 2048
)

// nth is an address n after another.
func nth(first string, n int) netip.Addr {
	a := netip.MustParseAddr(first)
	for range n {
		a = a.Next()
	}
	return a
}

// newKey makes the key of the signatures and leaves it in a file for the
// generator. record is its DNS record.
func newKey(file string) (record string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return "", err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public), os.WriteFile(file, private, 0o600)
}

// blockZones refuse clients, classZones give them a class; none names ours.
var (
	blockZones = []string{"bl1.test", "bl2.test", "bl3.test"}
	classZones = []string{"cl1.test", "cl2.test"}
)

// zones is the whole DNS, with a TTL of a day.
func zones(clients int, key string) string {
	var b strings.Builder
	b.WriteString("$TTL 86400\n")
	zone := func(apex string) {
		fmt.Fprintf(&b, "$ORIGIN %s.\n@ 86400 IN SOA ns hostmaster 1 3600 600 86400 86400\n", apex)
	}
	for _, z := range append(append([]string{"example.test"}, blockZones...), classZones...) {
		zone(z)
	}
	zone(senderDomain)
	quoted := ""
	for key != "" {
		n := min(len(key), 200)
		quoted += fmt.Sprintf(" %q", key[:n])
		key = key[n:]
	}
	fmt.Fprintf(&b, "@ IN MX 10 @\n@ IN TXT \"v=spf1 include:spf.%s -all\"\nspf IN TXT \"v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ~all\"\n", senderDomain)
	fmt.Fprintf(&b, "_dmarc IN TXT \"v=DMARC1; p=reject\"\n%s._domainkey IN TXT%s\n", selector, quoted)
	for i := range clients {
		fmt.Fprintf(&b, "@ IN A %s\n", nth(firstClient, i))
	}
	zone("100.51.198.in-addr.arpa")
	for i := range clients {
		fmt.Fprintf(&b, "%d IN PTR %s.\n", nth(firstClient, i).As4()[3], senderDomain)
	}
	return b.String()
}

// standIn lets the authority, which is made for tests, run here.
type standIn struct {
	testing.TB
	ends []func()
}

func (*standIn) Helper()            {}
func (s *standIn) Cleanup(f func()) { s.ends = append(s.ends, f) }
func (*standIn) Fatal(args ...any)  { panic(fmt.Sprint(args...)) }
func (*standIn) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func (s *standIn) end() {
	for _, f := range s.ends {
		f()
	}
}

// nameServer answers on loopback until stop.
type nameServer struct {
	*authority.Authority
	addr string
	stop func()
}

func startNames(zone string) *nameServer {
	s := &standIn{}
	a := authority.New(s, zone)
	return &nameServer{a, a.Listen(""), s.end}
}

// nowhere is a name server for all who measure something else: nothing exists
// but the senders' domain, and the machine's own servers are not asked.
var nowhere = sync.OnceValue(func() string {
	return startNames("$ORIGIN bench.example.test.\n$TTL 3600\n@ MX 10 mx\nmx A 192.0.2.25\n").addr
})

// asked is how many questions it was asked so far.
func (n *nameServer) asked() int { return n.Queries("*", mdns.TypeANY) }

// mostHeads bounds the signed header sections; messages take them in turn.
const mostHeads = 2000

// signed makes as many header sections with a signature as there are messages.
func signed(l load) ([][]byte, error) {
	if l.Key == "" {
		return nil, nil
	}
	text, err := os.ReadFile(l.Key)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", l.Key)
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	heads, body := make([][]byte, min(l.Messages, mostHeads)), content(l.Size)
	var wg sync.WaitGroup
	failed := make([]error, runtime.NumCPU())
	for w := range failed {
		wg.Go(func() {
			for n := w; n < len(heads) && failed[w] == nil; n += len(failed) {
				heads[n], failed[w] = signedHead(l, key, n, body)
			}
		})
	}
	wg.Wait()
	return heads, errors.Join(failed...)
}

func signedHead(l load, key crypto.Signer, n int, body []byte) ([]byte, error) {
	head := appendHeader(nil, n%l.Connections, n, fmt.Sprintf(l.Recipients, n%l.Accounts))
	m := dkim.NewMessage(dkim.Relaxed)
	for _, part := range [][]byte{head, body} {
		if _, err := m.Write(part); err != nil {
			return nil, err
		}
	}
	s := dkim.Signer{Domain: senderDomain, Selector: selector, Key: key, Header: dkim.Relaxed, Body: dkim.Relaxed}
	field, err := s.Sign(m, time.Now())
	return append(field, head...), err
}

package arc_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/wire/arc"
	"posthorn/internal/wire/dkim"
)

// zone answers key look-ups; the record "servfail" is a temporary failure.
type zone map[string]string

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	record, ok := z[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: %w", name, dns.ErrNoName)
	case record == "servfail":
		return nil, fmt.Errorf("%s: %w", name, dns.ErrTemporary)
	}
	return []string{record}, nil
}

func now() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

const keyFile = "../dkim/testdata/rsa2048.pem"

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	data, err := os.ReadFile(keyFile)
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(data)
	k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return k
})

func edKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("thirty-two octets of a test seed"))
}

// keys are those of the hosts a.example (RSA) and b.example (Ed25519).
func keys() zone {
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		panic(err)
	}
	ed := base64.StdEncoding.EncodeToString(edKey().Public().(ed25519.PublicKey))
	return zone{
		"s._domainkey.a.example": "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der),
		"s._domainkey.b.example": "v=DKIM1; k=ed25519; p=" + ed,
	}
}

// host seals as a.example or b.example.
func host(domain string) arc.Sealer {
	s := dkim.Signer{Domain: domain, Selector: "s", Key: rsaKey(), Header: dkim.Relaxed, Body: dkim.Relaxed}
	if domain == "b.example" {
		s.Key = edKey()
	}
	return arc.Sealer{Signer: s}
}

const sample = "DKIM-Signature: v=1; b=x\r\nFrom: Joe <joe@example.org>\r\nTo: list@a.example\r\nSubject: Is dinner\r\n ready?\r\n\r\nHi.\r\n\r\nWe lost.\r\n"

func message(t testing.TB, text string) *dkim.Message {
	t.Helper()
	m := dkim.NewMessage(dkim.Relaxed)
	if _, err := m.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}

func verify(t testing.TB, z zone, text string) arc.Chain {
	t.Helper()
	return arc.Verify(t.Context(), message(t, text), dkim.NewKeys(z, 0), now())
}

// seal adds the set of a host, which changes the message before.
func seal(t testing.TB, domain, text string, change func(string) string) string {
	t.Helper()
	c := verify(t, keys(), text)
	text = change(text)
	set, err := host(domain).Seal(message(t, text), c, domain+";\r\n\tspf=pass smtp.mailfrom=example.org; arc="+c.String(), now())
	if err != nil {
		t.Fatal(err)
	}
	return string(set) + text
}

func same(s string) string     { return s }
func reworded(s string) string { return strings.Replace(s, "Subject: ", "Subject: [list] ", 1) }
func footed(s string) string   { return s + "-- \r\nfooter\r\n" }

func TestAMessageWithoutChainHasNone(t *testing.T) {
	t.Parallel()
	if c := verify(t, keys(), sample); c.Status != arc.None || c.Sets != nil || c.String() != "none" {
		t.Errorf("got %+v", c)
	}
	if c := verify(t, keys(), "rubbish"); c.Status != arc.None {
		t.Errorf("got %+v", c)
	}
}

func TestSealedChainsPass(t *testing.T) {
	t.Parallel()
	text := seal(t, "a.example", sample, reworded)
	c := verify(t, keys(), text)
	if c.Status != arc.Pass || len(c.Sets) != 1 || c.OldestPass != 0 || c.String() != "pass" {
		t.Fatalf("got %+v\n%s", c, text)
	}
	s := c.Sets[0]
	if s.Instance != 1 || s.CV != arc.None || s.Seal.Domain != "a.example" || s.Message.Status != dkim.Pass ||
		s.Results != "a.example;\r\n\tspf=pass smtp.mailfrom=example.org; arc=none" {
		t.Errorf("got %+v", s)
	}
	text = seal(t, "b.example", text, same)
	if c := verify(t, keys(), text); c.Status != arc.Pass || len(c.Sets) != 2 || c.OldestPass != 0 || c.Sets[1].CV != arc.Pass || c.Sets[1].Seal.Algorithm != "ed25519-sha256" {
		t.Fatalf("got %+v\n%s", c, text)
	}
	text = seal(t, "a.example", text, footed)
	if c := verify(t, keys(), text); c.Status != arc.Pass || len(c.Sets) != 3 || c.OldestPass != 3 || c.String() != "pass (oldest-pass=3)" || c.Sets[1].Message.Status != dkim.Fail {
		t.Fatalf("got %+v\n%s", c, text)
	}
}

func TestAChainEndsAtFiftySets(t *testing.T) {
	t.Parallel()
	text := sample
	for range arc.MaxSets {
		text = seal(t, "b.example", text, same)
	}
	c := verify(t, keys(), text)
	if c.Status != arc.Pass || len(c.Sets) != arc.MaxSets {
		t.Fatalf("%v, %s", c.Status, c.Reason)
	}
	if _, err := host("b.example").Seal(message(t, text), c, "b.example; none", now()); !errors.Is(err, arc.ErrEnded) {
		t.Errorf("set %d: %v", arc.MaxSets+1, err)
	}
	first := text[strings.Index(text, "ARC-Seal: i=50;"):strings.Index(text, "ARC-Seal: i=49;")]
	for name, more := range map[string]string{
		"i=51": strings.ReplaceAll(first, "i=50;", "i=51;"),
		"more": first,
	} {
		if c := verify(t, keys(), more+text); c.Status != arc.Fail || c.Reason != "the chain has more than 50 sets" {
			t.Errorf("%s: %v, %s", name, c.Status, c.Reason)
		}
	}
}

// fields splits a message into header fields and the rest.
func fields(text string) (list []string, rest string) {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	for line := range strings.SplitAfterSeq(head+"\r\n", "\r\n") {
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			list[len(list)-1] += line
		} else {
			list = append(list, line)
		}
	}
	return list, "\r\n" + body
}

// without leaves out the first field that begins so.
func without(begin string) func(string) string {
	return func(text string) string {
		list, rest := fields(text)
		for i, f := range list {
			if strings.HasPrefix(f, begin) {
				return strings.Join(list[:i], "") + strings.Join(list[i+1:], "") + rest
			}
		}
		return text
	}
}

// twice repeats the first field that begins so.
func twice(begin string) func(string) string {
	return func(text string) string {
		list, _ := fields(text)
		for _, f := range list {
			if strings.HasPrefix(f, begin) {
				return f + text
			}
		}
		return text
	}
}

// put replaces text in the first field that begins so.
func put(begin, old, new string) func(string) string {
	return func(text string) string {
		list, rest := fields(text)
		for i, f := range list {
			if strings.HasPrefix(f, begin) {
				list[i] = strings.Replace(f, old, new, 1)
				return strings.Join(list, "") + rest
			}
		}
		return text
	}
}

func TestEveryWayAChainCanBreakIsSeen(t *testing.T) {
	t.Parallel()
	whole := seal(t, "a.example", seal(t, "b.example", seal(t, "a.example", sample, same), reworded), same)
	if c := verify(t, keys(), whole); c.Status != arc.Pass || c.OldestPass != 2 {
		t.Fatalf("got %+v", c)
	}
	for name, c := range map[string]struct {
		change func(string) string
		reason string
	}{
		"body":                    {func(s string) string { return strings.Replace(s, "lost", "won", 1) }, "message signature of instance 3: the body was changed"},
		"body, more":              {footed, "message signature of instance 3: the body was changed"},
		"header":                  {reworded, "message signature of instance 3: the signature is not right"},
		"second From":             {func(s string) string { return "From: boss@example.org\r\n" + s }, "message signature of instance 3"},
		"bare LF":                 {func(s string) string { return "X: y\nz\r\n" + s }, "no line end"},
		"results of 1":            {put("ARC-Authentication-Results: i=1", "spf=pass", "spf=fail"), "seal of instance 3: the signature is not right"},
		"results of 3":            {put("ARC-Authentication-Results: i=3", "spf=pass", "spf=fail"), "seal of instance 3: the signature is not right"},
		"message signature of 1":  {put("ARC-Message-Signature: i=1", "t=", "t=1"), "seal of instance 3: the signature is not right"},
		"message signature of 3":  {put("ARC-Message-Signature: i=3", "t=", "t=1"), "message signature of instance 3: the signature is not right"},
		"seal of 1":               {put("ARC-Seal: i=1", "t=", "t=1"), "seal of instance 3: the signature is not right"},
		"no results 2":            {without("ARC-Authentication-Results: i=2"), "the chain of 3 sets lacks an arc-authentication-results field"},
		"no message signature 2":  {without("ARC-Message-Signature: i=2"), "the chain of 3 sets lacks an arc-message-signature field"},
		"no seal 2":               {without("ARC-Seal: i=2"), "the chain of 3 sets lacks an arc-seal field"},
		"no seal 3":               {without("ARC-Seal: i=3"), "the chain of 3 sets lacks an arc-seal field"},
		"no set 1":                {func(s string) string { return drop(s, 1) }, "the chain of 3 sets lacks an"},
		"no set 3":                {func(s string) string { return drop(s, 3) }, ""},
		"two results 2":           {twice("ARC-Authentication-Results: i=2"), "instance 2 has two arc-authentication-results fields"},
		"two message signatures":  {twice("ARC-Message-Signature: i=1"), "instance 1 has two arc-message-signature fields"},
		"two seals":               {twice("ARC-Seal: i=3"), "instance 3 has two arc-seal fields"},
		"cv=fail at the end":      {put("ARC-Seal: i=3", "cv=pass", "cv=fail"), "instance 3 sealed the chain as failed"},
		"cv=fail within":          {put("ARC-Seal: i=2", "cv=pass", "cv=fail"), "instance 2 says cv=fail, which must be pass"},
		"cv=none within":          {put("ARC-Seal: i=2", "cv=pass", "cv=none"), "instance 2 says cv=none, which must be pass"},
		"cv=pass at the start":    {put("ARC-Seal: i=1", "cv=none", "cv=pass"), "instance 1 says cv=pass, which must be none"},
		"unknown cv=":             {put("ARC-Seal: i=1", "cv=none", "cv=maybe"), "(cv=)"},
		"no cv=":                  {put("ARC-Seal: i=1", "cv=none", "xx=none"), "(cv=)"},
		"h= in a seal":            {put("ARC-Seal: i=2", "cv=pass", "h=From; cv=pass"), "(h=)"},
		"a seal signed":           {put("ARC-Message-Signature: i=2", "h=From", "h=ARC-Seal:From"), "signs seals"},
		"From not signed":         {put("ARC-Message-Signature: i=3", "h=From:From:", "h="), "the From field is not signed"},
		"i=0":                     {put("ARC-Seal: i=1", "i=1", "i=0"), "no instance from 1 to 50"},
		"i=01":                    {put("ARC-Seal: i=1", "i=1", "i=01"), "no instance from 1 to 50"},
		"i=51":                    {put("ARC-Seal: i=3", "i=3", "i=51"), "no instance from 1 to 50"},
		"i=-1":                    {put("ARC-Seal: i=3", "i=3", "i=-1"), "no instance from 1 to 50"},
		"i=x":                     {put("ARC-Message-Signature: i=3", "i=3", "i=x"), "no instance from 1 to 50"},
		"i= not first in results": {put("ARC-Authentication-Results: i=3", "i=3; a.example", "a.example; i=3"), "no instance from 1 to 50"},
		"no results at all":       {func(s string) string { return "ARC-Authentication-Results: i=4;\r\n" + s }, "malformed"},
		"seal without key":        {put("ARC-Seal: i=3", "d=a.example", "d=c.example"), "seal of instance 3: there is no key"},
		"seal by rsa-sha1":        {put("ARC-Seal: i=1", "a=rsa-sha256", "a=rsa-sha1"), "rsa-sha1"},
		"not a list of tags":      {put("ARC-Seal: i=1", "t=", "t"), "malformed"},
		"tag twice":               {put("ARC-Seal: i=1", "t=", "i=1; t="), "malformed"},
		"instances exchanged":     {func(s string) string { return exchange(s, 2, 3) }, "message signature of instance 3: the signature is not right"},
	} {
		changed := c.change(whole)
		if changed == whole {
			t.Errorf("%s: nothing changed", name)
		}
		got := verify(t, keys(), changed)
		if c.reason == "" { // The last set can be taken away; only its host could tell.
			if got.Status != arc.Pass || len(got.Sets) != 2 {
				t.Errorf("%s: %v, %q", name, got.Status, got.Reason)
			}
			continue
		}
		if got.Status != arc.Fail || !strings.Contains(got.Reason, c.reason) || got.String() != "fail" {
			t.Errorf("%s: %v, %q; want fail, %q", name, got.Status, got.Reason, c.reason)
		}
	}
}

// drop leaves out a set.
func drop(text string, i int) string {
	for _, name := range []string{"ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"} {
		text = without(name + ": i=" + strconv.Itoa(i))(text)
	}
	return text
}

// exchange gives two sets each other's number.
func exchange(text string, a, b int) string {
	one, two := fmt.Sprintf(": i=%d;", a), fmt.Sprintf(": i=%d;", b)
	return strings.NewReplacer(one, two, two, one).Replace(text)
}

// Fields may stand in any order: instances say which comes first.
func TestTheOrderOfFieldsDoesNotMatter(t *testing.T) {
	t.Parallel()
	text := seal(t, "b.example", seal(t, "a.example", sample, same), same)
	list, rest := fields(text)
	for i := range 6 {
		list[0], list[i] = list[i], list[0]
		if c := verify(t, keys(), strings.Join(list, "")+rest); c.Status != arc.Pass {
			t.Errorf("%v, %s", c.Status, c.Reason)
		}
	}
}

func TestAKeyThatCannotBeLookedUpIsTemporary(t *testing.T) {
	t.Parallel()
	text := seal(t, "b.example", seal(t, "a.example", sample, same), same)
	for _, domain := range []string{"a.example", "b.example"} {
		z := keys()
		z["s._domainkey."+domain] = "servfail"
		if c := verify(t, z, text); c.Status != arc.TempError || c.String() != "temperror" {
			t.Errorf("%s: %+v", domain, c)
		}
	}
	z := keys()
	z["s._domainkey.a.example"] = strings.Replace(z["s._domainkey.a.example"], "p=", "t=y; p=", 1)
	if c := verify(t, z, text); c.Status != arc.Pass || !c.Testing {
		t.Errorf("testing: %+v", c)
	}
}

// RFC 8617 §5.1.2: the seal of a failed chain covers its own set, and is the last.
func TestAFailedChainIsSealedOnceMore(t *testing.T) {
	t.Parallel()
	broken := footed(seal(t, "a.example", sample, same))
	c := verify(t, keys(), broken)
	set, err := host("b.example").Seal(message(t, broken), c, "b.example; arc=fail", now())
	if err != nil || !strings.Contains(string(set), "cv=fail") || !strings.Contains(string(set), "ARC-Seal: i=2;") {
		t.Fatalf("%v\n%s", err, set)
	}
	c = verify(t, keys(), string(set)+broken)
	if c.Status != arc.Fail || c.Reason != "instance 2 sealed the chain as failed" {
		t.Errorf("got %+v", c)
	}
	if _, err := host("a.example").Seal(message(t, broken), c, "a.example; arc=fail", now()); !errors.Is(err, arc.ErrEnded) {
		t.Errorf("sealed again: %v", err)
	}
	// Also when the chain before it is in pieces.
	c = verify(t, keys(), string(set)+without("ARC-Seal: i=1")(broken))
	if _, err := host("a.example").Seal(message(t, broken), c, "a.example; arc=fail", now()); c.Status != arc.Fail || !errors.Is(err, arc.ErrEnded) {
		t.Errorf("sealed again: %v, %v", c, err)
	}
	signed := string(dkim.Relaxed.AppendField(nil, []byte(field(string(set), "ARC-Authentication-Results")))) + "\r\n" +
		string(dkim.Relaxed.AppendField(nil, []byte(field(string(set), "ARC-Message-Signature")))) + "\r\n" +
		string(dkim.Relaxed.AppendField(nil, dkim.WithoutSignature([]byte(field(string(set), "ARC-Seal")))))
	_, b, _ := strings.Cut(field(string(set), "ARC-Seal"), " b=")
	value, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r\n", "", "\t", "").Replace(b))
	digest := sha256.Sum256([]byte(signed))
	if err != nil || !ed25519.Verify(edKey().Public().(ed25519.PublicKey), digest[:], value) {
		t.Errorf("the seal does not cover its own set alone: %v\n%s", err, set)
	}
}

// field returns the first field of that name.
func field(text, name string) string {
	list, _ := fields(text)
	for _, f := range list {
		if strings.HasPrefix(f, name+":") {
			return f
		}
	}
	return ""
}

func TestResultsThatCouldEndTheFieldAreNotSealed(t *testing.T) {
	t.Parallel()
	m := message(t, sample)
	for _, results := range []string{"", " \r\n", "a\r\nFrom: x", "a\nb", "a\rb", "a\r\n\r\n b", "a\x00"} {
		if _, err := host("a.example").Seal(m, arc.Chain{}, results, now()); !errors.Is(err, arc.ErrResults) {
			t.Errorf("%q: %v", results, err)
		}
	}
}

// A chain written by hand from RFC 8617 §4.1 and §5.1.1, with none of this package's code.
func TestAChainWrittenFromTheRFCPasses(t *testing.T) {
	t.Parallel()
	signed := func(text string) string {
		digest := sha256.Sum256([]byte(text))
		b, err := rsaKey().Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	hash := sha256.Sum256([]byte("Hi\r\n"))
	bh := base64.StdEncoding.EncodeToString(hash[:])
	const from = "from:Joe <joe@example.org>\r\n"
	ams := "arc-message-signature:i=1; a=rsa-sha256; c=relaxed/simple; d=a.example; s=s; h=from:to; bh=" + bh + "; b="
	ams += signed(from + ams)
	aar := "arc-authentication-results:i=1; a.example; spf=none"
	as := "arc-seal:i=1; a=rsa-sha256; cv=none; d=a.example; s=s; t=1; b="
	as += signed(aar + "\r\n" + ams + "\r\n" + as)
	ams2 := "arc-message-signature:a=rsa-sha256; b=; c=relaxed/simple; d=a.example; s=s; i=2; h=from; bh=" + bh
	ams2 = strings.Replace(ams2, "b=", "b="+signed(from+ams2), 1)
	aar2 := "arc-authentication-results:i=2; a.example; arc=pass"
	as2 := "arc-seal:i=2; a=rsa-sha256; cv=pass; d=a.example; s=s; b="
	as2 += signed(strings.Join([]string{aar, ams, as, aar2, ams2, as2}, "\r\n"))
	text := strings.Join([]string{as2, ams2, aar2, as, ams, aar}, "\r\n") + "\r\nFrom :  Joe \t<joe@example.org>\r\n\r\nHi\r\n\r\n"
	text = strings.Replace(text, "arc-seal:i=2; ", "ARC-Seal: i=2;\r\n\t", 1)
	if c := verify(t, keys(), text); c.Status != arc.Pass || len(c.Sets) != 2 || c.OldestPass != 0 || c.Sets[1].Results != "a.example; arc=pass" {
		t.Errorf("got %+v\n%s", c, text)
	}
}

func FuzzChain(f *testing.F) {
	text := seal(f, "b.example", seal(f, "a.example", sample, same), reworded)
	f.Add(text)
	f.Add("ARC-Seal: i=1; cv=fail\r\nARC-Authentication-Results: i=1; x\r\nARC-Message-Signature: i=1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := verify(t, keys(), text)
		if c.Status == arc.Pass && (len(c.Sets) == 0 || c.Reason != "") || c.Status == arc.Fail && (c.Reason == "" || c.Sets != nil && c.Sets[0].Instance != 1) {
			t.Fatalf("%q: %+v", text, c)
		}
	})
}

package dkim_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/wire/dkim"
)

// signer signs for example.org with an RSA key of 2048 bits.
func signer() dkim.Signer {
	return dkim.Signer{Domain: "example.org", Selector: "s", Key: ring().rsa, Header: dkim.Relaxed, Body: dkim.Relaxed}
}

func orgZone() zone {
	return zone{
		"s._domainkey.example.org":    {record(ring().rsa, "")},
		"ed._domainkey.example.org":   {record(ring().ed, "")},
		"weak._domainkey.example.org": {record(ring().weak, "")},
	}
}

func TestWhatIsSignedPasses(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.Signer{ring().rsa, ring().ed} {
		for _, header := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
			for _, body := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
				s := dkim.Signer{Domain: "Example.org", Selector: "k", Key: key, Header: header, Body: body, Lifetime: time.Hour}
				for _, text := range []string{sample, "From: a@example.org\r\n\r\n", "From: a@example.org\r\n\r\nx", "From: a@example.org\r\n"} {
					signed := sign(t, s, text)
					r := one(t, zone{"k._domainkey.example.org": {record(key, "")}}, signed)
					if r.Status != dkim.Pass || r.Domain != "example.org" {
						t.Errorf("%v/%v: %+v\n%s", header, body, r, signed)
					}
					for line := range strings.SplitSeq(signed, "\r\n") {
						if len(line) > 78 {
							t.Errorf("line of %d octets: %s", len(line), line)
						}
					}
				}
			}
		}
	}
}

func TestTamperingFails(t *testing.T) {
	t.Parallel()
	signed := sign(t, signer(), sample)
	for name, c := range map[string]struct {
		old, new string
		status   dkim.Status
		reason   string
	}{
		"body":                     {"We lost", "We won", dkim.Fail, "the body was changed"},
		"body, line end":           {"game. \r\n", "game.\n", dkim.Fail, "the body was changed"},
		"body, bare CR":            {"We lost", "We\r lost", dkim.Fail, "the body was changed"},
		"appended":                 {"Joe.\r\n", "Joe.\r\nBuy\r\n", dkim.Fail, "the body was changed"},
		"header field":             {"dinner", "supper", dkim.Fail, "signed header field was changed"},
		"second Subject":           {"Subject: Is", "Subject: Buy\r\nSubject: Is", dkim.Fail, "signed header field was changed"},
		"second From":              {"From: Joe", "From: boss@example.org\r\nFrom: Joe", dkim.Fail, "signed header field was changed"},
		"a field added":            {"To: Suzie", "Cc: all@example.org\r\nTo: Suzie", dkim.Fail, "signed header field was changed"},
		"d=":                       {"d=example.org", "d=example.net", dkim.PermError, "there is no key"},
		"hidden From (bare LF)":    {"Received:", "X: y\nFrom: boss@example.org\r\nReceived:", dkim.PermError, "no line end"},
		"hidden From (bare CR)":    {"Received:", "X: y\rFrom: boss@example.org\r\nReceived:", dkim.PermError, "no line end"},
		"header cut by bare LFs":   {"Received:", "X: y\n\nReceived:", dkim.PermError, "no line end"},
		"a line that is no field":  {"Received:", "rubbish\r\nReceived:", dkim.PermError, "no field"},
		"relaxed: case and spaces": {"Subject: Is\r\n  dinner", "SUBJECT :  Is  dinner", dkim.Pass, ""},
		"relaxed: spaces in body":  {"lost  the game. \r\n", "lost\tthe game.\t \r\n", dkim.Pass, ""},
		"unsigned field":           {"Received:", "X-Spam: no\r\nReceived:", dkim.Pass, ""},
		"empty lines at the end":   {"Joe.\r\n\r\n\r\n", "Joe.", dkim.Pass, ""},
	} {
		changed := strings.Replace(signed, c.old, c.new, 1)
		if changed == signed {
			t.Errorf("%s: nothing changed", name)
		}
		if r := one(t, orgZone(), changed); r.Status != c.status || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: %v, %q; want %v, %q", name, r.Status, r.Reason, c.status, c.reason)
		}
	}
}

// A From that h= leaves out could be the one that is shown.
func TestEveryFromMustBeSigned(t *testing.T) {
	t.Parallel()
	text := byHand(t, "v=1; a=rsa-sha256; d=example.org; s=s; h=From; bh=BH", "From: a@example.org\r\n", "x\r\n")
	if r := one(t, orgZone(), text); r.Status != dkim.Pass {
		t.Fatalf("got %+v", r)
	}
	r := one(t, orgZone(), "From: boss@example.org\r\n"+text)
	if r.Status != dkim.PermError || !strings.Contains(r.Reason, "From field that is not signed") {
		t.Errorf("got %+v", r)
	}
}

// byHand signs in the simple forms whatever tags are given; BH stands for the
// right hash of the body. The header holds just the field that is signed.
func byHand(t *testing.T, tags, header, body string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	field := "DKIM-Signature: " + strings.ReplaceAll(tags, "BH", base64.StdEncoding.EncodeToString(sum[:])) + "; b="
	digest := sha256.Sum256([]byte(header + field))
	value, err := ring().rsa.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return field + base64.StdEncoding.EncodeToString(value) + "\r\n" + header + "\r\n" + body
}

func TestSignaturesAreJudgedByTheirTags(t *testing.T) {
	t.Parallel()
	const good = "v=1; a=rsa-sha256; d=example.org; s=s; h=From; bh=BH"
	for tags, want := range map[string]struct {
		status dkim.Status
		reason string
	}{
		good:                  {dkim.Pass, ""},
		good + "; x=99999999": {dkim.PermError, "expired 1973-03-03"},
		good + fmt.Sprintf("; x=%d", now().Unix()):                          {dkim.Pass, ""},
		good + fmt.Sprintf("; x=%d", now().Unix()-1):                        {dkim.PermError, "expired"},
		good + "; t=9999999999; x=9999999998":                               {dkim.Neutral, "expires before"},
		good + "; x=soon":                                                   {dkim.Neutral, "no number"},
		good + "; t=99999999999":                                            {dkim.Pass, ""},
		good + "; l=3":                                                      {dkim.Pass, ""},
		good + "; l=4":                                                      {dkim.Fail, "the body was cut"},
		good + "; l=-1":                                                     {dkim.Neutral, "no number"},
		good + "; l=1234567890123456789":                                    {dkim.Neutral, "no number"},
		good + "; i=joe@example.org":                                        {dkim.Pass, ""},
		good + "; i=@mail.Example.org":                                      {dkim.Pass, ""},
		good + "; i=@badexample.org":                                        {dkim.PermError, "not in the signing domain"},
		good + "; i=@org":                                                   {dkim.PermError, "not in the signing domain"},
		good + "; i=joe":                                                    {dkim.Neutral, "identity"},
		good + "; q=dns/txt:http":                                           {dkim.Pass, ""},
		good + "; q=http":                                                   {dkim.Neutral, "not in DNS"},
		good + "; c=simple":                                                 {dkim.Pass, ""},
		good + "; c=SIMPLE/Simple":                                          {dkim.Pass, ""},
		good + "; c=nofws":                                                  {dkim.Neutral, "canonical form"},
		good + "; c=simple/":                                                {dkim.Neutral, "canonical form"},
		good + "; d=example.org":                                            {dkim.Neutral, "twice"},
		good + "; nonsense":                                                 {dkim.Neutral, "not a list"},
		good + "; =x":                                                       {dkim.Neutral, "not a list"},
		good + "; unknown=tag; z=From:x":                                    {dkim.Pass, ""},
		good + strings.Repeat("; y", 1) + "=1" + many(70):                   {dkim.Neutral, "too many tags"},
		"v=2; a=rsa-sha256; d=example.org; s=s; h=From; bh=BH":              {dkim.Neutral, "version 1"},
		"a=rsa-sha256; d=example.org; s=s; h=From; bh=BH":                   {dkim.Neutral, "version 1"},
		"v=1; a=rsa-sha1; d=example.org; s=s; h=From; bh=BH":                {dkim.PermError, "rsa-sha1"},
		"v=1; a=rsa-md5; d=example.org; s=s; h=From; bh=BH":                 {dkim.Neutral, "unknown algorithm"},
		"v=1; d=example.org; s=s; h=From; bh=BH":                            {dkim.Neutral, "no algorithm"},
		"v=1; a=RSA-SHA256; d=example.org; s=s; h=From; bh=BH":              {dkim.Pass, ""},
		"v=1; a=ed25519-sha256; d=example.org; s=s; h=From; bh=BH":          {dkim.PermError, "another kind"},
		"v=1; a=rsa-sha256; d=example.org; s=s; h=To; bh=BH":                {dkim.PermError, "From field is not signed"},
		"v=1; a=rsa-sha256; d=example.org; s=s; bh=BH":                      {dkim.Neutral, "h="},
		"v=1; a=rsa-sha256; d=example.org; s=s; h=From":                     {dkim.Neutral, "bh="},
		"v=1; a=rsa-sha256; d=example.org; s=s; h=From; bh=!":               {dkim.Neutral, "bh="},
		"v=1; a=rsa-sha256; d=example.org; s=s; h=From; bh=AAAA":            {dkim.Fail, "the body was changed"},
		"v=1; a=rsa-sha256; d=example.org; s=s; h=From:To:Cc:From; bh=BH":   {dkim.Pass, ""},
		"v=1; a=rsa-sha256; d=example.org; s=s; h= From :\r\n Cc ; bh = BH": {dkim.Pass, ""},
		"v=1; a=rsa-sha256; s=s; h=From; bh=BH":                             {dkim.Neutral, "d=, s="},
		"v=1; a=rsa-sha256; d=exa mple.org; s=s; h=From; bh=BH":             {dkim.Neutral, "d=, s="},
		"v=1; a=rsa-sha256; d=example..org; s=s; h=From; bh=BH":             {dkim.Neutral, "d=, s="},
		"v=1; a=rsa-sha256; d=org; s=s; h=From; bh=BH":                      {dkim.PermError, "registry"},
		"v=1; a=rsa-sha256; d=co.uk; s=s; h=From; bh=BH":                    {dkim.PermError, "registry"},
		"v=1; a=rsa-sha256; d=example.org; s=none; h=From; bh=BH":           {dkim.PermError, "there is no key"},
	} {
		if r := one(t, orgZone(), byHand(t, tags, "From: a@example.org\r\n", "x\r\n")); r.Status != want.status || !strings.Contains(r.Reason, want.reason) {
			t.Errorf("%s: %v, %q; want %v, %q", tags, r.Status, r.Reason, want.status, want.reason)
		}
	}
}

func many(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "; y%d=1", i)
	}
	return s.String()
}

// RFC 6376 §8.2: what follows the first l octets could be anybody's.
func TestAnUnsignedTailIsNeutral(t *testing.T) {
	t.Parallel()
	const tags = "v=1; a=rsa-sha256; d=example.org; s=s; l=3; h=From; bh=BH"
	text := byHand(t, tags, "From: a@example.org\r\n", "x\r\n") + "Buy!\r\n"
	r := one(t, orgZone(), text)
	if r.Status != dkim.Neutral || r.Reason != "only the first 3 octets of the body are signed, 6 are not (l=)" {
		t.Errorf("got %+v", r)
	}
	if r := one(t, orgZone(), strings.Replace(text, "\r\nx", "\r\ny", 1)); r.Status != dkim.Fail {
		t.Errorf("changed before the end: %+v", r)
	}
	if r := one(t, orgZone(), strings.Replace(text, "a@example", "b@example", 1)); r.Status != dkim.Fail {
		t.Errorf("changed header: %+v", r)
	}
}

func TestKeysAreJudgedByTheirRecords(t *testing.T) {
	t.Parallel()
	good := record(ring().rsa, "")
	p := good[strings.Index(good, "p="):]
	signed := byHand(t, "v=1; a=rsa-sha256; d=example.org; i=@sub.example.org; s=s; h=From; bh=BH", "From: a@example.org\r\n", "x\r\n")
	for _, c := range []struct {
		records []string
		status  dkim.Status
		testing bool
		reason  string
	}{
		{[]string{good}, dkim.Pass, false, ""},
		{[]string{p}, dkim.Pass, false, ""},
		{[]string{"g=nobody; " + p}, dkim.Pass, false, ""},
		{[]string{"v=DKIM1; h=sha1:sha256; s=*; n=a note;; " + p + ";"}, dkim.Pass, false, ""},
		{[]string{"v=DKIM1; s=other:email; " + p}, dkim.Pass, false, ""},
		{[]string{p[:50] + " \t" + p[50:]}, dkim.Pass, false, ""},
		{[]string{"v=DKIM1; t=y; " + p}, dkim.Pass, true, ""},
		{[]string{"v=DKIM1; t=s; " + p}, dkim.PermError, false, "t=s"},
		{[]string{"v=DKIM1; t=s:y; " + p}, dkim.PermError, true, "t=s"},
		{[]string{"v=spf1 -all", good}, dkim.Pass, false, ""},
		{[]string{good, good}, dkim.PermError, false, "several keys"},
		{[]string{"v=spf1 -all"}, dkim.PermError, false, "version"},
		{[]string{"v=spf1 -all", "hello=world"}, dkim.PermError, false, "no key"},
		{nil, dkim.PermError, false, "no key"},
		{[]string{"v=DKIM1; t=y; p="}, dkim.PermError, true, "revoked"},
		{[]string{"v=DKIM2; " + p}, dkim.PermError, false, "version"},
		{[]string{p + "; v=DKIM1"}, dkim.PermError, false, "version"},
		{[]string{"v=DKIM1; k=rsa"}, dkim.PermError, false, "holds no key"},
		{[]string{"v=DKIM1; p=!"}, dkim.PermError, false, "base64"},
		{[]string{"v=DKIM1; p=AAAA"}, dkim.PermError, false, "no RSA key"},
		{[]string{"v=DKIM1; k=ed25519; p=AAAA"}, dkim.PermError, false, "no Ed25519 key"},
		{[]string{"v=DKIM1; k=dsa; " + p}, dkim.PermError, false, "unknown kind"},
		{[]string{"v=DKIM1; h=sha1; " + p}, dkim.PermError, false, "SHA-256"},
		{[]string{"v=DKIM1; s=tlsrpt; " + p}, dkim.PermError, false, "not for mail"},
		{[]string{record(ring().ed, "")}, dkim.PermError, false, "another kind"},
		{[]string{record(ring().weak, "")}, dkim.Fail, false, "the key is another"},
		{[]string{"servfail"}, dkim.TempError, false, "could not be looked up"},
	} {
		r := one(t, zone{"s._domainkey.example.org": c.records}, signed)
		if r.Status != c.status || r.Testing != c.testing || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%q: %v, testing %v, %q; want %v, %v, %q", c.records, r.Status, r.Testing, r.Reason, c.status, c.testing, c.reason)
		}
	}
}

func TestWeakKeysDoNotCount(t *testing.T) {
	t.Parallel()
	s := signer()
	s.Key, s.Selector = ring().weak, "weak"
	signed := sign(t, s, sample)
	if r := one(t, orgZone(), signed); r.Status != dkim.Pass || r.Bits != 1024 {
		t.Errorf("1024 bits: %+v", r)
	}
	r, err := dkim.Verify(t.Context(), strings.NewReader(signed), dkim.NewKeys(orgZone(), 1536), now())
	if err != nil || r[0].Status != dkim.PermError || r[0].Bits != 1024 || r[0].Reason != "the key has only 1024 bits; 1536 are needed" {
		t.Errorf("1536 wanted: %+v, %v", r, err)
	}
	short := zone{"weak._domainkey.example.org": {"p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALbW3iOrVuzJkDLCXwoTbqkhsrNsktcbEYGFu4YbiDZL3zvHDMBZ35tvlTjLSTxkTn5DkJ9C2vnh5ZbDgcKwAKkCAwEAAQ=="}}
	if r := one(t, short, signed); r.Status != dkim.PermError || r.Bits != 512 {
		t.Errorf("512 bits: %+v", r)
	}
}

// A changed body is a failure whatever DNS says.
func TestNoKeyCanSaveAChangedBody(t *testing.T) {
	t.Parallel()
	signed := sign(t, signer(), sample)
	z := zone{"s._domainkey.example.org": {"servfail"}}
	if r := one(t, z, signed); r.Status != dkim.TempError {
		t.Errorf("got %+v", r)
	}
	if r := one(t, z, signed+"x"); r.Status != dkim.Fail {
		t.Errorf("got %+v", r)
	}
}

func TestTheEndOfTheContextIsTemporary(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keys := dkim.NewKeys(lookupFunc(func(ctx context.Context, _ string) ([]string, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}), 0)
	r, err := dkim.Verify(ctx, strings.NewReader(sign(t, signer(), sample)), keys, now())
	if err != nil || len(r) != 1 || r[0].Status != dkim.TempError {
		t.Errorf("got %+v, %v", r, err)
	}
}

type lookupFunc func(context.Context, string) ([]string, error)

func (f lookupFunc) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return f(ctx, name)
}

// The errors of the real resolver's adapter are told apart.
var _ dkim.Resolver = dns.Net{}

func TestOnlySoManySignaturesAreVerifiedAndEachKeyIsAskedForOnce(t *testing.T) {
	t.Parallel()
	signed := sample
	for range dkim.MaxSignatures + 3 {
		signed = sign(t, signer(), signed)
	}
	asked := 0
	keys := dkim.NewKeys(lookupFunc(func(ctx context.Context, name string) ([]string, error) {
		asked++
		return orgZone().LookupTXT(ctx, name)
	}), 0)
	r, err := dkim.Verify(t.Context(), strings.NewReader(signed), keys, now())
	if err != nil || len(r) != dkim.MaxSignatures+1 || asked != 1 {
		t.Fatalf("%d results, %d look-ups, %v", len(r), asked, err)
	}
	for _, one := range r[:dkim.MaxSignatures] {
		if one.Status != dkim.Pass {
			t.Errorf("got %+v", one)
		}
	}
	if last := r[dkim.MaxSignatures]; last.Status != dkim.Neutral || last.Reason != "3 more signatures were not verified" {
		t.Errorf("got %+v", last)
	}
}

func TestDifferentBodyLengthsAreBounded(t *testing.T) {
	t.Parallel()
	const header, body = "From: a@example.org\r\n", "0123456789\r\n"
	var fields strings.Builder
	for l := range dkim.MaxSignatures {
		tags := fmt.Sprintf("v=1; a=rsa-sha256; d=example.org; s=s; h=From; l=%d; bh=BH", l)
		field, _, _ := strings.Cut(byHand(t, tags, header, body[:l]), "\r\n")
		fields.WriteString(field + "\r\n")
	}
	judged, left := 0, 0
	for _, r := range verify(t, orgZone(), fields.String()+header+"\r\n"+body) {
		switch {
		case strings.Contains(r.Reason, "too many different body lengths"):
			left++
		case strings.Contains(r.Reason, "octets of the body are signed"):
			judged++
		}
	}
	if judged != 8 || left != dkim.MaxSignatures-8 {
		t.Errorf("%d judged, %d left out", judged, left)
	}
}

func TestLookUpsAreBounded(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	keys := dkim.NewKeys(lookupFunc(func(context.Context, string) ([]string, error) {
		asked.Add(1)
		return nil, dns.ErrNotFound
	}), 0)
	var claims []dkim.Claim
	for i := range 300 {
		claims = append(claims, dkim.Claim{Domain: fmt.Sprintf("d%d.example", i), Selector: "s", Algorithm: "rsa-sha256"})
	}
	keys.Fetch(t.Context(), claims)
	if asked.Load() != 100 {
		t.Errorf("%d look-ups", asked.Load())
	}
	if r := keys.Verify(t.Context(), claims[299], [32]byte{}); r.Status != dkim.Neutral && r.Status != dkim.PermError {
		t.Errorf("got %+v", r)
	}
}

func TestAHeaderSectionWithoutEndIsNotKept(t *testing.T) {
	t.Parallel()
	signed := sign(t, signer(), sample)
	long := "X: " + strings.Repeat("x", dkim.MaxHeader) + "\r\n"
	at := strings.Index(signed, "Received:")
	r := one(t, orgZone(), signed[:at]+long+signed[at:])
	if r.Status != dkim.PermError || r.Reason != "the header section is too long" || r.Domain != "example.org" {
		t.Errorf("got %+v", r)
	}
	if r := verify(t, orgZone(), strings.Repeat("x", 2*dkim.MaxHeader)); r != nil {
		t.Errorf("got %+v", r)
	}
}

func TestPiecesOfAnySizeAreTheSameMessage(t *testing.T) {
	t.Parallel()
	signed := sign(t, signer(), sample)
	for size := 1; size < len(signed); size += 1 + size/3 {
		m := dkim.NewMessage()
		for i := 0; i < len(signed); i += size {
			if _, err := m.Write([]byte(signed[i:min(i+size, len(signed))])); err != nil {
				t.Fatal(err)
			}
		}
		if r := m.Verify(t.Context(), dkim.NewKeys(orgZone(), 0), now()); len(r) != 1 || r[0].Status != dkim.Pass {
			t.Errorf("pieces of %d: %+v", size, r)
		}
		if _, err := m.Write([]byte("x")); !errors.Is(err, dkim.ErrClosed) {
			t.Errorf("writing after the end: %v", err)
		}
	}
}

func TestAReaderThatFailsIsNoMessage(t *testing.T) {
	t.Parallel()
	r := io.MultiReader(strings.NewReader(sample), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := dkim.Verify(t.Context(), r, dkim.NewKeys(zone{}, 0), now()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestReasonsCanBeLogged(t *testing.T) {
	t.Parallel()
	r := one(t, zone{}, "DKIM-Signature: v=1; a=x\x1b[31m\xff\r\n\t"+strings.Repeat("y", 500)+"; d=example.org; s=s; i=\x00\r\nFrom: a@b\r\n\r\n")
	for _, s := range []string{r.Reason, r.Algorithm, r.Identity, r.Mark} {
		if len(s) > 200 || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
			t.Errorf("got %q", s)
		}
	}
}

func TestTheValueOfTheSignatureIsLeftOut(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"S: a=1; b=xyz; c=2\r\n":               "S: a=1; b=; c=2",
		"S: a=1; b = x\r\n y \r\n":             "S: a=1; b =",
		"S: bb=1; bh=b=; b=x=\r\n":             "S: bb=1; bh=b=; b=",
		"S:b=x;bh=y\r\n":                       "S:b=;bh=y",
		"S: a=1; bh=abcb= ; b=x\r\n":           "S: a=1; bh=abcb= ; b=",
		"S: a=1\r\n":                           "S: a=1",
		"S: a=1;\r\n\tb=x;\r\n\td=\r\n\te\r\n": "S: a=1;\r\n\tb=;\r\n\td=\r\n\te",
	} {
		if got := string(dkim.WithoutSignature([]byte(raw))); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(wire(rfc6376Message))
	f.Add(wire(rfc8463Message))
	f.Add(sign(f, signer(), sample))
	f.Add("DKIM-Signature: v=1; l=1\r\n\tb=;;\r\nFrom : x\r\n\r\n\r\r\n")
	z := rfcZone()
	for name, records := range orgZone() {
		z[name] = records
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range verify(t, z, text) {
			if (r.Status == dkim.Pass) != (r.Reason == "") || r.Status == dkim.Pass && (r.Domain == "" || r.Bits < dkim.MinRSABits && r.Algorithm == "rsa-sha256") {
				t.Fatalf("%q: %+v", text, r)
			}
			if strings.ContainsFunc(r.Reason+r.Identity+r.Algorithm+r.Mark, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
				t.Fatalf("%q: %+v", text, r)
			}
		}
	})
}

// RFC 8616 §4.
func TestDomainsMayBeWrittenInULabels(t *testing.T) {
	t.Parallel()
	text := byHand(t, "v=1; a=rsa-sha256; d=bücher.example; i=ü@post.bücher.example; s=s; h=From; bh=BH", "From: a@bücher.example\r\n", "x\r\n")
	r := one(t, zone{"s._domainkey.xn--bcher-kva.example": {record(ring().rsa, "")}}, text)
	if r.Status != dkim.Pass || r.Domain != "xn--bcher-kva.example" {
		t.Errorf("got %+v", r)
	}
}

func TestWhatCannotBeSignedIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*dkim.Signer)
		text   string
		want   error
	}{
		"no From":          {func(*dkim.Signer) {}, "To: a\r\n\r\n", dkim.ErrUnsignable},
		"two From":         {func(*dkim.Signer) {}, "From: a\r\nFrom: b\r\n\r\n", dkim.ErrUnsignable},
		"malformed header": {func(*dkim.Signer) {}, "From: a\nb\r\n\r\n", dkim.ErrUnsignable},
		"other body form":  {func(s *dkim.Signer) { s.Body = dkim.Simple }, sample, dkim.ErrUnsignable},
		"no domain":        {func(s *dkim.Signer) { s.Domain = "" }, sample, dkim.ErrName},
		"no selector":      {func(s *dkim.Signer) { s.Selector = "a;b" }, sample, dkim.ErrName},
	} {
		s := signer()
		c.change(&s)
		m := dkim.NewMessage(dkim.Relaxed)
		if _, err := m.Write([]byte(c.text)); err != nil {
			t.Fatal(err)
		}
		if field, err := s.Sign(m, now()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %s", name, err, field)
		}
	}
}

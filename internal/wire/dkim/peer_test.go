package dkim_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"

	"posthorn/internal/testkit/need"
	"posthorn/internal/wire/dkim"
)

// task is one for dkimpy.
type task map[string]any

// python has dkimpy do tasks; results is where the list of results goes.
func python(t testing.TB, tasks []task, results any) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/python3/dist-packages/dkim"); err != nil {
		need.Missing(t, "python3-dkim")
	}
	told, err := json.Marshal(tasks)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-B", "testdata/dkimpy.py")
	cmd.Stdin = bytes.NewReader(told)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dkimpy: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, results); err != nil {
		t.Fatal(err)
	}
}

// dkimpyKey writes a private key as dkimpy reads it.
func dkimpyKey(t testing.TB, algorithm string) string {
	t.Helper()
	if algorithm == "ed25519-sha256" {
		return base64.StdEncoding.EncodeToString(ring().ed.Seed())
	}
	pem, err := os.ReadFile("testdata/rsa2048.pem")
	if err != nil {
		t.Fatal(err)
	}
	return string(pem)
}

func TestMailSignedByDkimpyPasses(t *testing.T) {
	t.Parallel()
	z := zone{"s._domainkey.example.org": {record(ring().rsa, "")}, "ed._domainkey.example.org": {record(ring().ed, "")}}
	cases := []struct {
		algorithm, selector string
		canon               []string
		length              bool
		body                string
		status              dkim.Status
	}{
		{"rsa-sha256", "s", []string{"relaxed", "simple"}, false, "", dkim.Pass},
		{"rsa-sha256", "s", []string{"simple", "simple"}, false, "", dkim.Pass},
		{"rsa-sha256", "s", []string{"simple", "relaxed"}, false, " \r\n\tspaces  \t \r\n \r\n\r\n", dkim.Pass},
		{"rsa-sha256", "s", []string{"relaxed", "relaxed"}, true, "", dkim.Pass},
		{"ed25519-sha256", "ed", []string{"relaxed", "relaxed"}, false, "", dkim.Pass},
		{"rsa-sha1", "s", []string{"relaxed", "relaxed"}, false, "", dkim.PermError},
	}
	var tasks []task
	for _, c := range cases {
		tasks = append(tasks, task{"do": "sign", "message": sample + c.body, "selector": c.selector, "domain": "example.org",
			"key": dkimpyKey(t, c.algorithm), "canon": c.canon, "algorithm": c.algorithm, "length": c.length})
	}
	var fields []string
	python(t, tasks, &fields)
	for i, c := range cases {
		text, field := sample+c.body, fields[i]
		if r := one(t, z, field+text); r.Status != c.status {
			t.Errorf("%+v: %+v\n%s", c, r, field)
		}
		if r := one(t, z, strings.Replace(field+text, "lost", "won", 1)); r.Status == dkim.Pass {
			t.Errorf("%+v, changed: %+v", c, r)
		}
		if r := one(t, z, field+text+"Buy!\r\n"); r.Status == dkim.Pass || c.length && r.Status != dkim.Neutral {
			t.Errorf("%+v, more: %+v", c, r)
		}
	}
}

// dkimpySigns puts a signature by dkimpy on top of a message.
func dkimpySigns(t *testing.T, text, algorithm, selector string, more task) string {
	t.Helper()
	job := task{"do": "sign", "message": text, "selector": selector, "domain": "example.org",
		"key": dkimpyKey(t, algorithm), "canon": []string{"relaxed", "relaxed"}, "algorithm": algorithm}
	maps.Copy(job, more)
	var fields []string
	python(t, []task{job}, &fields)
	return fields[0] + text
}

func TestSeveralSignaturesOfDkimpyAreJudgedApart(t *testing.T) {
	t.Parallel()
	z := zone{"s._domainkey.example.org": {record(ring().rsa, "")}, "ed._domainkey.example.org": {record(ring().ed, "")}}
	text := dkimpySigns(t, sample, "rsa-sha256", "s", task{"canon": []string{"simple", "simple"}})
	text = dkimpySigns(t, text, "ed25519-sha256", "ed", task{"identity": "joe@mail.example.org", "canon": []string{"simple", "relaxed"}})
	text = dkimpySigns(t, text, "rsa-sha256", "s", task{"headers": []string{"from", "from", "to", "to", "cc", "subject", "subject"}})
	text = dkimpySigns(t, text, "ed25519-sha256", "ed", task{"length": true})
	for name, c := range map[string]struct {
		change func(string) string
		want   string
	}{
		"as it was":       {func(s string) string { return s }, "pass pass pass pass"},
		"a Cc added":      {func(s string) string { return "Cc: all@example.org\r\n" + s }, "pass fail pass pass"},
		"a From added":    {func(s string) string { return "From: boss@example.org\r\n" + s }, "fail fail fail fail"},
		"a footer":        {func(s string) string { return s + "Buy!\r\n" }, "neutral fail fail fail"},
		"spaces in lines": {func(s string) string { return strings.Replace(s, "lost  the", "lost \t the", 1) }, "pass pass pass fail"},
		"refolded":        {func(s string) string { return strings.Replace(s, "Is\r\n  dinner", "Is dinner", 1) }, "pass pass fail fail"},
		"another subject": {func(s string) string { return strings.Replace(s, "dinner", "supper", 1) }, "fail fail fail fail"},
	} {
		var got []string
		for _, r := range verify(t, z, c.change(text)) {
			got = append(got, r.Status.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
	r := verify(t, z, text)
	if r[2].Identity != "joe@mail.example.org" || strings.Join(r[1].Signed, " ") != "from from to to cc subject subject" || r[0].Algorithm != "ed25519-sha256" {
		t.Errorf("got %+v", r)
	}
}

// dkimpy has a clock of its own and forgives ten hours, so this test takes the
// time of day.
func TestDkimpyHeedsTheExpiryWeWrite(t *testing.T) {
	t.Parallel()
	var tasks []task
	for _, ago := range []time.Duration{0, 24 * time.Hour} {
		s := signer()
		s.Lifetime = time.Hour
		m := dkim.NewMessage(s.Body)
		if _, err := m.Write([]byte(sample)); err != nil {
			t.Fatal(err)
		}
		field, err := s.Sign(m, time.Now().Add(-ago))
		if err != nil || !strings.Contains(string(field), "x=") {
			t.Fatalf("%s, %v", field, err)
		}
		tasks = append(tasks, task{"do": "verify", "message": string(field) + sample, "zone": map[string]string{"s._domainkey.example.org": record(ring().rsa, "")}})
	}
	var answers [][]bool
	python(t, tasks, &answers)
	if !answers[0][0] || answers[1][0] {
		t.Errorf("dkimpy says %v", answers)
	}
}

func TestDkimpyVerifiesWhatIsSigned(t *testing.T) {
	t.Parallel()
	rsa, ed := signer(), signer()
	ed.Key, ed.Selector = ring().ed, "ed"
	rsa.Header, rsa.Body = dkim.Simple, dkim.Simple
	text := sign(t, ed, sign(t, rsa, sign(t, signer(), sample)))
	var answers [][]bool
	python(t, []task{{"do": "verify", "message": text, "zone": map[string]string{
		"s._domainkey.example.org":  record(ring().rsa, ""),
		"ed._domainkey.example.org": record(ring().ed, ""),
	}}}, &answers)
	passed := answers[0]
	if len(passed) != 3 || !passed[0] || !passed[1] || !passed[2] {
		t.Errorf("dkimpy says %v of\n%s", passed, text)
	}
}

// tester is what a *testing.T and a *rapid.T have in common here.
type tester interface {
	Helper()
	Context() context.Context
}

// msgauthPasses asks go-msgauth.
func msgauthPasses(t tester, z zone, text string) []bool {
	t.Helper()
	results, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return z.LookupTXT(t.Context(), name) },
	})
	if err != nil {
		return nil
	}
	var passed []bool
	for _, r := range results {
		passed = append(passed, r.Err == nil)
	}
	return passed
}

func TestGoMsgauthPassesTheExamplesToo(t *testing.T) {
	t.Parallel()
	for _, text := range []string{rfc6376Message, rfc8463Message} {
		if passed := msgauthPasses(t, rfcZone(), wire(text)); len(passed) == 0 || !passed[0] || !passed[len(passed)-1] {
			t.Errorf("got %v", passed)
		}
	}
}

// What the record of the decision says of go-msgauth; when this test fails,
// docs/decisions/0009-dkim-engine.md is to be read again.
func TestWhyTheEngineIsOurOwn(t *testing.T) {
	t.Parallel()
	signed := sign(t, signer(), sample)
	plain := byHand(t, "v=1; a=rsa-sha256; d=example.org; s=s; h=From; bh=BH", "From: a@example.org\r\n", "x\r\n")
	length := byHand(t, "v=1; a=rsa-sha256; d=example.org; s=s; l=3; h=From; bh=BH", "From: a@example.org\r\n", "x\r\n")
	for name, c := range map[string]struct {
		text   string
		theirs bool
		ours   dkim.Status
	}{
		"a bare LF in the body is a line end": {strings.Replace(signed, "Hi.\r\n", "Hi.\n", 1), true, dkim.Fail},
		"a bare LF ends a header field":       {strings.Replace(signed, "Received:", "X: y\nFrom: boss@example.org\r\nReceived:", 1), false, dkim.PermError},
		"a bare LF hides a header field":      {strings.Replace(signed, "Received:", "X: y\nReply-To: boss@example.org\r\nReceived:", 1), true, dkim.PermError},
		"a second From may go unsigned":       {"From: boss@example.org\r\n" + plain, true, dkim.PermError},
		"l= fails even where all is signed":   {length, false, dkim.Pass},
	} {
		if p := msgauthPasses(t, orgZone(), c.text); len(p) != 1 || p[0] != c.theirs {
			t.Errorf("go-msgauth, %s: %v, no longer %v", name, p, c.theirs)
		}
		if r := one(t, orgZone(), c.text); r.Status != c.ours {
			t.Errorf("we, %s: %+v", name, r)
		}
	}
}

// scene draws a message, its signer, and a change on the way.
func scene(t *rapid.T) (s dkim.Signer, text string, change func(string) string) {
	word := rapid.SampledFrom([]string{"a", "  ", "\t", "\r\n", "word", "From", ":", "=", "\r\n\r\n", "ü", ";"})
	lines := func(label string, most int) string {
		return strings.Join(rapid.SliceOfN(word, 0, most).Draw(t, label), "")
	}
	field := func(name string) string {
		v := strings.ReplaceAll(strings.ReplaceAll(lines(name, 8), "\r\n\r\n", " "), "\r\n", "\r\n ")
		return name + rapid.SampledFrom([]string{":", " :", ": "}).Draw(t, "colon") + v + "z\r\n"
	}
	keys := []crypto.Signer{ring().rsa, ring().ed}
	s = dkim.Signer{Domain: "example.org", Selector: "s", Key: rapid.SampledFrom(keys).Draw(t, "key"),
		Header: rapid.SampledFrom([]dkim.Canon{dkim.Simple, dkim.Relaxed}).Draw(t, "header"),
		Body:   rapid.SampledFrom([]dkim.Canon{dkim.Simple, dkim.Relaxed}).Draw(t, "body")}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"Subject", "X-A", "To", "Received"}), 0, 6).Draw(t, "fields") {
		text += field(name)
	}
	text += field("From") + field("Subject") + "\r\n" + lines("content", 20) + "z\r\n"
	at := rapid.IntRange(0, 4000).Draw(t, "at")
	with := rapid.SampledFrom([]string{"", "", "x", " ", "\r\n", " \r\n", "\t"}).Draw(t, "with")
	cut := rapid.IntRange(0, 2).Draw(t, "cut")
	change = func(signed string) string {
		if with == "" && cut == 0 {
			return signed
		}
		i := at % len(signed)
		return signed[:i] + with + signed[min(len(signed), i+cut):]
	}
	return s, text, change
}

// comparable leaves out what the libraries judge differently by intention:
// bare CR and LF, several From fields, lines that are no fields, a body that
// does not end in CRLF, no body.
func comparable(text string) bool {
	plain := strings.ReplaceAll(text, "\r\n", "")
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	low := "\n" + strings.ToLower(head)
	froms := strings.Count(low, "\nfrom:") + strings.Count(low, "\nfrom :") + strings.Count(low, "\nfrom\t:")
	return !strings.ContainsAny(plain, "\r\n") && froms == 1 && strings.HasSuffix(text, "\r\n") && strings.Contains(text, "\r\n\r\n")
}

func TestWeAgreeWithGoMsgauth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { agree(t, msgauthPasses) })
}

func FuzzWeAgreeWithGoMsgauth(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { agree(t, msgauthPasses) }))
}

// agree signs a message, changes it, and compares what we say with another
// library.
func agree(t *rapid.T, other func(tester, zone, string) []bool) {
	s, text, change := scene(t)
	m := dkim.NewMessage(s.Body)
	if _, err := m.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	field, err := s.Sign(m, now())
	if err != nil {
		t.Fatal(err)
	}
	z := zone{"s._domainkey.example.org": {record(s.Key, "")}}
	changed := change(string(field) + text)
	if !comparable(changed) {
		t.Skip("judged differently by intention")
	}
	m = dkim.NewMessage()
	if _, err := m.Write([]byte(changed)); err != nil {
		t.Fatal(err)
	}
	results := m.Verify(t.Context(), dkim.NewKeys(z, 0), now())
	if m.Malformed() != "" {
		t.Skip("judged differently by intention")
	}
	theirs := other(t, z, changed)
	if len(results) != len(theirs) {
		t.Fatalf("%d results, they have %d\n%q", len(results), len(theirs), changed)
	}
	for i, r := range results {
		if (r.Status == dkim.Pass) != theirs[i] {
			t.Fatalf("%+v, they say %v\n%q", r, theirs[i], changed)
		}
	}
}

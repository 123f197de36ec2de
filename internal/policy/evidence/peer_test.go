package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"posthorn/internal/testkit/authority"
	"posthorn/internal/testkit/need"
)

// dkimpy does one task and returns the fields it writes.
func dkimpy(t testing.TB, task map[string]any) string {
	t.Helper()
	for name, folder := range map[string]string{"python3-dkim": "dkim", "python3-authres": "authres"} {
		if _, err := os.Stat("/usr/lib/python3/dist-packages/" + folder); err != nil {
			need.Missing(t, name)
		}
	}
	told, err := json.Marshal([]any{task})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-B", "../../wire/dkim/testdata/dkimpy.py")
	cmd.Stdin = bytes.NewReader(told)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dkimpy: %v\n%s", err, stderr.String())
	}
	var fields []string
	if err := json.Unmarshal(out, &fields); err != nil || fields[0] == "" {
		t.Fatalf("dkimpy: %v\n%s", err, out)
	}
	return fields[0]
}

func TestMailSignedAndSealedByDkimpyIsAuthentic(t *testing.T) {
	t.Parallel()
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	_, e := keys()
	text := sample
	for _, job := range []map[string]any{
		{"selector": "r", "key": string(pem), "canon": []string{"relaxed", "simple"}, "algorithm": "rsa-sha256"},
		{"selector": "e", "key": base64.StdEncoding.EncodeToString(e.Seed()), "canon": []string{"simple", "relaxed"}, "algorithm": "ed25519-sha256"},
	} {
		job["do"], job["message"], job["domain"] = "sign", text, "example.org"
		text = dkimpy(t, job) + text
	}
	z := authority.New(t, everybody(t), `_dmarc.example.org. TXT "v=DMARC1; p=reject; adkim=s"`)
	f := judged(authenticity(z), text)
	f.Sender.Domain = "list.example"
	got := f.Authentication(t.Context())
	if got.DMARC.Result != "pass" || len(got.Signatures) != 2 || got.Signatures[0].Result != "pass" || got.Signatures[1].Result != "pass" {
		t.Fatalf("%+v", got)
	}
	text = "Authentication-Results: list.example; dkim=pass header.d=example.org; dmarc=pass header.from=example.org\r\n" + footed(text)
	text = dkimpy(t, map[string]any{"do": "seal", "message": text, "selector": "r", "domain": "list.example", "server": "list.example", "key": string(pem), "algorithm": "rsa-sha256"}) + text
	f = judged(authenticity(z, "list.example"), text)
	f.Sender.Domain = "list.example"
	got = f.Authentication(t.Context())
	if c := got.Chain; got.DMARC.Result != "fail" || c.Result != "pass" || !c.Trusted || !c.Passed {
		t.Errorf("%+v", got)
	}
}

func BenchmarkAuthenticity(b *testing.B) {
	z := authority.New(b, everybody(b), spfZone, `_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@example.org"`)
	body := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789 lorem ipsum\r\n", 20<<10/73)
	for name, text := range map[string]string{"signed": sign(b, author("example.org", "r"), sample+body), "unsigned": sample + body} {
		b.Run(name, func(b *testing.B) {
			a := authenticity(z)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				f := judged(a, text)
				b.StartTimer()
				if got := f.Authentication(b.Context()); got.DMARC.Result != "pass" {
					b.Fatal(got)
				}
			}
		})
	}
}

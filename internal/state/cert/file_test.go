package cert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong with a file is said by the name it has in posthorn.toml.
func TestAFileThatIsNoneIsNamedWithItsRemedy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const block = "-----BEGIN %s-----\nAAAA\n-----END %s-----\n"
	text, cert, key := file("text", "root:x:0:0\n"), file("cert", strings.ReplaceAll(block, "%s", "CERTIFICATE")), file("key", strings.ReplaceAll(block, "%s", "EC PRIVATE KEY"))
	for _, tt := range []struct {
		pair Pair
		say  []string
	}{
		{Pair{Cert: "/nope", Key: key}, []string{"tls.certificate: the file /nope does not exist", "posthorn.toml"}},
		{Pair{Cert: cert, Key: "/nope"}, []string{"tls.key: the file /nope does not exist"}},
		{Pair{Cert: text, Key: key}, []string{"tls.certificate: " + text + " holds no certificate in PEM form", "-----BEGIN CERTIFICATE-----"}},
		{Pair{Cert: key, Key: key}, []string{"tls.certificate: " + key + " holds no certificate"}},
		{Pair{Cert: cert, Key: text}, []string{"tls.key: " + text + " holds no private key in PEM form", cert}},
		{Pair{Cert: cert, Key: cert}, []string{"tls.key: " + cert + " holds no private key"}},
		{Pair{Cert: cert, Key: key}, []string{"tls.certificate, tls.key: ", "cannot be used together"}},
	} {
		_, err := load(tt.pair)
		for _, say := range tt.say {
			if err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%+v: %v, want %q", tt.pair, err, say)
			}
		}
	}
}

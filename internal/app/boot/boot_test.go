package boot

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheBootstrapFileIsReadOrExplained(t *testing.T) {
	for _, c := range []struct{ text, wrong string }{
		{"", ""},
		{"data = \"mail\"\nproxies = [\"192.0.2.0/24\"]\n[listen]\nsmtp = [\"127.0.0.1:2525\"]\nlmtp = [\"/run/posthorn/lmtp\"]\n", ""},
		{"[store]\nengine = \"postgresql\"\ndsn = \"host=a,b\"\n", ""},
		{"\nhostname = \"x\"\n", `line 2: unknown field "hostname"`},
		{"data = \n", "line 1"},
		{"[store]\ncache = \"32MB\"\n", ""},
		{"[store]\ncache = \"lots\"\n", "not a size"},
		{"[store]\ncache = \"64KB\"\n", "store.cache is 64KB; give at least 2MB"},
		{"[store]\nengine = \"postgresql\"\ndsn = \"host=a\"\ncache = \"32MB\"\n", "shared_buffers"},
		{"[store]\nengine = \"mysql\"\n", "store.engine"},
		{"[store]\nengine = \"postgresql\"\n", "store.dsn"},
		{"[listen]\nsmpt = [\":25\"]\n", `"smpt"`},
		{"[listen]\nsmtp = [\"25\"]\n", "ADDRESS:PORT"},
		{"[tls]\ncertificate = \"a\"\n", "tls.key"},
		{"[dns]\npreferred = \"ns.example\"\n", "dns.preferred"},
		{"[dns]\nalternate = \"192.0.2.53:53\"\n", "dns.preferred"},
		{"[log]\nlevel = \"loud\"\n", "log.level"},
		{"[listen]\nsmtp = \":25\"\n", `line 2: listen.smtp is a list of texts in quotes: smtp = ["127.0.0.1:2525"]`},
		{"[listen]\nsmtp = [25]\n", "line 2: listen.smtp is a list of texts"},
		{"data = [\"x\"]\n", `line 1: data is a text in quotes: data = "..."`},
		{"[log]\nlevel = 3\n", "line 2: log.level is a text"},
		{"tls = \"x\"\n", "line 1: tls is a section: write [tls] in a line of its own"},
		{"listen = 5\n", "listen is a section"},
		{"proxies = [\"foo\"]\n", `line 1: proxies is a list of networks in quotes: proxies = ["192.0.2.0/24"]`},
		{"proxies = \"192.0.2.0/24\"\n", "proxies is a list of networks"},
		{"proxies = [\"192.0.2.0/24\", 7]\n", "proxies is a list of networks"},
	} {
		name := filepath.Join(t.TempDir(), "posthorn.toml")
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(name)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || (!strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "TOML") || strings.Contains(err.Error(), "netip."))) {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	if _, err := Load("/nonexistent/posthorn.toml"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Error(err)
	}
}

// What docs/running.md shows of posthorn.toml can be taken over, with and
// without the lines that are commented out.
func TestTheDocumentedFileLoads(t *testing.T) {
	page, err := os.ReadFile("../../../docs/running.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := regexp.MustCompile(`(?m)^# (\w+ = )`)
	files := regexp.MustCompile("(?ms)^```toml\n(.*?)^```").FindAllSubmatch(page, -1)
	switches := 0
	for _, f := range files {
		whole := fields.ReplaceAll(f[1], []byte("$1"))
		switches += len(fields.FindAll(f[1], -1))
		for _, text := range [][]byte{f[1], whole} {
			name := filepath.Join(t.TempDir(), "posthorn.toml")
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(name); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		}
	}
	if len(files) < 2 || switches == 0 {
		t.Errorf("%d files with %d fields commented out: the page is read wrongly", len(files), switches)
	}
}

package setting

import (
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

func TestSettingsFilesAreRead(t *testing.T) {
	t.Parallel()
	entries, err := ParseFile([]byte("\ufeff# head\nprofile = \"trial\"\r\n[a.b]\nx.y = 5 # five\n  s = \"q\\\"\\u00fc\\n\" \nt = 'C:\\x'\n\n[c]\nl = [ # list\n \"a\", 'b c',\n]\nf = -1.5\non = true\ne = []"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{"profile", "trial", 2}, {"a.b.x.y", "5", 4}, {"a.b.s", "q\"ü\n", 5}, {"a.b.t", `C:\x`, 6},
		{"c.l", `["a", "b c"]`, 9}, {"c.f", "-1.5", 12}, {"c.on", "true", 13}, {"c.e", "", 14},
	}
	if len(entries) != len(want) {
		t.Fatalf("%d entries: %+v", len(entries), entries)
	}
	for i, e := range entries {
		if e != want[i] {
			t.Errorf("entry %d = %+v, want %+v", i, e, want[i])
		}
	}
}

func TestBrokenSettingsFilesNameTheLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a = 1\nb": "line 2: '='", "a = 1\na = 2": "line 2: a was set in line 1", "\n[x": "line 2: ']'", "a = \"x": `closing "`,
		"a = 'x": "closing '", "a = [1": "closing ]", "a = [1 2]": "comma", "a = x": "no value", "a = 5m": "no value",
		"a = 1 2": "unexpected", "a = ": "value is missing", "= 5": "name is missing", "[]": "name is missing", "a..b = 1": "name is missing",
		"a = \"\\x\"": "unknown escape", "a = \"\\uD800\"": "unknown escape", "a = \"x\ny\"": `closing "`, "\xff": "UTF-8", "a = 0x10": "no value",
		strings.Repeat("#", maxFile+1): "over",
	} {
		if _, err := ParseFile([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want …%s…", in, err, want)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	for _, s := range []string{"", "a = 1", "[a.b]\nc = \"x\\n\" # y", "l = [\"a\", 'b', 3,]\n", "x = true\r\n[y]\r\nz = -1.5e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		entries, err := ParseFile([]byte(s))
		if err != nil {
			return
		}
		var out strings.Builder
		for _, e := range entries {
			out.WriteString(e.Name + " = " + quote(e.Text) + "\n")
		}
		again, err := ParseFile([]byte(out.String()))
		if err != nil || len(again) != len(entries) {
			t.Fatalf("%q is written as %q, which does not read: %v", s, out.String(), err)
		}
		for i, e := range again {
			if e.Name != entries[i].Name || e.Text != entries[i].Text {
				t.Fatalf("%q: %+v became %+v", s, entries[i], e)
			}
		}
		if tree := map[string]any{}; !strings.ContainsAny(s, ".-") && toml.Unmarshal([]byte(out.String()), &tree) != nil {
			t.Fatalf("%q is written as %q, which is not TOML", s, out.String())
		}
	})
}

package internal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// source makes a file of the house from text.
func source(t *testing.T, dir, text string) *file {
	t.Helper()
	f := &file{path: dir + "/x.go", dir: dir, set: token.NewFileSet()}
	var err error
	if f.ast, err = parser.ParseFile(f.set, "x.go", "package x\n"+text, parser.ParseComments); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRulesTellTablesFromState(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`var n int`:                                 true,
		`var mu sync.Mutex`:                         true,
		`var c atomic.Int64`:                        true,
		`var seen = map[string]bool{}`:              true,
		`var seen = make(map[string]int)`:           true,
		`var s = ident.NewSource()`:                 true,
		`var m = &sync.Mutex{}; var x = sync.Map{}`: true,
		`var ErrX = errors.New("x")`:                false,
		`var pool sync.Pool`:                        false,
		`var pools [3]sync.Pool`:                    false,
		`var t = map[string]bool{"a": true}`:        false,
		`var re = regexp.MustCompile("x")`:          false,
		`var once = sync.OnceValue(f)`:              false,
		"//go:embed x\nvar page string":             false,
	} {
		got := false
		for _, spec := range packageVars(source(t, "base/x", text)) {
			got = got || mutable(spec, 0) != ""
		}
		if got != want {
			t.Errorf("%s: state %v, want %v", text, got, want)
		}
	}
}

func TestRulesFindAssignments(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`table = nil`:               1,
		`table["a"] = 1`:            1,
		`table["a"]++`:              1,
		`delete(table, "a")`:        1,
		`clear(table)`:              1,
		`(*other).field = 1`:        0,
		`table := table; table = 1`: 0,
		`_ = table`:                 0,
	} {
		f := source(t, "base/x", "var table = map[string]int{\"a\": 0}\nfunc f() { "+body+" }")
		vars := map[string]*ast.ValueSpec{"table": packageVars(f)[0]}
		if got := len(assigned(f, vars)); got != want {
			t.Errorf("%s: %d assignments, want %d", body, got, want)
		}
	}
}

func TestRulesKnowWhatIsForbiddenWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dir, pkg, name string
		want           bool
	}{
		{"flow/route", "net", "LookupMX", true},
		{"flow/route", "net", "DefaultResolver", true},
		{"flow/route", "net", "ResolveTCPAddr", true},
		{"base/dns", "net", "Resolver", false},
		{"flow/route", "net", "Dial", true},
		{"flow/remote", "net", "Dialer", false},
		{"server/listen", "net", "DialUnix", false},
		{"app/cli", "http", "Get", true},
		{"wire/imap", "time", "Now", true},
		{"wire/imap", "time", "Duration", false},
		{"wire/spf", "net", "IP", false},
		{"wire/spf", "net", "Conn", true},
		{"state/store", "time", "Now", false},
	} {
		if got := forbidden(&file{dir: c.dir}, c.pkg, c.name); (got != "") != c.want {
			t.Errorf("%s in %s: %q", c.pkg+"."+c.name, c.dir, got)
		}
	}
	for dir, want := range map[string]bool{"testkit/daemon": true, "state/store/storetest": true, "state/store": false} {
		if helper(dir) != want {
			t.Errorf("%s: helper %v", dir, !want)
		}
	}
}

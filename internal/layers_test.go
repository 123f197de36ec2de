// Package internal holds no code, only this test: it reads the source of the
// whole program and sees that the house keeps its order. The lists below are
// the exceptions; each is a design decision and carries its reason.
package internal

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors, from the ground up. Imports go only down.
var floors = []string{"base", "wire", "state", "policy", "flow", "server", "app"}

// dialers are the packages that open connections by net.Dialer or net.Dial,
// always to an IP address or a path, never to a name.
var dialers = map[string]string{
	"base/dns":      "the resolver itself asks name servers by address",
	"flow/remote":   "the next host, by an address the resolver gave",
	"server/manage": "the control socket, a path in the data folder",
	"app/cli":       "posthorn try, on loopback",
	"app":           "scanners, by an address the resolver gave",
}

// databaseFolders are where SQL may be spoken.
var databaseFolders = map[string]string{
	"state/store":  "all of the program's truth",
	"state/junk":   "what the spam filter learned, which may be lost, in a file of its own",
	"state/record": "decision records, which may be lost, in a file of their own away from the store's commits",
}

// databases are the packages that speak it.
var databases = []string{"zombiezen.com/go/sqlite", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "database/sql"}

// linked are variables without a value in the source.
var linked = map[string]string{
	"app/cli.version": "set by the linker for releases (-ldflags -X)",
}

// long are files over maxLines, with the reason why splitting reads worse.
var long = map[string]string{}

const maxLines = 500

// file is one parsed file of the program.
type file struct {
	path  string // from the module's root, "internal/base/mail/domain.go"
	dir   string // the package below internal, "base/mail", or "cmd/posthorn"
	test  bool
	lines int
	set   *token.FileSet
	ast   *ast.File
}

func (f *file) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(p).Line)
}

// kit reports test helpers, which are bound by the rules for tests.
func (f *file) kit() bool { return f.test || helper(f.dir) }

// helper reports packages made for tests: testkit, and suites like storetest.
func helper(dir string) bool {
	return strings.HasPrefix(dir, "testkit") || strings.HasSuffix(path.Base(dir), "test")
}

// imports returns the paths, those of the module without "posthorn/internal/".
func (f *file) imports() map[string]token.Pos {
	all := map[string]token.Pos{}
	for _, i := range f.ast.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue // the compiler tells
		}
		all[p] = i.Pos()
	}
	return all
}

// read parses the program once for each test that asks; it takes well under
// a second.
func read(t *testing.T) []*file {
	t.Helper()
	var all []*file
	for _, top := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(p, ".go") {
				return nil
			}
			f, err := parse(filepath.ToSlash(p))
			all = append(all, f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found: the test looks in the wrong place", len(all))
	}
	return all
}

func parse(p string) (*file, error) {
	src, err := os.ReadFile(p)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(p, "../")
	f := &file{path: name, test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(src, []byte("\n")), set: token.NewFileSet()}
	f.dir = strings.TrimPrefix(path.Dir(name), "internal/")
	// Object resolution tells package variables from local ones.
	f.ast, err = parser.ParseFile(f.set, name, src, parser.ParseComments)
	return f, err
}

// place splits "wire/imap/x" into floor and room; ok is false outside the house.
func place(dir string) (floor int, inside string, ok bool) {
	parts := strings.SplitN(dir, "/", 3)
	floor = slices.Index(floors, parts[0])
	if floor >= 0 && len(parts) > 1 {
		inside = parts[1]
	}
	return floor, inside, floor >= 0
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	for _, f := range read(t) {
		floor, here, ok := place(f.dir)
		if !ok || f.test {
			continue
		}
		for p, pos := range f.imports() {
			target, inside := strings.CutPrefix(p, "posthorn/internal/")
			if !inside {
				continue
			}
			toFloor, there, ok := place(target)
			from, to := room(f.dir), room(target)
			switch {
			case !ok:
				t.Errorf("%s: imports %s, which is on no floor", f.at(pos), target)
			case toFloor > floor:
				t.Errorf("%s: %s imports %s, which is above it", f.at(pos), from, to)
			case toFloor == floor && there != here && siblings[from+" -> "+to] == "":
				t.Errorf("%s: %s imports its sibling %s; say why in internal/layers_siblings_test.go", f.at(pos), from, to)
			}
		}
	}
}

// room shortens "wire/imap/x" to "wire/imap".
func room(dir string) string {
	parts := strings.Split(dir, "/")
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func TestTestHelpersStayInTests(t *testing.T) {
	t.Parallel()
	for _, f := range read(t) {
		for p, pos := range f.imports() {
			inside, ours := strings.CutPrefix(p, "posthorn/internal/")
			if !f.kit() && (ours && helper(inside) || p == "testing") {
				t.Errorf("%s: imports %s, which is for tests", f.at(pos), p)
			}
		}
	}
}

func TestFloorsKeepToTheirTrade(t *testing.T) {
	t.Parallel()
	for _, f := range read(t) {
		if f.kit() {
			continue
		}
		for p, pos := range f.imports() {
			switch {
			case strings.HasPrefix(f.dir, "wire/") && slices.Contains([]string{"os", "os/exec", "syscall", "net/http"}, p):
				t.Errorf("%s: wire imports %s; grammars know no machine", f.at(pos), p)
			case strings.HasPrefix(f.dir, "policy") && f.dir != "policy/scan" && slices.Contains([]string{"net", "net/http", "crypto/tls", "os"}, p):
				t.Errorf("%s: policy imports %s; checks see facts, not sockets", f.at(pos), p)
			case slices.ContainsFunc(databases, func(d string) bool { return p == d || strings.HasPrefix(p, d+"/") }) && databaseFolders[room(f.dir)] == "":
				t.Errorf("%s: imports %s; SQL stays in databaseFolders", f.at(pos), p)
			}
		}
	}
}

// forbidden judges one use of a standard package, "net.LookupHost" say.
func forbidden(f *file, pkg, name string) string {
	full := pkg + "." + name
	_, mayDial := dialers[room(f.dir)]
	switch {
	case f.dir != "base/dns" && pkg == "net" && (strings.HasPrefix(name, "Lookup") || strings.HasPrefix(name, "Resolve") || strings.HasSuffix(name, "Resolver")):
		return full + " asks the system's resolver; names are looked up by base/dns alone"
	case !mayDial && pkg == "net" && (name == "Dial" || name == "DialTimeout" || name == "Dialer"):
		return full + " could dial a name; list the package in dialers of internal/layers_test.go with the reason"
	case pkg == "http" && slices.Contains([]string{"Get", "Post", "PostForm", "Head", "DefaultClient", "DefaultTransport"}, name):
		return full + " dials names by the system's resolver"
	case strings.HasPrefix(f.dir, "wire/") && pkg == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}, name):
		return full + ": wire has no clock; take the time as an argument"
	case strings.HasPrefix(f.dir, "wire/") && pkg == "net" && !slices.Contains([]string{"IP", "IPAddr", "IPNet", "IPMask", "MX", "DNSError", "ParseIP", "ParseCIDR", "CIDRMask", "IPv4", "IPv4len", "IPv6len"}, name):
		return full + ": wire has no sockets"
	}
	return ""
}

func TestNamesClocksAndSocketsAreUsedWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for _, f := range read(t) {
		if f.kit() {
			continue
		}
		imported := map[string]bool{}
		for p := range f.imports() {
			imported[p] = true
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || pkg.Obj != nil || !imported[pkg.Name] && !imported["net/"+pkg.Name] {
				return true
			}
			if why := forbidden(f, pkg.Name, sel.Sel.Name); why != "" {
				t.Errorf("%s: %s", f.at(sel.Pos()), why)
			}
			return true
		})
	}
}

func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	for _, f := range read(t) {
		if f.lines > maxLines && long[f.path] == "" {
			t.Errorf("%s has %d lines; split it, or say in long of internal/layers_test.go why not", f.path, f.lines)
		}
	}
}

func TestPackagesSayWhatTheyDo(t *testing.T) {
	t.Parallel()
	documented, packages := map[string]bool{}, map[string]string{}
	for _, f := range read(t) {
		if f.test {
			continue
		}
		packages[f.dir] = f.ast.Name.Name
		want := "Package " + f.ast.Name.Name + " "
		if f.ast.Doc == nil {
			continue
		}
		if f.ast.Name.Name != "main" && !strings.HasPrefix(f.ast.Doc.Text(), want) {
			t.Errorf("%s: the package comment must begin with %q", f.path, want)
		}
		if documented[f.dir] {
			t.Errorf("%s: a second package comment in %s", f.path, f.dir)
		}
		documented[f.dir] = true
	}
	for dir := range packages {
		if !documented[dir] {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func TestNothingRunsBeforeMain(t *testing.T) {
	t.Parallel()
	for _, f := range read(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init function", f.at(fn.Pos()))
			}
		}
	}
}

// TestPackageVariablesAreTables is a heuristic: a package variable has a value
// from the start, is not of a type made for change, and nobody assigns to it.
func TestPackageVariablesAreTables(t *testing.T) {
	t.Parallel()
	packages := map[string][]*file{}
	for _, f := range read(t) {
		if !f.test {
			packages[f.dir] = append(packages[f.dir], f)
		}
	}
	for _, files := range packages {
		vars := map[string]*ast.ValueSpec{}
		for _, f := range files {
			for _, spec := range packageVars(f) {
				for i, id := range spec.Names {
					if id.Name == "_" {
						continue // an assertion for the compiler
					}
					vars[id.Name] = spec
					if why := mutable(spec, i); why != "" && linked[f.dir+"."+id.Name] == "" {
						t.Errorf("%s: package variable %s %s", f.at(id.Pos()), id.Name, why)
					}
				}
			}
		}
		for _, f := range files {
			for _, id := range assigned(f, vars) {
				t.Errorf("%s: package variable %s is changed", f.at(id.Pos()), id.Name)
			}
		}
	}
}

// packageVars returns the variables of the file; //go:embed ones have no
// value in the source and are left out.
func packageVars(f *file) []*ast.ValueSpec {
	var all []*ast.ValueSpec
	for _, d := range f.ast.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || embeds(g.Doc) {
			continue
		}
		for _, s := range g.Specs {
			if spec := s.(*ast.ValueSpec); !embeds(spec.Doc) {
				all = append(all, spec)
			}
		}
	}
	return all
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// changing are types that exist to be changed; sync.Pool is a cache without
// meaning and allowed.
var changing = []string{"sync.Mutex", "sync.RWMutex", "sync.Map", "sync.Once", "sync.WaitGroup", "atomic.", "bytes.Buffer", "rand.Rand"}

// makers are constructors whose product does not change.
var makers = []string{"errors.New", "strings.NewReplacer", "base32.NewEncoding", "base64.NewEncoding", "prometheus.New", "big.NewInt", "bluemonday.NewPolicy", "language.NewMatcher", "idna.New", "reply.New"}

// mutable says why the i-th variable of the spec is no table, or "".
func mutable(spec *ast.ValueSpec, i int) string {
	kind := text(spec.Type)
	if strings.HasSuffix(kind, "sync.Pool") {
		return ""
	}
	for _, c := range changing {
		if strings.HasPrefix(strings.TrimPrefix(kind, "*"), c) {
			return "is made to be changed (" + kind + ")"
		}
	}
	if len(spec.Values) == 0 {
		return "has no value"
	}
	switch v := spec.Values[min(i, len(spec.Values)-1)].(type) {
	case *ast.CompositeLit:
		if _, isMap := v.Type.(*ast.MapType); isMap && len(v.Elts) == 0 {
			return "is an empty map, to be filled later"
		}
		if c := text(v.Type); slices.ContainsFunc(changing, func(s string) bool { return strings.HasPrefix(c, s) }) {
			return "is made to be changed (" + c + ")"
		}
	case *ast.CallExpr:
		fn := text(v.Fun)
		isMaker := slices.ContainsFunc(makers, func(m string) bool { return strings.HasPrefix(fn, m) })
		if fn == "make" || !isMaker && strings.HasPrefix(fn[strings.LastIndex(fn, ".")+1:], "New") {
			return "is made by " + fn + "; let its user own it"
		}
	}
	return ""
}

// text writes a type or function name: "sync.Pool", "*x.Y", "New".
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	case *ast.StarExpr:
		return "*" + text(e.X)
	case *ast.ArrayType:
		return "[]" + text(e.Elt)
	case *ast.IndexExpr:
		return text(e.X)
	case *ast.IndexListExpr:
		return text(e.X)
	}
	return ""
}

// assigned returns the places where the file changes one of the variables.
func assigned(f *file, vars map[string]*ast.ValueSpec) []*ast.Ident {
	var found []*ast.Ident
	look := func(e ast.Expr) {
		if id := root(e); id != nil && vars[id.Name] != nil && (id.Obj == nil || id.Obj.Decl == vars[id.Name]) {
			found = append(found, id)
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if n.Tok != token.DEFINE {
					look(e)
				}
			}
		case *ast.IncDecStmt:
			look(n.X)
		case *ast.CallExpr:
			if fn := text(n.Fun); (fn == "delete" || fn == "clear" || fn == "copy") && len(n.Args) > 0 {
				look(n.Args[0])
			}
		}
		return true
	})
	return found
}

// root returns x of x, x.y, x[i], *x and (x).
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

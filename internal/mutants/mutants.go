// Package mutants proves that the tests would notice if a rule stopped
// working. A table names every requirement with the tests that show it, and a
// list of mutations each switches one check or counter off, or moves one
// limit by one; `make mutants` builds the tests with all mutations, each behind
// a switch of its own, turns one on at a time and demands that the test named
// with it fails.
//
// The product knows nothing of this: mutated files take the place of others
// only in that build (go test -overlay). The package is used by its own tests
// alone.
package mutants

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Test is a test of the program.
type Test struct {
	// Package is its folder in the repository.
	Package string
	// Name is as go test -run takes it: "TestTranscripts/size". A part after
	// the slash is a transcript in the package's testdata.
	Name string
}

// Mutation is one change that a test must notice.
type Mutation struct {
	// Name says what the mutant does wrong.
	Name string
	// File is its path in the repository, Func the function that is changed:
	// "name" or "Type.name".
	File, Func string
	// Insert is put at the beginning of the function. When empty, Old, which
	// stands in the function exactly once, becomes New.
	Insert   string
	Old, New string
	// Killer must fail.
	Killer Test
	// Hangs says that it fails by never ending.
	Hangs bool
}

// Apply returns the source with the mutation.
func (m Mutation) Apply(src []byte) ([]byte, error) {
	begin, end, err := m.body(src)
	if err != nil {
		return nil, err
	}
	changed, err := m.change(src[begin:end])
	if err != nil {
		return nil, err
	}
	out := slices.Concat(src[:begin], changed, src[end:])
	if _, err := parser.ParseFile(token.NewFileSet(), m.File, out, 0); err != nil {
		return nil, errors.Join(errors.New("the mutant is no Go"), err)
	}
	return out, nil
}

// body finds the function's body in the source, without its braces.
func (m Mutation) body(src []byte) (begin, end int, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, m.File, src, parser.SkipObjectResolution)
	if err != nil {
		return 0, 0, err
	}
	fn := find(file, m.Func)
	if fn == nil {
		return 0, 0, fmt.Errorf("%s has no function %s", m.File, m.Func)
	}
	return set.Position(fn.Body.Lbrace).Offset + 1, set.Position(fn.Body.Rbrace).Offset, nil
}

// change returns the function's body with the mutation.
func (m Mutation) change(body []byte) ([]byte, error) {
	if m.Insert != "" {
		return slices.Concat([]byte(" "+m.Insert+"\n"), body), nil
	}
	if n := bytes.Count(body, []byte(m.Old)); n != 1 || m.Old == m.New {
		return nil, fmt.Errorf("%q stands %d times in %s of %s", m.Old, n, m.Func, m.File)
	}
	return bytes.Replace(body, []byte(m.Old), []byte(m.New), 1), nil
}

// find returns the function of the name.
func find(file *ast.File, name string) *ast.FuncDecl {
	typ, method, isMethod := strings.Cut(name, ".")
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		switch {
		case fn.Recv == nil && !isMethod && fn.Name.Name == name:
			return fn
		case fn.Recv != nil && isMethod && fn.Name.Name == method && receiver(fn) == typ:
			return fn
		}
	}
	return nil
}

func receiver(fn *ast.FuncDecl) string {
	t := fn.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

package internal

import (
	"go/ast"
	"strings"
	"testing"
)

// An event that nothing logs is an alarm that never rings. Metrics read what
// others log.
func TestEveryEventIsLoggedSomewhere(t *testing.T) {
	used := map[string]bool{}
	var declared []string
	for _, f := range read(t) {
		switch {
		case f.path == "internal/base/event/table.go":
			declared = exported(f.ast)
		case !f.kit() && f.path != "internal/app/counts.go" && !strings.HasPrefix(f.path, "internal/app/metrics"):
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "event" {
						used[s.Sel.Name] = true
					}
				}
				return true
			})
		}
	}
	if len(declared) < 50 {
		t.Fatalf("only %d events found in the table", len(declared))
	}
	for _, name := range declared {
		if !used[name] {
			t.Errorf("nothing logs event.%s; take it out of the table", name)
		}
	}
}

// exported are the constants of a file that others see.
func exported(f *ast.File) (names []string) {
	for _, d := range f.Decls {
		for _, s := range specs(d) {
			if v, ok := s.(*ast.ValueSpec); ok && v.Names[0].IsExported() {
				names = append(names, v.Names[0].Name)
			}
		}
	}
	return names
}

func specs(d ast.Decl) []ast.Spec {
	if g, ok := d.(*ast.GenDecl); ok {
		return g.Specs
	}
	return nil
}

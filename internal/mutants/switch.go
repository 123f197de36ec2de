package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Variable is the environment's name of the mutation that is on: its number in
// the list that was built, from 1. Without it the program is as it is shipped.
const Variable = "POSTHORN_MUTANT"

// switchFile is added to each package that has mutations.
const switchFile = `package %s

import (
	"os"
	"strconv"
)

var mutantOn, _ = strconv.Atoi(os.Getenv("` + Variable + `"))
`

// numbered is a mutation with its number in the list.
type numbered struct {
	Mutation
	number int
}

// switched returns the source of one file with all its mutations: each function
// begins with its mutated bodies, of which at most one is on.
func switched(src []byte, list []numbered) ([]byte, error) {
	bodies := map[int][]byte{} // by where the function's body begins
	for _, m := range list {
		begin, _, err := m.body(src)
		if err != nil {
			return nil, err
		}
		block, err := m.block(src)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		bodies[begin] = append(bodies[begin], block...)
	}
	var begins []int
	for begin := range bodies {
		begins = append(begins, begin)
	}
	slices.Sort(begins)
	var out []byte
	last := 0
	for _, begin := range begins {
		out = append(append(out, src[last:begin]...), bodies[begin]...)
		last = begin
	}
	return append(out, src[last:]...), nil
}

// block is the mutated body behind its switch. Messages of the compiler name
// the mutation instead of a file.
func (m numbered) block(src []byte) ([]byte, error) {
	mutant, err := m.Apply(src)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, m.File, mutant, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	fn := find(file, m.Func)
	begin, end := set.Position(fn.Body.Lbrace).Offset+1, set.Position(fn.Body.Rbrace).Offset
	text := string(mutant[begin:end])
	for _, at := range slices.Backward(labels(fn, set)) { // a function's labels are one namespace
		text = fmt.Sprintf("%s_%d%s", text[:at-begin], m.number, text[at-begin:])
	}
	leave := "\n"
	if fn.Type.Results == nil {
		leave = "\nreturn\n"
	}
	return fmt.Appendf(nil, "\nif mutantOn == %d {\n//line %s (mutant: %s):1\n%s%s}\n", m.number, m.File, strings.ReplaceAll(m.Name, ":", ""), text, leave), nil
}

// labels returns where the names of the function's labels end.
func labels(fn *ast.FuncDecl, set *token.FileSet) []int {
	var ends []int
	ast.Inspect(fn, func(n ast.Node) bool {
		var label *ast.Ident
		switch n := n.(type) {
		case *ast.LabeledStmt:
			label = n.Label
		case *ast.BranchStmt:
			label = n.Label
		}
		if label != nil {
			ends = append(ends, set.Position(label.End()).Offset)
		}
		return true
	})
	slices.Sort(ends)
	return ends
}

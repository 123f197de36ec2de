package api

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"posthorn/internal/server/manage"
)

var update = flag.Bool("update", false, "write derived documents")

const page = "../../../docs/api.md"

func TestAPIPageIsNotStale(t *testing.T) {
	want := Markdown()
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != string(want) {
		t.Errorf("docs/api.md is stale (%v); make docs repairs it", err)
	}
}

// node is any part of the description.
type node = map[string]any

func description(t *testing.T) node {
	t.Helper()
	text, err := json.Marshal(Describe(manage.New(manage.Options{})))
	if err != nil {
		t.Fatal(err)
	}
	var doc node
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// walk visits every object with its place.
func walk(v any, at string, visit func(at string, n node)) {
	switch v := v.(type) {
	case node:
		visit(at, v)
		for name, inner := range v {
			walk(inner, at+"/"+name, visit)
		}
	case []any:
		for _, inner := range v {
			walk(inner, at+"[]", visit)
		}
	}
}

// What OpenAPI 3.1 asks of a description as far as ours uses it: references
// lead somewhere, parameters match the path, identifiers are unique.
// Readers of the API have no list of requirements.
func TestTheDescriptionNamesNoRequirements(t *testing.T) {
	text, err := json.Marshal(description(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range regexp.MustCompile(`\b(M|B1G|ORD|SYS)(-[A-Z]+)+(-[0-9]+)?`).FindAllString(string(text), -1) {
		t.Errorf("%s is named", id)
	}
}

func TestTheDescriptionIsSound(t *testing.T) {
	t.Parallel()
	doc := description(t)
	if v, ok := doc["openapi"].(string); !ok || !strings.HasPrefix(v, "3.1.") {
		t.Errorf("openapi %v", doc["openapi"])
	}
	for _, need := range []string{"title", "version", "description"} {
		if text, ok := doc["info"].(node)[need].(string); !ok || text == "" {
			t.Errorf("info has no %s", need)
		}
	}
	types := map[string]bool{"object": true, "array": true, "string": true, "integer": true, "number": true, "boolean": true, "null": true}
	walk(doc, "#", func(at string, n node) {
		if ref, ok := n["$ref"].(string); ok && !leads(doc, ref) {
			t.Errorf("%s: %s leads nowhere", at, ref)
		}
		if pattern, ok := n["pattern"].(string); ok {
			if _, err := regexp.Compile(pattern); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
		if strings.Contains(at, "/schemas/") && !strings.HasSuffix(at, "/properties") {
			for _, one := range list(n["type"]) {
				if name, ok := one.(string); ok && !types[name] {
					t.Errorf("%s: the type %s", at, name)
				}
			}
			properties, _ := n["properties"].(node)
			for _, name := range list(n["required"]) {
				if name, ok := name.(string); ok && properties[name] == nil {
					t.Errorf("%s: requires %s, which it does not have", at, name)
				}
			}
		}
	})
}

// list makes a list of one or many.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

func leads(doc node, ref string) bool {
	rest, ok := strings.CutPrefix(ref, "#/")
	var at any = doc
	for name := range strings.SplitSeq(rest, "/") {
		n, isNode := at.(node)
		if !isNode {
			return false
		}
		at = n[name]
	}
	return ok && at != nil
}

// Every operation tells what a program needs to know before it calls.
func TestEveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	doc, seen := description(t), map[string]bool{}
	roles, changes := map[string]manage.Role{}, map[string]bool{}
	for _, op := range manage.Operations() {
		roles[op.ID], changes[op.ID] = op.Role, op.Changes
	}
	inPath := regexp.MustCompile(`\{(\w+)\}`)
	for path, item := range doc["paths"].(node) {
		for method, x := range item.(node) {
			op, at := x.(node), method+" "+path
			id, _ := op["operationId"].(string)
			if seen[id] || roles[id] == "" {
				t.Errorf("%s: the identifier %q is taken or unknown", at, id)
			}
			seen[id] = true
			if method == "put" {
				t.Errorf("%s: PATCH changes, POST adds and acts; nothing is PUT", at)
			}
			for _, need := range []string{"summary", "description", "tags", "security", "responses"} {
				if op[need] == nil || op[need] == "" {
					t.Errorf("%s: no %s", at, need)
				}
			}
			if text, _ := op["description"].(string); !strings.Contains(text, "role "+string(roles[id])) {
				t.Errorf("%s: the description does not tell the role: %s", at, text)
			}
			for _, s := range list(op["security"]) {
				for name := range s.(node) {
					if !leads(doc, "#/components/securitySchemes/"+name) {
						t.Errorf("%s: the security scheme %s", at, name)
					}
				}
			}
			responses(t, at, op, changes[id], strings.Contains(path, "{"))
			var names []string
			for _, p := range list(op["parameters"]) {
				p := p.(node)
				if p["in"] == "path" {
					names = append(names, p["name"].(string))
				}
				if p["schema"] == nil {
					t.Errorf("%s: parameter %v has no schema", at, p["name"])
				}
			}
			for _, m := range inPath.FindAllStringSubmatch(path, -1) {
				if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+m[1]+" ") {
					t.Errorf("%s: {%s} is no parameter", at, m[1])
				}
			}
		}
	}
	for id := range roles {
		if !seen[id] {
			t.Errorf("%s is not described", id)
		}
	}
}

// responses checks that success and errors are told.
func responses(t *testing.T, at string, op node, changes, named bool) {
	t.Helper()
	need := []string{"401", "403", "422", "500", "503"}
	if named {
		need = append(need, "404")
	}
	if changes {
		need = append(need, "409")
	}
	if op["requestBody"] != nil {
		need = append(need, "400", "413", "415")
	}
	all, success := op["responses"].(node), 0
	for code, r := range all {
		if r.(node)["description"] == "" {
			t.Errorf("%s: %s is not described", at, code)
		}
		if strings.HasPrefix(code, "2") {
			success++
		}
	}
	if success != 1 {
		t.Errorf("%s: %d kinds of success", at, success)
	}
	for _, code := range need {
		r, ok := all[code].(node)
		if !ok {
			t.Errorf("%s: nothing about %s", at, code)
			continue
		}
		if content, _ := r["content"].(node); content["application/problem+json"] == nil {
			t.Errorf("%s: %s is no problem+json", at, code)
		}
	}
}

package api

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"posthorn/internal/server/manage"
)

// Markdown returns docs/api.md: every operation with its route, role, fields
// and answer, made from the same declarations as the description.
func Markdown() []byte {
	doc := Describe(manage.New(manage.Options{}))
	var b bytes.Buffer
	b.WriteString(`# The HTTP API

<!-- Made from the declarations in internal/server/manage; make docs repairs it. -->

` + wrapText(doc.Info.Description) + `

How to reach it, and who may: docs/running.md. For programs: ` + "`" + prefix + `/openapi.json` + "`" + ` (OpenAPI ` + doc.OpenAPI + `).

| Operation | Request | Role |
|---|---|---|
`)
	operations := manage.Operations()
	for _, op := range operations {
		fmt.Fprintf(&b, "| [%s](#%s) | `%s %s` | %s |\n", op.ID, op.ID, op.Method, prefix+op.Path, op.Role)
	}
	for _, op := range operations {
		d := described(doc, op)
		fmt.Fprintf(&b, "\n## %s\n\n`%s %s`\n\n%s\n", op.ID, op.Method, prefix+op.Path, op.Description())
		parameters(&b, d)
		if d.RequestBody != nil {
			fields(&b, doc, "Body", d.RequestBody.Content["application/json"].Schema)
		}
		for _, code := range []string{"200", "201"} {
			if r := d.Responses[code]; r != nil && r.Content["application/json"] != nil {
				fields(&b, doc, "Answer "+code, r.Content["application/json"].Schema)
			}
		}
	}
	b.WriteString("\n## Errors\n\n| Status | What it means |\n|---|---|\n")
	for _, code := range slices.Sorted(maps.Keys(remedies())) {
		fmt.Fprintf(&b, "| %d | %s |\n", code, remedies()[code])
	}
	return b.Bytes()
}

func described(doc *huma.OpenAPI, op manage.Operation) *huma.Operation {
	item := doc.Paths[prefix+op.Path]
	if item == nil {
		item = doc.Paths[op.Path]
	}
	for _, d := range operationsOf(item) {
		if d.OperationID == op.ID {
			return d
		}
	}
	return &huma.Operation{}
}

func parameters(b *bytes.Buffer, op *huma.Operation) {
	if len(op.Parameters) == 0 {
		return
	}
	b.WriteString("\n| Parameter | In | Type | Meaning |\n|---|---|---|---|\n")
	for _, p := range op.Parameters {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.Name, p.In, kind(p.Schema), cell(cmp.Or(p.Description, p.Schema.Description)))
	}
}

// fields lists what an object has; of a list, what its items have.
func fields(b *bytes.Buffer, doc *huma.OpenAPI, title string, s *huma.Schema) {
	s = resolve(doc, s)
	if s == nil || len(s.Properties) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s | Type | Meaning |\n|---|---|---|\n", title)
	rows(b, doc, "", s, 0)
}

// rows goes into nested objects, but not without end.
func rows(b *bytes.Buffer, doc *huma.OpenAPI, at string, s *huma.Schema, depth int) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		inner := resolve(doc, p)
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", at, name, kind(inner), cell(p.Description))
		next, below := inner, at+name+"."
		if inner.Type == huma.TypeArray {
			next, below = resolve(doc, inner.Items), at+name+"[]."
		}
		if depth < 3 && next != nil && len(next.Properties) > 0 {
			rows(b, doc, below, next, depth+1)
		}
	}
}

func resolve(doc *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	for s != nil && s.Ref != "" {
		s = doc.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// kind names a type in a word or two.
func kind(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case len(s.Enum) > 0:
		var words []string
		for _, v := range s.Enum {
			if text := fmt.Sprint(v); text != "" {
				words = append(words, text)
			}
		}
		return strings.Join(words, ", ")
	case len(s.OneOf) > 0:
		return "integer or text"
	case s.Type == huma.TypeArray:
		return "list"
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(strings.TrimSpace(text))
}

// wrapText puts one sentence on a line.
func wrapText(text string) string { return strings.ReplaceAll(text, ". ", ".\n") }

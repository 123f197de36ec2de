package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Collect reads all packages under root/internal and returns the text of
// docs.txt: for each struct and field a line "== import/path.Type.Field" and
// its comment, sorted.
func Collect(root string) ([]byte, error) {
	docs := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		return collectFile(file, path.Join("posthorn", filepath.ToSlash(rel)), docs)
	})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(docs)) {
		fmt.Fprintf(&out, "== %s\n%s\n", key, docs[key])
	}
	return out.Bytes(), nil
}

func collectFile(file, pkg string, docs map[string]string) error {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, decl := range tree.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			spec := spec.(*ast.TypeSpec)
			body, ok := spec.Type.(*ast.StructType)
			if !ok || !isSettings(body) {
				continue
			}
			key := pkg + "." + spec.Name.Name
			comment := spec.Doc
			if comment == nil {
				comment = gen.Doc
			}
			put(docs, key, comment)
			for _, f := range body.Fields.List {
				comment := f.Doc
				if comment == nil {
					comment = f.Comment
				}
				for _, name := range f.Names {
					put(docs, key+"."+name.Name, comment)
				}
			}
		}
	}
	return nil
}

func put(docs map[string]string, key string, comment *ast.CommentGroup) {
	if text := strings.TrimSpace(comment.Text()); text != "" {
		docs[key] = withoutIDs(text)
	}
}

// id is a requirement as comments name it: (M-GEN-11), or (mail of others, B1G-SPF).
// Who reads the code wants to know it; an administrator has nowhere to look it up.
const id = `(?:M|B1G|ORD|SYS)(?:-[A-Z]+)+(?:-[0-9]+)?`

var (
	inParentheses = regexp.MustCompile(`\s*\(` + id + `(?:, ` + id + `)*\)`)
	amongOthers   = regexp.MustCompile(`, ` + id + `\b|\b` + id + `, `)
)

// withoutIDs leaves requirements out, and fills the lines of the paragraphs
// that had one anew.
func withoutIDs(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if short := amongOthers.ReplaceAllString(inParentheses.ReplaceAllString(p, ""), ""); short != p {
			paragraphs[i] = fill(short)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// fill breaks a text into lines of at most 76 octets.
func fill(text string) string {
	var b strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		switch {
		case width == 0:
		case width+1+len(word) > 76:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
}

func isSettings(body *ast.StructType) bool {
	for _, f := range body.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		if _, ok := reflect.StructTag(tag).Lookup("default"); ok {
			return true
		}
	}
	return false
}

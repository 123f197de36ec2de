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
		docs[key] = text
	}
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

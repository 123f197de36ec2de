package setting

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// field is one declared setting.
type field struct {
	name    string // smtp.greeting_delay
	group   int
	index   []int // inside the group's struct
	codec   codec
	list    bool
	defs    map[Profile]string
	min     string
	max     string
	oneof   []string
	secret  bool
	restart bool
	lines   bool
	doc     string
}

// maxNesting bounds structs within structs.
const maxNesting = 4

// declare reads the tags of a struct.
func declare(typ reflect.Type, name string, docs map[string]string, defaults []Default) (*group, error) {
	if typ.Kind() != reflect.Struct {
		return nil, errors.New("a group of settings is a struct")
	}
	g := &group{name: name, typ: typ, doc: docs[docKey(typ, "")]}
	if err := g.declareStruct(typ, name, nil, docs); err != nil {
		return nil, err
	}
	for _, d := range defaults {
		if err := g.override(d); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *group) declareStruct(typ reflect.Type, prefix string, index []int, docs map[string]string) error {
	if len(index) >= maxNesting {
		return fmt.Errorf("%s: structs nested too deeply", prefix)
	}
	for i := range typ.NumField() {
		sf := typ.Field(i)
		if !sf.IsExported() {
			return fmt.Errorf("field %s is not exported", sf.Name)
		}
		at := append(append([]int(nil), index...), i)
		name := join(prefix, snake(sf.Name))
		if n, ok := sf.Tag.Lookup("name"); ok {
			name = join(prefix, n)
		}
		_, tagged := sf.Tag.Lookup("default")
		if !tagged && sf.Type.Kind() == reflect.Struct {
			if err := g.declareStruct(sf.Type, name, at, docs); err != nil {
				return err
			}
			continue
		}
		f, err := declareField(sf)
		if err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
		f.name, f.index, f.doc = name, at, plain(docs[docKey(typ, sf.Name)], sf.Name)
		if h, ok := reflect.Zero(sf.Type).Interface().(Helper); ok && f.doc != "" {
			f.doc += "\n\n" + h.SettingHelp()
		}
		g.fields = append(g.fields, f)
	}
	return nil
}

func declareField(sf reflect.StructField) (*field, error) {
	def, ok := sf.Tag.Lookup("default")
	if !ok {
		return nil, errors.New("has no default tag")
	}
	f := &field{defs: map[Profile]string{Recommended: def, Factory: def, Trial: def}}
	for p, tag := range map[Profile]string{Factory: "factory", Trial: "trial"} {
		if text, ok := sf.Tag.Lookup(tag); ok {
			f.defs[p] = text
		}
	}
	typ := sf.Type
	if typ.Kind() == reflect.Slice {
		f.list, typ = true, typ.Elem()
	}
	f.secret = sf.Tag.Get("secret") == "true" || typ == reflect.TypeFor[Secret]()
	f.restart = sf.Tag.Get("restart") == "true"
	f.lines = sf.Tag.Get("lines") == "true"
	f.min, f.max = sf.Tag.Get("min"), sf.Tag.Get("max")
	if one := sf.Tag.Get("oneof"); one != "" {
		f.oneof = strings.Split(one, ",")
	}
	var err error
	f.codec, err = codecFor(typ, sf.Tag.Get("kind"), f.lines)
	if err != nil {
		return nil, err
	}
	return f, f.checkRange(typ)
}

// checkRange makes sure that min and max can be read.
func (f *field) checkRange(typ reflect.Type) error {
	for _, text := range []string{f.min, f.max} {
		if text == "" {
			continue
		}
		if f.measure() != nil {
			if _, err := parseCount(text); err != nil {
				return err
			}
			continue
		}
		if f.codec.compare == nil {
			return fmt.Errorf("a %s has no order: min and max do not fit", f.codec.name)
		}
		if err := f.codec.parse(text, reflect.New(typ).Elem()); err != nil {
			return fmt.Errorf("range: %w", err)
		}
	}
	return nil
}

func (g *group) override(d Default) error {
	for _, f := range g.fields {
		if f.name != join(g.name, d.Field) {
			continue
		}
		f.defs = map[Profile]string{Recommended: d.Recommended, Factory: d.Recommended, Trial: d.Recommended}
		if d.Factory != "" {
			f.defs[Factory] = d.Factory
		}
		if d.Trial != "" {
			f.defs[Trial] = d.Trial
		}
		return nil
	}
	return fmt.Errorf("no field %s to give a default to", d.Field)
}

func (f *field) def(p Profile) string { return f.defs[p] }

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// snake writes GreetingDelay as greeting_delay and MaxIPs or TLSOnly as
// max_ips and tls_only.
func snake(s string) string {
	var b strings.Builder
	r := []rune(s)
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 {
			before, after := !unicode.IsUpper(r[i-1]), i+1 < len(r) && unicode.IsLower(r[i+1]) && string(r[i+1:]) != "s"
			if before || after {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// docKey is the name under which a doc comment is kept.
func docKey(typ reflect.Type, field string) string {
	return typ.PkgPath() + "." + strings.TrimSuffix(typ.Name()+"."+field, ".")
}

// plain turns a Go doc comment into a sentence for administrators, who do not
// know the field's name: "PerHost is the most connections" becomes "The most
// connections".
func plain(doc, field string) string {
	rest, ok := strings.CutPrefix(doc, field+" ")
	if !ok {
		return doc
	}
	for _, verb := range []string{"is ", "are "} {
		if r, ok := strings.CutPrefix(rest, verb); ok {
			rest = r
			break
		}
	}
	first, size := utf8.DecodeRuneInString(rest)
	return string(unicode.ToUpper(first)) + rest[size:]
}

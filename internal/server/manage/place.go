package manage

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// places says where in an API request each field of an input stands.
type places struct {
	named map[string]string // "name" -> "path.name"
	body  bool              // the request has one
}

// placesOf reads the tags of an input.
func placesOf[I any]() places {
	w := places{named: map[string]string{}}
	w.read(reflect.TypeFor[I]())
	return w
}

func (w *places) read(t reflect.Type) {
	for f := range t.Fields() {
		switch {
		case f.Name == "Body":
			w.body = true
			w.add("body.", f.Type)
			continue
		case f.Anonymous:
			w.read(f.Type)
			continue
		}
		for _, in := range []string{"path", "query"} {
			if name := f.Tag.Get(in); name != "" {
				w.named[name] = in + "." + name
			}
		}
	}
}

// add notes the fields of a body; one of the same name in the path is not hidden.
func (w places) add(prefix string, t reflect.Type) {
	if t.Kind() != reflect.Struct {
		return
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			w.add(prefix, f.Type)
		case name != "" && w.named[name] == "":
			w.named[name] = prefix + name
		}
	}
}

// of returns the place of a field, also of one inside it ("set.smtp.banner").
func (w places) of(field string) string {
	head, rest, more := strings.Cut(field, ".")
	place, ok := w.named[head]
	switch {
	case !ok:
		return field
	case more:
		return place + "." + rest
	}
	return place
}

// target names what an operation was done to: the values in its path, or those
// fields of what it adds or selects by that name something.
func target(in any) string {
	v := reflect.ValueOf(in).Elem()
	var all []string
	walk(v, func(f reflect.StructField, value reflect.Value) {
		if f.Tag.Get("path") != "" {
			all = append(all, fmt.Sprint(value.Interface()))
		}
	})
	if len(all) > 0 {
		return strings.Join(all, " ")
	}
	walk(v, func(f reflect.StructField, value reflect.Value) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !slices.Contains(naming, name) || value.IsZero() {
			return
		}
		switch value = reflect.Indirect(value); value.Kind() {
		case reflect.String:
			all = append(all, value.String())
		case reflect.Slice:
			for i := range value.Len() {
				all = append(all, fmt.Sprint(value.Index(i).Interface()))
			}
		case reflect.Map: // settings, without their values
			var names []string
			for _, k := range value.MapKeys() {
				names = append(names, k.String())
			}
			slices.Sort(names)
			all = append(all, names...)
		}
	})
	return strings.Join(all, " ")
}

// naming are the fields by which an input without a path says what it is about.
var naming = []string{"name", "address", "addresses", "set", "unset", "sender", "recipient", "destination", "state", "host", "list", "value"}

// dryRun reports that the input asks what would happen, no more.
func dryRun(in any) (yes bool) {
	walk(reflect.ValueOf(in).Elem(), func(f reflect.StructField, value reflect.Value) {
		yes = yes || f.Name == "DryRun" && value.Kind() == reflect.Bool && value.Bool()
	})
	return yes
}

// claimed is who the input says wants it.
func claimed(in any) (who string) {
	walk(reflect.ValueOf(in).Elem(), func(f reflect.StructField, value reflect.Value) {
		if f.Name == "Author" && value.Kind() == reflect.String {
			who = value.String()
		}
	})
	return who
}

// walk visits the fields of an input and of the structs in it.
func walk(v reflect.Value, visit func(reflect.StructField, reflect.Value)) {
	if v.Kind() != reflect.Struct {
		return
	}
	for f, value := range v.Fields() {
		if f.Name == "Body" || f.Anonymous {
			walk(value, visit)
			continue
		}
		visit(f, value)
	}
}

package boot

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// explain turns the parser's error into one that names line, field and remedy.
func explain(name string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("configuration %s, line %d: unknown field %q; the file holds data, user, store, listen, proxies, tls, dns and log, all else is a setting (posthorn setting list)",
			name, row, strings.Join(strict.Errors[0].Key(), "."))
	}
	text := strings.TrimPrefix(err.Error(), "toml: ")
	var bad *toml.DecodeError
	if !errors.As(err, &bad) { // a value that its own type refused, without a place
		if strings.Contains(text, "ParsePrefix") {
			text = wanted([]string{"proxies"})
		}
		return fmt.Errorf("configuration %s: %s", name, text)
	}
	row, column := bad.Position()
	switch say := wanted(bad.Key()); {
	case len(bad.Key()) == 0 || say == "":
		return fmt.Errorf("configuration %s, line %d, column %d: %s", name, row, column, text)
	case mistyped(text):
		return fmt.Errorf("configuration %s, line %d: %s", name, row, say)
	}
	return fmt.Errorf("configuration %s, line %d: %s: %s", name, row, strings.Join(bad.Key(), "."), text)
}

// mistyped reports errors that a value of the right kind would not have.
func mistyped(text string) bool {
	for _, words := range []string{"cannot decode", "cannot store", "ParsePrefix"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// wanted says what a field holds and how it is written; "" of one that is none.
func wanted(key []string) string {
	t := reflect.TypeFor[Config]()
	for _, word := range key {
		switch t.Kind() {
		case reflect.Map:
			t = t.Elem()
		case reflect.Struct:
			if t = below(t, word); t == nil {
				return ""
			}
		}
	}
	name := strings.Join(key, ".")
	if len(key) == 0 {
		return ""
	}
	last := key[len(key)-1]
	switch {
	case key[0] == "proxies":
		return `proxies is a list of networks in quotes: proxies = ["192.0.2.0/24"]`
	case t.Kind() == reflect.Slice:
		return fmt.Sprintf(`%s is a list of texts in quotes: %s = ["127.0.0.1:2525"]`, name, last)
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return fmt.Sprintf("%s is a section: write [%[1]s] in a line of its own, and its fields in the lines below it", name)
	}
	return fmt.Sprintf(`%s is a text in quotes: %s = "..."`, name, last)
}

// below is the type of a struct's field by its name in the file.
func below(t reflect.Type, name string) reflect.Type {
	for f := range t.Fields() {
		if f.Tag.Get("toml") == name {
			return f.Type
		}
	}
	return nil
}

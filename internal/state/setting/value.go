package setting

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of one value.
const (
	maxText  = 64 << 10 // octets
	maxItems = 10_000
)

// at returns the field inside a group's struct.
func (f *field) at(group reflect.Value) reflect.Value { return group.FieldByIndex(f.index) }

// parse reads a text into the field of a group's struct and checks it. Errors
// do not show secrets.
func (f *field) parse(text string, group reflect.Value) error {
	err := f.parseValue(text, f.at(group))
	if err != nil && f.secret {
		return fmt.Errorf("is not a valid %s", f.kind())
	}
	return err
}

func (f *field) parseValue(text string, v reflect.Value) error {
	if len(text) > maxText {
		return fmt.Errorf("is over %d octets long", maxText)
	}
	if !f.list {
		if !f.lines && !f.secret {
			text = strings.TrimSpace(text)
		}
		if err := f.codec.parse(text, v); err != nil {
			return err
		}
		return f.check(v)
	}
	items, err := splitList(text)
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := f.codec.parse(item, list.Index(i)); err != nil {
			return err
		}
		if err := f.checkOneOf(list.Index(i)); err != nil {
			return err
		}
	}
	v.Set(list)
	return f.checkCount(len(items), "items")
}

// format writes the field of a group's struct; parse reads it back.
func (f *field) format(group reflect.Value) string {
	v := f.at(group)
	if !f.list {
		return f.codec.format(v)
	}
	return joinList(f.items(v))
}

func (f *field) items(v reflect.Value) []string {
	out := make([]string, v.Len())
	for i := range out {
		out[i] = f.codec.format(v.Index(i))
	}
	return out
}

func (f *field) check(v reflect.Value) error {
	if err := f.checkOneOf(v); err != nil {
		return err
	}
	if measure := f.measure(); measure != nil {
		n, unit := measure(v)
		return f.checkCount(n, unit)
	}
	if f.codec.compare == nil {
		return nil
	}
	for _, limit := range []struct {
		text string
		sign int
		word string
	}{{f.min, -1, "at least"}, {f.max, 1, "at most"}} {
		if limit.text == "" {
			continue
		}
		bound := reflect.New(v.Type()).Elem()
		if err := f.codec.parse(limit.text, bound); err != nil {
			return err
		}
		if f.codec.compare(v, bound) == limit.sign {
			return fmt.Errorf("is %s; it must be %s %s", f.codec.format(v), limit.word, limit.text)
		}
	}
	return nil
}

// measure returns how min and max count, or nil where they compare values.
func (f *field) measure() func(reflect.Value) (int, string) {
	switch {
	case f.list:
		return func(v reflect.Value) (int, string) { return v.Len(), "items" }
	case f.codec.name == "text", f.codec.name == "secret":
		return func(v reflect.Value) (int, string) {
			return utf8.RuneCountInString(f.codec.format(v)), "characters"
		}
	}
	return nil
}

func (f *field) checkCount(n int, unit string) error {
	if low, _ := parseCount(f.min); f.min != "" && n < low {
		return fmt.Errorf("has %d %s; it must have at least %d", n, unit, low)
	}
	if high, _ := parseCount(f.max); f.max != "" && n > high {
		return fmt.Errorf("has %d %s; it may have at most %d", n, unit, high)
	}
	return nil
}

func (f *field) checkOneOf(v reflect.Value) error {
	if len(f.oneof) == 0 {
		return nil
	}
	text := f.codec.format(v)
	if slices.Contains(f.oneof, text) {
		return nil
	}
	return fmt.Errorf("is %q; it must be one of %s", clip(text), strings.Join(f.oneof, ", "))
}

func parseCount(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	return strconv.Atoi(s)
}

// kind names the type for people: "duration", "list of networks".
func (f *field) kind() string {
	name := f.codec.name
	if len(f.oneof) > 0 {
		name = "choice"
	}
	if f.list {
		return "list of " + plural(name)
	}
	return name
}

func plural(name string) string {
	if strings.HasSuffix(name, "s") {
		return name + "es"
	}
	return name + "s"
}

// form says how a value is written, with an example; "" where that needs no words.
func (f *field) form() string {
	form := f.codec.form
	if len(f.oneof) > 0 {
		form = "one of " + strings.Join(f.oneof, ", ")
	}
	switch {
	case !f.list:
		return form
	case form == "":
		return "one or several, with commas between"
	}
	return form + "; several with commas between"
}

// splitList reads `a, b c` or `["a", "b, c"]`.
func splitList(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, `["`) || text == "[]" {
		p := parser{text: text, line: 1}
		items, err := p.array()
		if p.space(); err == nil && p.pos < len(text) {
			err = fmt.Errorf("text after the list")
		}
		return items, err
	}
	items := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r' })
	if len(items) > maxItems {
		return nil, fmt.Errorf("has over %d items", maxItems)
	}
	return items, nil
}

// joinList writes the simple form where splitList would read it back.
func joinList(items []string) string {
	for i, s := range items {
		if s == "" || strings.ContainsAny(s, ", \n\t\r\"") || i == 0 && s[0] == '[' || strings.TrimSpace(s) != s {
			return formatArray(items)
		}
	}
	return strings.Join(items, ", ")
}

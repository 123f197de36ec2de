package dkim

import (
	"slices"
	"strings"
	"testing"
)

func TestIndexHasTheFieldsOfANameFromTheTop(t *testing.T) {
	t.Parallel()
	var head strings.Builder
	want := map[string][]int{}
	for i := range 200 {
		name := []string{"To", "received", "From", "X-" + strings.Repeat("Long", 20), "X", "DKIM-Signature", "Subject"}[i*i%7]
		head.WriteString(name + ": x\r\n")
		want[strings.ToLower(name)] = append(want[strings.ToLower(name)], i)
	}
	fields, wrong := split([]byte(head.String()))
	if wrong != "" {
		t.Fatal(wrong)
	}
	x := newIndex(fields)
	for _, name := range []string{"", "a", "from", "to", "received", "subject", "x", "x-" + strings.Repeat("long", 20), "y", "dkim-signature", "To"} {
		if got := x.of(name); !slices.Equal(got, want[name]) {
			t.Errorf("%q: %v, want %v", name, got, want[name])
		}
	}
	if got := (index{}).of("from"); len(got) > 0 {
		t.Errorf("no fields, but %v", got)
	}
}

// A header section of strangers can name one of its fields in a list as often as
// it has room for.
func TestFieldsAreFoundAsFastWhenThereAreMany(t *testing.T) {
	t.Parallel()
	fields, _ := split([]byte(strings.Repeat("a: \r\n", maxFields)))
	m := &Message{fields: fields, index: newIndex(fields)}
	p := newPicker(m)
	for n := range MaxHeader / 2 {
		if _, ok := p.pick("a"); ok != (n < maxFields) {
			t.Fatalf("field %d: %t", n, ok)
		}
	}
}

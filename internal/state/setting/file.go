package setting

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"posthorn/internal/base/seal"
)

// Export writes the settings as one file: every setting with its
// documentation, sorted; those at their default commented out. Secrets are
// sealed, or left out. A stored value that
// is not in force is written as it is stored, below a comment that says so. The
// result reads back with FileEdit; it is TOML.
func (b *Book) Export(secrets bool) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out strings.Builder
	fmt.Fprintf(&out, "# posthorn settings, version %d.\n# Lines that start with #name are defaults. Secrets are %s.\n",
		b.version, map[bool]string{true: "sealed with this server's key file", false: "left out"}[secrets])
	fields := slices.Clone(b.r.fields)
	slices.SortStableFunc(fields, func(x, y *field) int { return strings.Compare(section(x.name), section(y.name)) })
	now, last := b.r.now.Load().values, ""
	for _, f := range fields {
		if s := section(f.name); s != last {
			fmt.Fprintf(&out, "\n[%s]\n", s)
			last = s
		}
		b.exportField(&out, f, now, secrets)
	}
	return []byte(out.String())
}

func section(name string) string {
	i := strings.LastIndexByte(name, '.')
	return name[:max(i, 0)]
}

func (b *Book) exportField(out *strings.Builder, f *field, now []any, secrets bool) {
	out.WriteString("\n")
	for line := range strings.Lines(f.doc) {
		fmt.Fprintf(out, "# %s\n", strings.TrimRight(line, "\n"))
	}
	if r := f.describe(Recommended).Range(); r != "" {
		fmt.Fprintf(out, "# Allowed: %s.\n", r)
	}
	key := f.name[strings.LastIndexByte(f.name, '.')+1:]
	row, set := b.rows[f.name]
	why, idle := b.r.now.Load().idle[f.group][f.name]
	if idle && (secrets || !f.secret) {
		fmt.Fprintf(out, "# What is stored here is not in force: %s.\n", strings.Join(strings.Fields(why), " "))
	}
	switch {
	case f.secret && set && secrets && seal.IsSealed(row.Value):
		fmt.Fprintf(out, "%s = %s\n", key, quote(row.Value))
	case set && idle && !f.secret:
		fmt.Fprintf(out, "%s = %s\n", key, b.storedLiteral(f, row.Value))
	case f.secret:
		fmt.Fprintf(out, "#%s = \"\" # %s\n", key, f.show(now))
	default:
		mark := "#"
		if set {
			mark = ""
		}
		fmt.Fprintf(out, "%s%s = %s\n", mark, key, f.literal(reflect.ValueOf(now[f.group]).Elem()))
	}
}

// storedLiteral writes a stored text as TOML, as the value it is if it is one.
func (b *Book) storedLiteral(f *field, text string) string {
	group := reflect.New(b.r.groups[f.group].typ).Elem()
	if f.parse(text, group) != nil {
		return quote(text)
	}
	return f.literal(group)
}

// literal writes a value as TOML.
func (f *field) literal(group reflect.Value) string {
	v := f.at(group)
	switch {
	case f.list:
		return formatArray(f.items(v))
	case f.codec.bare:
		return f.codec.format(v)
	}
	return quote(f.codec.format(v))
}

// FileEdit reads a settings file into an Edit for Plan and Save. With replace
// the file is the whole truth: settings it does not name return to their
// defaults, except secrets, which a file may leave out. Otherwise only what it
// names changes. Author, comment and trial are the caller's to fill in.
func (b *Book) FileEdit(data []byte, replace bool) (Edit, error) {
	entries, err := ParseFile(data)
	if err != nil {
		return Edit{}, Invalid{{Text: err.Error()}}
	}
	e := Edit{Set: map[string]string{}, lines: map[string]int{}, pin: true}
	for _, x := range entries {
		e.Set[x.Name], e.lines[x.Name] = x.Text, x.Line
	}
	if !replace {
		return e, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.rows {
		f := b.r.byName[name]
		if _, named := e.Set[name]; !named && f != nil && !f.secret {
			e.Unset = append(e.Unset, name)
		}
	}
	slices.Sort(e.Unset)
	return e, nil
}

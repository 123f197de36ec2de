package setting

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown writes docs/settings.md: every declared setting by section.
func (r *Registry) Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Settings\n\nDerived from the declarations in the code; do not edit. Defaults are those of the\n" +
		"*recommended* profile; *factory* and *trial* are named where they differ.\n")
	fields := slices.Clone(r.fields)
	slices.SortStableFunc(fields, func(x, y *field) int { return strings.Compare(section(x.name), section(y.name)) })
	last := "\x00"
	for _, f := range fields {
		if s := section(f.name); s != last {
			r.writeSection(&b, s)
			last = s
		}
		f.markdown(&b)
	}
	return []byte(b.String())
}

func (r *Registry) writeSection(b *strings.Builder, name string) {
	title := name
	if title == "" {
		title = "General"
	}
	fmt.Fprintf(b, "\n## %s\n", title)
	for _, g := range r.groups {
		if g.name == name && g.doc != "" {
			fmt.Fprintf(b, "\n%s\n", g.doc)
		}
	}
}

func (f *field) markdown(b *strings.Builder) {
	i := f.describe(Recommended)
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n- Type: %s\n- Default: %s\n", f.name, f.doc, i.Type, code(i.Default))
	if f.list || i.Type == "rule" {
		fmt.Fprintf(b, "- Written: %s\n", i.Form)
	}
	for _, p := range []Profile{Factory, Trial} {
		if f.def(p) != f.def(Recommended) {
			fmt.Fprintf(b, "- Default, %s: %s\n", p, code(f.def(p)))
		}
	}
	if r := i.Range(); r != "" {
		fmt.Fprintf(b, "- Allowed: %s\n", r)
	}
	if f.secret {
		b.WriteString("- Secret: sealed at rest, never shown\n")
	}
	if f.restart {
		b.WriteString("- Takes effect at the next start\n")
	}
}

func code(s string) string {
	if s == "" {
		return "(empty)"
	}
	return "`" + s + "`"
}

package setting

import (
	"slices"
	"strings"
)

// faults are what a group's Validate says, each under the full name of the
// setting, or of the part of the group, that it begins with; joined errors are
// one each.
func (r *Registry) faults(g *group, err error) []Problem {
	text := err.Error()
	if list := joined(err); len(list) > 0 {
		var all []Problem
		for _, e := range list {
			all = append(all, r.faults(g, e)...)
		}
		return all
	}
	if head, rest, ok := strings.Cut(text, ": "); ok {
		for _, name := range []string{head, g.name + "." + head} {
			if r.byName[name] != nil || g.part(name) {
				return []Problem{{Name: name, Text: rest}}
			}
		}
	}
	return []Problem{{Name: g.name, Text: text}}
}

// part reports whether the name is that of a struct within the group.
func (g *group) part(name string) bool {
	return name != "" && slices.ContainsFunc(g.fields, func(f *field) bool { return strings.HasPrefix(f.name, name+".") })
}

// joined returns the errors of errors.Join; other errors may wrap several, too,
// and put words around them.
func joined(err error) []error {
	j, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var texts []string
	for _, e := range j.Unwrap() {
		texts = append(texts, e.Error())
	}
	if err.Error() != strings.Join(texts, "\n") {
		return nil
	}
	return j.Unwrap()
}

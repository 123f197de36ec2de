package setting

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Info is everything there is to say about one setting.
type Info struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Form says how a value is written, with an example.
	Form    string `json:"form,omitempty"`
	Value   string `json:"value"`   // secrets: "set" or "not set"
	Default string `json:"default"` // of the profile in force
	// Set says that the value is stored; otherwise the default is in force.
	Set bool `json:"set"`
	// Source says in words where the value comes from.
	Source string `json:"source"`
	// Version, Author and Time tell who set it.
	Version int64      `json:"version,omitempty"`
	Author  string     `json:"author,omitempty"`
	Time    *time.Time `json:"time,omitempty"`
	Min     string     `json:"min,omitempty"`
	Max     string     `json:"max,omitempty"`
	OneOf   []string   `json:"one_of,omitempty"`
	Secret  bool       `json:"secret,omitempty"`
	Lines   bool       `json:"lines,omitempty"`
	Restart bool       `json:"restart,omitempty"`
	Summary string     `json:"summary"` // first sentence of Doc
	Doc     string     `json:"doc"`
	Problem string     `json:"problem,omitempty"` // why the stored value is not in force
}

// stamp is how people read a time.
const stamp = "2006-01-02 15:04:05 MST"

// List describes all settings, sorted by name, without author and time.
func (b *Book) List() []Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Info, len(b.r.fields))
	for i, f := range b.r.fields {
		out[i] = b.info(f)
	}
	return out
}

// Get returns the value in force in text form; a secret only as "set" or "not set".
func (b *Book) Get(name string) (string, error) {
	f, err := b.r.find(name)
	if err != nil {
		return "", Invalid{{Name: name, Text: err.Error()}}
	}
	return f.show(b.r.now.Load().values), nil
}

// Explain describes one setting, with who set it and when.
func (b *Book) Explain(ctx context.Context, name string) (Info, error) {
	f, err := b.r.find(name)
	if err != nil {
		return Info{}, Invalid{{Name: name, Text: err.Error()}}
	}
	b.mu.Lock()
	info := b.info(f)
	b.mu.Unlock()
	if !info.Set {
		return info, nil
	}
	rows, err := b.store.History(ctx, info.Version+1, 1)
	if err != nil {
		return info, err
	}
	if len(rows) == 1 && rows[0].Version == info.Version {
		info.Author, info.Time = rows[0].Author, &rows[0].Time
		info.Source = fmt.Sprintf("version %d by %s at %s", info.Version, info.Author, info.Time.Format(stamp))
	}
	return info, nil
}

// info describes a field; b.mu is held.
func (b *Book) info(f *field) Info {
	profile := profileOf(b.rows)
	row, set := b.rows[f.name]
	info := f.describe(profile)
	info.Value, info.Set, info.Version = f.show(b.r.now.Load().values), set, row.Version
	if set {
		info.Source = fmt.Sprintf("version %d", row.Version)
	}
	for _, p := range b.problems {
		if p.Name == f.name {
			info.Problem = p.Text
		}
	}
	if why, idle := b.r.now.Load().idle[f.group][f.name]; idle && info.Problem == "" {
		info.Problem = "the stored value is not in force, the default is: " + why
	}
	return info
}

// describe fills in what the declaration says.
func (f *field) describe(profile Profile) Info {
	info := Info{
		Name: f.name, Type: f.kind(), Form: f.form(), Default: f.tidy(f.def(profile)), Min: f.tidy(f.min), Max: f.tidy(f.max), OneOf: f.oneof,
		Secret: f.secret, Lines: f.lines, Restart: f.restart, Doc: f.doc, Summary: summary(f.doc),
		Source: "default",
	}
	if f.def(profile) != f.def(Recommended) {
		info.Source = fmt.Sprintf("default of profile %s", profile)
	}
	if f.secret {
		info.Default = setOrNot(info.Default)
	}
	return info
}

// tidy writes a time of the declaration as people set it: 30d for 720h.
func (f *field) tidy(text string) string {
	if d, err := ParseDuration(text); err == nil && text != "" && f.kind() == "duration" {
		return FormatDuration(d)
	}
	return text
}

// summary is the first sentence of a doc comment, in one line.
func summary(doc string) string {
	s := strings.Join(strings.Fields(doc), " ")
	for i := range len(s) {
		if s[i] == '.' && (i+1 == len(s) || s[i+1] == ' ') && !strings.HasSuffix(s[:i], "e.g") && !strings.HasSuffix(s[:i], "i.e") {
			return s[:i+1]
		}
	}
	return s
}

// String is the page that `posthorn setting explain` prints.
func (i Info) String() string {
	var b strings.Builder
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-9s %s\n", label, text)
		}
	}
	b.WriteString(i.Name + "\n")
	line("type", i.Type)
	if len(i.OneOf) == 0 || i.Type != "choice" { // the range names the choices
		line("written", i.Form)
	}
	line("value", show(i.Value))
	line("from", i.Source)
	line("default", show(i.Default))
	line("range", i.Range())
	if i.Restart {
		line("effective", "from the next start")
	}
	line("problem", i.Problem)
	if i.Doc != "" {
		b.WriteString("\n" + i.Doc + "\n")
	}
	return b.String()
}

func show(s string) string {
	if s == "" {
		return "(empty)"
	}
	return s
}

// Range says in words what values are allowed; "" for all.
func (i Info) Range() string {
	of := ""
	switch {
	case len(i.OneOf) > 0:
		return strings.Join(i.OneOf, ", ")
	case strings.HasPrefix(i.Type, "list of"):
		of = " items"
	case i.Type == "text" || i.Type == "secret":
		of = " characters"
	}
	switch {
	case i.Min != "" && i.Max != "":
		return i.Min + " to " + i.Max + of
	case i.Min != "":
		return "at least " + i.Min + of
	case i.Max != "":
		return "at most " + i.Max + of
	}
	return ""
}

package scan

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"posthorn/internal/wire/archive"
)

// Rule describes attachments. What is set must all hold for one file, for a
// list any of its entries.
type Rule struct {
	// Name is how the operator calls the rule.
	Name string
	// Names are patterns for the whole name, without folders and in any case:
	// "*" for anything, "?" for one character, "[a-z]" for one of them.
	Names []string
	// Extensions are those of the name without the first dot, "exe" or
	// "tar.gz". Dots and spaces at the end of a name do not hide one.
	Extensions []string
	// DoubleExtension: the extension of a document before that of a program,
	// as in "invoice.pdf.exe".
	DoubleExtension bool
	// Declared are content types, "application/x-msdownload" or "image/*".
	Declared []string
	// Types are real types: words of package archive, "executable" for all
	// that run, "archive" for all that hold files.
	Types []string
	// Encrypted: cannot be looked into without a password.
	Encrypted bool
	// Macros: an Office document with a program in it.
	Macros bool
	// Broken: an archive that cannot be read or contradicts itself.
	Broken bool
	// Bound: a limit kept the archive from being looked at to its end.
	Bound bool
	// Members extends the rule to the members of archives. Declared and Bound
	// concern the attachment itself alone.
	Members bool
}

// rule is a compiled Rule.
type rule struct {
	name    string
	members bool
	deep    bool // asks about content
	tests   []test
}

// test looks at one condition and says what fitted.
type test func(c candidate) (what string, ok bool)

func (r *rule) matches(c candidate) (string, bool) {
	said := make([]string, 0, len(r.tests))
	for _, t := range r.tests {
		what, ok := t(c)
		if !ok {
			return "", false
		}
		said = append(said, what)
	}
	return strings.Join(said, ", "), true
}

var errEmptyRule = errors.New("it asks for nothing and would fit every message")

func (r Rule) compile() (rule, error) {
	c := rule{name: line(r.Name, maxWord), members: r.Members, deep: r.Members}
	if c.name == "" {
		return c, errors.New("it has no name")
	}
	for _, add := range []func(*Rule) (test, error){nameTest, extensionTest, declaredTest} {
		t, err := add(&r)
		if err != nil {
			return c, err
		}
		if t != nil {
			c.tests = append(c.tests, t)
		}
	}
	if r.DoubleExtension {
		c.tests = append(c.tests, doubleTest)
	}
	shallow := len(c.tests)
	t, err := typeTest(r.Types)
	if err != nil {
		return c, err
	}
	if t != nil {
		c.tests = append(c.tests, t)
	}
	c.tests = append(c.tests, stateTests(&r)...)
	c.deep = c.deep || len(c.tests) > shallow
	if len(c.tests) == 0 {
		return c, errEmptyRule
	}
	return c, nil
}

// nameKey is the form in which names are compared: the last element of a path
// of either kind, in lower case, without invisible characters, and without the
// dots and spaces at the end that Windows ignores.
func nameKey(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return strings.TrimSpace(strings.TrimRightFunc(name, func(r rune) bool { return r == '.' || unicode.IsSpace(r) }))
}

func nameTest(r *Rule) (test, error) {
	if len(r.Names) == 0 {
		return nil, nil
	}
	patterns := make([]string, len(r.Names))
	for i, p := range r.Names {
		patterns[i] = strings.ToLower(p)
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return nil, fmt.Errorf("%q is no pattern", p)
		}
	}
	return func(c candidate) (string, bool) {
		for _, name := range c.names {
			key := nameKey(name)
			for _, p := range patterns {
				if ok, err := path.Match(p, key); err == nil && ok && key != "" {
					return "its name fits " + p, true
				}
			}
		}
		return "", false
	}, nil
}

func extensionTest(r *Rule) (test, error) {
	if len(r.Extensions) == 0 {
		return nil, nil
	}
	var list []string
	for _, e := range r.Extensions {
		e = "." + strings.TrimPrefix(strings.ToLower(e), ".")
		if e == "." || strings.ContainsAny(e, "*?/\\ ") {
			return nil, fmt.Errorf("%q is no extension", e)
		}
		list = append(list, e)
	}
	return func(c candidate) (string, bool) {
		for _, name := range c.names {
			key := nameKey(name)
			for _, e := range list {
				if strings.HasSuffix(key, e) {
					return "extension " + e[1:], true
				}
			}
		}
		return "", false
	}, nil
}

// Extensions that deceive when they stand together.
var (
	documents = []string{"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "rtf", "txt", "csv", "htm", "html",
		"jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "svg", "mp3", "mp4", "avi", "mov", "wav", "zip", "rar", "7z", "eml", "msg"}
	programs = []string{"exe", "scr", "com", "pif", "bat", "cmd", "msi", "msp", "cpl", "dll", "jar", "js", "jse", "vb", "vbs", "vbe",
		"wsf", "wsh", "hta", "ps1", "psm1", "reg", "lnk", "url", "scf", "inf", "chm", "hlp", "sh", "app", "apk", "iso", "img", "vhd", "xll"}
)

func doubleTest(c candidate) (string, bool) {
	for _, name := range c.names {
		labels := strings.Split(nameKey(name), ".")
		if len(labels) < 3 {
			continue
		}
		last, before := labels[len(labels)-1], strings.TrimSpace(labels[len(labels)-2])
		if slices.Contains(programs, last) && slices.Contains(documents, before) {
			return fmt.Sprintf("double extension %s.%s", before, last), true
		}
	}
	return "", false
}

func declaredTest(r *Rule) (test, error) {
	if len(r.Declared) == 0 {
		return nil, nil
	}
	patterns := make([]string, len(r.Declared))
	for i, p := range r.Declared {
		patterns[i] = strings.ToLower(p)
		if _, err := path.Match(p, ""); err != nil || strings.Count(p, "/") != 1 {
			return nil, fmt.Errorf("%q is no content type", p)
		}
	}
	return func(c candidate) (string, bool) {
		for _, p := range patterns {
			if ok, err := path.Match(p, c.declared); err == nil && ok && c.declared != "" {
				return "content type " + c.declared, true
			}
		}
		return "", false
	}, nil
}

func typeTest(words []string) (test, error) {
	if len(words) == 0 {
		return nil, nil
	}
	for _, w := range words {
		if _, ok := archive.ParseType(w); !ok && w != "executable" && w != "archive" {
			return nil, fmt.Errorf("%q is no type", w)
		}
	}
	return func(c candidate) (string, bool) {
		t := c.item.Type
		ok := slices.Contains(words, string(t)) || t.IsExecutable() && slices.Contains(words, "executable") || t.IsArchive() && slices.Contains(words, "archive")
		return "really of type " + string(t), ok
	}, nil
}

// stateTests are the conditions that a walk through the file answers.
func stateTests(r *Rule) []test {
	var tests []test
	for _, s := range []struct {
		asked bool
		what  string
		holds func(candidate) bool
	}{
		{r.Encrypted, "encrypted", func(c candidate) bool { return c.item.Encrypted }},
		{r.Macros, "has macros", func(c candidate) bool { return c.item.Macros }},
		{r.Broken, "broken archive", func(c candidate) bool { return c.item.Broken }},
	} {
		if s.asked {
			tests = append(tests, func(c candidate) (string, bool) { return s.what, s.holds(c) })
		}
	}
	if r.Bound {
		tests = append(tests, func(c candidate) (string, bool) {
			return fmt.Sprintf("more than is looked at (bound %s)", c.bound), c.bound != archive.BoundNone
		})
	}
	return tests
}

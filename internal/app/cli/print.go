package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"posthorn/internal/base/mail"
)

// printJSON writes the answer for programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows in aligned columns under a header.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(w io.Writer, header ...string) *table {
	t := &table{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	t.row(header...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = clean(c)
	}
	if _, err := fmt.Fprintln(t.w, strings.Join(cells, "\t")); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *table) end() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// clean keeps control characters of strangers off the administrator's terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, s)
}

// wrap breaks a text into lines of at most width, each after the indent.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && len([]rune(line))+len([]rune(word)) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	return b.String() + strings.TrimRight(line, " ")
}

// noneYet says that a list is empty and how to begin it.
func noneYet(noun, domain, example string) string {
	if domain != "" {
		return fmt.Sprintf("No %s in the domain %s. All of them: posthorn %s list", noun, domain, noun)
	}
	return fmt.Sprintf("No %s yet. Add one: posthorn %s add %s", noun, noun, example)
}

// readable writes the domain of an address of ours as people read it; JSON has
// the form of DNS and SMTP.
func readable(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return address[:at+1] + mail.Unicode(address[at+1:])
	}
	return address
}

// readables writes a list of addresses.
func readables(addresses []string) string {
	list := make([]string, len(addresses))
	for i, a := range addresses {
		list[i] = readable(a)
	}
	return strings.Join(list, ", ")
}

// none writes an empty value.
func none(s, word string) string {
	if s == "" {
		return word
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// when writes a time as administrators read it, in the terminal's time zone.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// plural writes "1 message", "2 messages".
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// facts writes pairs of a label and a value, aligned.
func facts(w io.Writer, pairs ...string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if _, err := fmt.Fprintf(t, "%s\t%s\n", pairs[i], clean(pairs[i+1])); err != nil {
			return err
		}
	}
	return t.Flush()
}

package access

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

// Rules as a text file, one in a line, for import and export:
//
//	# what people write after a # is theirs
//	block network 192.0.2.0/24 name=flooders reason="open relay"
//	allow sender eve@example.org authenticated expires=2027-01-31T00:00:00Z
//	block recipient info@example.org discard
//
// A rule without a name is called like its value. Words with spaces or quotes
// stand in quotes, with \" and \\ inside.

// maxFaults is how many faults of a file are told.
const maxFaults = 20

// Faults is what is wrong with a file of rules. It wraps store.ErrInvalid.
type Faults []string

// Error has a line for each fault.
func (f Faults) Error() string { return strings.Join(f, "\n") }

// Unwrap makes errors.Is(err, store.ErrInvalid) true.
func (Faults) Unwrap() error { return store.ErrInvalid }

// ReadFile reads a file of rules, all or nothing: the error is Faults and names
// lines. require says whether allow rules by sender or domain ask for
// authentication when they do not say.
func ReadFile(text string, require bool) ([]store.AccessRow, error) {
	var rows []store.AccessRow
	var faults Faults
	lines := map[string]int{} // by name
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		row, err := readLine(strings.TrimSuffix(line, "\r"), require)
		if err == nil && row == nil {
			continue
		}
		if err == nil {
			key := strings.ToLower(row.Name)
			if first := lines[key]; first > 0 {
				err = wrong("name", "%q is the name of the rule in line %d, too; give one of them another (name=…)", row.Name, first)
			}
			lines[key] = number
		}
		switch {
		case err != nil && len(faults) == maxFaults:
			return nil, append(faults, "and more")
		case err != nil:
			faults = append(faults, fmt.Sprintf("line %d: %v", number, err))
		case len(rows) == Most:
			return nil, append(faults, fmt.Sprintf("line %d: more than %d rules", number, Most))
		default:
			rows = append(rows, *row)
		}
	}
	if faults != nil {
		return nil, faults
	}
	return rows, nil
}

// readLine returns nil for a line without a rule.
func readLine(line string, require bool) (*store.AccessRow, error) {
	words, err := split(line)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	if len(words) < 3 {
		return nil, fmt.Errorf("a rule is LIST KIND VALUE, such as: block ip 192.0.2.1")
	}
	row := store.AccessRow{Kind: words[1], Value: words[2]}
	switch words[0] {
	case "allow":
	case "block":
		row.Block = true
	default:
		return nil, wrong("list", "%q; a line begins with allow or block", clip(words[0]))
	}
	asked := false
	for _, w := range words[3:] {
		if w == "authenticated" || w == "no-authenticated" {
			asked = true
		}
		if err := readWord(w, &row); err != nil {
			return nil, err
		}
	}
	if !asked && require && (&Rule{AccessRow: row, Kind: Kind(row.Kind)}).Forgeable() {
		row.Authenticated = true
	}
	if row.Name == "" {
		r, err := Parse(Kind(row.Kind), row.Value)
		if err != nil {
			return nil, err
		}
		row.Name = r.Value
	}
	r, err := New(row)
	if err != nil {
		return nil, err
	}
	return &r.AccessRow, nil
}

// readWord reads what follows a value.
func readWord(w string, row *store.AccessRow) error {
	name, value, given := strings.Cut(w, "=")
	switch {
	case w == "discard":
		row.Discard = true
	case w == "from-field":
		row.FromField = true
	case w == "authenticated", w == "no-authenticated":
		row.Authenticated = w == "authenticated"
	case w == "disabled":
		row.Disabled = true
	case given && name == "name":
		row.Name = value
	case given && name == "owner":
		row.Owner = value
	case given && name == "reason":
		row.Reason = value
	case given && name == "expires":
		t, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return wrong("expires", "%q; write a time such as 2027-01-31T00:00:00Z", clip(value))
		}
		row.Expires = t.UTC().Truncate(time.Microsecond)
	default:
		return fmt.Errorf("%q is not understood; after the value there may be name=, owner=, reason=, expires=, discard, from-field, authenticated, no-authenticated, disabled", clip(w))
	}
	return nil
}

// split cuts a line into words: reason="open relay" is one, and a # that begins
// a word ends the line.
func split(line string) (words []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		end := strings.IndexAny(line, " \t\"")
		if end < 0 {
			return append(words, line), nil
		}
		word := line[:end]
		if line[end] == '"' {
			quoted, err := strconv.QuotedPrefix(line[end:])
			if err != nil {
				return nil, fmt.Errorf("a quote is not closed, or something behind \\ is not understood: %s", clip(line[end:]))
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			word, end = word+text, end+len(quoted)
			if end < len(line) && line[end] != ' ' && line[end] != '\t' {
				return nil, fmt.Errorf("a space is missing behind %s", clip(quoted))
			}
		}
		words, line = append(words, word), line[end:]
	}
}

// WriteFile writes rules as ReadFile reads them, whatever its default is.
func WriteFile(b *strings.Builder, rows []store.AccessRow) {
	for _, row := range rows {
		words := []string{"allow", row.Kind, quote(row.Value), "name=" + quote(row.Name)}
		if row.Block {
			words[0] = "block"
		}
		for _, f := range []struct {
			set  bool
			word string
		}{
			{row.Discard, "discard"},
			{row.FromField, "from-field"},
			{row.Authenticated, "authenticated"},
			{!row.Authenticated && (&Rule{AccessRow: row, Kind: Kind(row.Kind)}).Forgeable(), "no-authenticated"},
			{row.Disabled, "disabled"},
			{row.Owner != "", "owner=" + quote(row.Owner)},
			{row.Reason != "", "reason=" + quote(row.Reason)},
			{!row.Expires.IsZero(), "expires=" + row.Expires.UTC().Format(time.RFC3339Nano)},
		} {
			if f.set {
				words = append(words, f.word)
			}
		}
		b.WriteString(strings.Join(words, " ") + "\n")
	}
}

// quote puts quotes around a word that needs them.
func quote(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\"#\\") || !printable(s) {
		return strconv.Quote(s)
	}
	for _, c := range s {
		if c >= 0x80 && !strconv.IsPrint(c) {
			return strconv.Quote(s)
		}
	}
	return s
}

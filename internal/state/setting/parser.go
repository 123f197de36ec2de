package setting

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Entry is one value of a settings file.
type Entry struct {
	Name string // with its section
	Text string // the value in text form
	Line int
}

// maxFile is the longest settings file in octets.
const maxFile = 4 << 20

// ParseFile reads a settings file: the part of TOML that Export writes, which
// is sections, bare keys, strings, numbers, booleans, arrays of them, and
// comments. Errors name the line.
func ParseFile(data []byte) ([]Entry, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("settings file is over %d octets", maxFile)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("settings file is not valid UTF-8")
	}
	p := parser{text: strings.TrimPrefix(string(data), "\ufeff"), line: 1}
	out, err := p.file()
	if err != nil {
		return nil, fmt.Errorf("settings file, line %d: %w", p.line, err)
	}
	return out, nil
}

// parser walks over the text of a file or of one list.
type parser struct {
	text string
	pos  int
	line int
}

func (p *parser) file() ([]Entry, error) {
	var out []Entry
	seen := map[string]int{}
	section := ""
	for {
		if p.blank(); p.pos == len(p.text) {
			return out, nil
		}
		if p.text[p.pos] == '[' {
			p.pos++
			name, err := p.key()
			if err != nil {
				return nil, err
			}
			if err := p.expect(']'); err != nil {
				return nil, err
			}
			section = name
		} else {
			e, err := p.entry(section)
			if err != nil {
				return nil, err
			}
			if before := seen[e.Name]; before != 0 {
				return nil, fmt.Errorf("%s was set in line %d already", e.Name, before)
			}
			seen[e.Name] = e.Line
			out = append(out, e)
		}
		if err := p.endOfLine(); err != nil {
			return nil, err
		}
	}
}

func (p *parser) entry(section string) (Entry, error) {
	e := Entry{Line: p.line}
	name, err := p.key()
	if err != nil {
		return e, err
	}
	e.Name = join(section, name)
	if err := p.expect('='); err != nil {
		return e, err
	}
	p.space()
	e.Text, err = p.value()
	return e, err
}

// key reads bare keys divided by dots.
func (p *parser) key() (string, error) {
	p.space()
	start := p.pos
	for p.pos < len(p.text) && isBare(p.text[p.pos]) {
		p.pos++
	}
	k := p.text[start:p.pos]
	p.space()
	if k == "" || len(k) > 200 || k[0] == '.' || k[len(k)-1] == '.' || strings.Contains(k, "..") {
		return "", fmt.Errorf("a name is missing before %q", p.near())
	}
	return k, nil
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// value reads a scalar or an array and returns its text form.
func (p *parser) value() (string, error) {
	if p.pos < len(p.text) && p.text[p.pos] == '[' {
		items, err := p.array()
		return joinList(items), err
	}
	return p.scalar()
}

func (p *parser) scalar() (string, error) {
	if p.pos == len(p.text) {
		return "", errors.New("a value is missing")
	}
	switch p.text[p.pos] {
	case '"':
		return p.basic()
	case '\'':
		return p.literal()
	}
	start := p.pos
	for p.pos < len(p.text) && (isBare(p.text[p.pos]) || p.text[p.pos] == '+') {
		p.pos++
	}
	word := p.text[start:p.pos]
	if word == "true" || word == "false" {
		return word, nil
	}
	if _, err := strconv.ParseFloat(word, 64); err != nil || strings.ContainsAny(word, "xXpPnN_") {
		p.pos = start
		return "", fmt.Errorf("%q is no value; texts, times and sizes stand in quotes", p.near())
	}
	return strings.TrimPrefix(word, "+"), nil
}

// literal reads '…' without escapes.
func (p *parser) literal() (string, error) {
	s, _, ok := strings.Cut(p.text[p.pos+1:], "'")
	if !ok || strings.ContainsAny(s, "\r\n") {
		return "", errors.New("the closing ' is missing")
	}
	p.pos += len(s) + 2
	return s, nil
}

// basic reads "…" with escapes.
func (p *parser) basic() (string, error) {
	var b strings.Builder
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; c {
		case '"':
			p.pos++
			return b.String(), nil
		case '\n', '\r':
			return "", errors.New(`the closing " is missing`)
		case '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New(`the closing " is missing`)
}

// escape reads what follows a backslash and stops on its last octet.
func (p *parser) escape() (rune, error) {
	p.pos++
	rest := p.text[p.pos:]
	if rest == "" {
		return 0, errors.New(`the closing " is missing`)
	}
	if i := strings.IndexByte(`btnfr"\`, rest[0]); i >= 0 {
		return rune("\b\t\n\f\r\"\\"[i]), nil
	}
	size := map[byte]int{'u': 4, 'U': 8}[rest[0]]
	if size > 0 && len(rest) > size {
		n, err := strconv.ParseUint(rest[1:1+size], 16, 32)
		if err == nil && utf8.ValidRune(rune(n)) {
			p.pos += size
			return rune(n), nil
		}
	}
	return 0, fmt.Errorf(`unknown escape \%c in a text`, rest[0])
}

// array reads [ … ] over several lines, with comments and a comma at the end.
func (p *parser) array() ([]string, error) {
	var out []string
	p.pos++ // [
	for {
		p.blank()
		if p.pos == len(p.text) {
			return nil, errors.New("the closing ] is missing")
		}
		if p.text[p.pos] == ']' {
			p.pos++
			return out, nil
		}
		item, err := p.scalar()
		if err != nil {
			return nil, err
		}
		if out = append(out, item); len(out) > maxItems {
			return nil, fmt.Errorf("has over %d items", maxItems)
		}
		p.blank()
		if p.pos < len(p.text) && p.text[p.pos] == ',' {
			p.pos++
		} else if p.pos < len(p.text) && p.text[p.pos] != ']' {
			return nil, fmt.Errorf("a comma is missing before %q", p.near())
		}
	}
}

// space skips blanks in the line.
func (p *parser) space() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t') {
		p.pos++
	}
}

// blank skips blanks, line ends and comments.
func (p *parser) blank() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\r':
			p.pos++
		case '\n':
			p.pos++
			p.line++
		case '#':
			p.comment()
		default:
			return
		}
	}
}

func (p *parser) comment() {
	if n := strings.IndexByte(p.text[p.pos:], '\n'); n >= 0 {
		p.pos += n
	} else {
		p.pos = len(p.text)
	}
}

func (p *parser) expect(c byte) error {
	if p.pos == len(p.text) || p.text[p.pos] != c {
		return fmt.Errorf("%q is missing before %q", c, p.near())
	}
	p.pos++
	return nil
}

func (p *parser) endOfLine() error {
	p.space()
	if p.pos < len(p.text) && p.text[p.pos] == '#' {
		p.comment()
	}
	if strings.HasPrefix(p.text[p.pos:], "\r\n") || p.pos == len(p.text) || p.text[p.pos] == '\n' {
		return nil
	}
	return fmt.Errorf("unexpected %q after the value", p.near())
}

// near shows where the parser stands.
func (p *parser) near() string {
	line, _, _ := strings.Cut(p.text[p.pos:], "\n")
	return clip(strings.TrimSpace(line))
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func formatArray(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

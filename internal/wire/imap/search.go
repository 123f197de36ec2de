package imap

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
)

// SearchReturn is the RETURN options of SEARCH and SORT (RFC 4731, RFC 5182,
// RFC 9394). Given tells an ESEARCH response from the old one; with no option
// it means All.
type SearchReturn struct {
	Given                      bool
	Min, Max, All, Count, Save bool
	// Window, if not zero, is PARTIAL.
	Window Window
}

// Search is the arguments of SEARCH and UID SEARCH.
type Search struct {
	Return SearchReturn
	Key    SearchKey
}

// Search takes the arguments of SEARCH to the end of the command. An unknown
// charset is NO [BADCHARSET].
func (d *Decoder) Search() (Search, error) {
	var s Search
	s.Return = d.searchReturn()
	p := searchParser{d: d}
	d.arg("a search key")
	if d.acceptWord("CHARSET") {
		d.arg("a charset")
		p.setCharset(d.AString("a charset"))
		d.arg("a search key")
	}
	s.Key = p.program()
	return s, d.End()
}

// acceptWord takes a word of the protocol that ends there.
func (d *Decoder) acceptWord(name string) bool {
	end := d.pos + len(name)
	if end < len(d.line) && d.line[end] != ' ' {
		return false
	}
	return d.acceptFold(name)
}

// searchReturn takes " RETURN (...)" if it is next.
func (d *Decoder) searchReturn() SearchReturn {
	var r SearchReturn
	if !d.acceptFold(" RETURN (") {
		return r
	}
	d.pos-- // list wants its parenthesis
	d.list("return options", true, MaxListItems, func() { d.searchOption(&r) })
	r.Given = true
	if r.All && r.Window != (Window{}) {
		d.fail(bad("ALL and PARTIAL exclude each other")) // RFC 9394 §3.1
	}
	if r == (SearchReturn{Given: true}) {
		r.All = true
	}
	return r
}

func (d *Decoder) searchOption(r *SearchReturn) {
	switch string(d.keyword("a return option")) {
	case "MIN":
		r.Min = true
	case "MAX":
		r.Max = true
	case "ALL":
		r.All = true
	case "COUNT":
		r.Count = true
	case "SAVE":
		r.Save = true
	case "PARTIAL":
		d.arg("a range such as 1:100")
		r.Window = d.window()
	default:
		d.fail(expected("MIN, MAX, ALL, COUNT, SAVE or PARTIAL"))
	}
}

// searchParser reads one search program. Its depth and the number of its keys
// are bounded, so that neither the stack nor a later evaluation grows with
// what a client sends.
type searchParser struct {
	d       *Decoder
	charset encoding.Encoding // nil for UTF-8 and US-ASCII
	keys    int
	depth   int
}

// setCharset chooses how text is read.
func (p *searchParser) setCharset(name string) {
	switch strings.ToUpper(name) {
	case "UTF-8", "US-ASCII":
		return
	}
	e, err := ianaindex.IANA.Encoding(name)
	if err != nil || e == nil {
		p.d.fail(refused("BADCHARSET (US-ASCII UTF-8)", "Charset is not known"))
	}
	p.charset = e
}

// program takes keys up to the end of the command; all must hold.
func (p *searchParser) program() SearchKey {
	keys := []SearchKey{p.key()}
	for p.d.accept(' ') && p.d.err == nil {
		keys = append(keys, p.key())
	}
	return all(keys)
}

// all joins keys that must all hold.
func all(keys []SearchKey) SearchKey {
	if len(keys) == 1 {
		return keys[0]
	}
	return SearchKey{Op: KeyAnd, Keys: keys}
}

// count notes one more key or operator.
func (p *searchParser) count() {
	if p.keys++; p.keys > MaxSearchKeys {
		p.d.fail(tooMany("search keys"))
	}
}

// key takes one key with its operands.
func (p *searchParser) key() SearchKey {
	p.count()
	if p.depth++; p.depth > MaxNesting {
		p.d.fail(tooMany("nested search keys"))
	}
	defer func() { p.depth-- }()
	c, ok := p.d.peek()
	switch {
	case !ok:
		p.d.fail(expected("a search key"))
		return SearchKey{}
	case c == '(':
		return p.group()
	case isSetChar(c):
		return SearchKey{Op: KeySeq, Set: p.d.Set()}
	}
	return p.named()
}

// group takes keys in parentheses.
func (p *searchParser) group() SearchKey {
	var keys []SearchKey
	p.d.list("search keys", false, MaxSearchKeys, func() { keys = append(keys, p.key()) })
	return all(keys)
}

// named takes a key that begins with a word.
func (p *searchParser) named() SearchKey {
	switch word := p.d.keyword("a search key"); string(word) {
	case "NOT":
		return p.not()
	case "OR":
		return p.or()
	case "NEW":
		return SearchKey{Op: KeyAnd, Keys: []SearchKey{
			{Op: KeyFlag, Text: FlagRecent}, {Op: KeyUnflag, Text: FlagSeen}}}
	default:
		for i := range searchWords {
			if string(word) == searchWords[i].name {
				return p.argument(searchWords[i].key)
			}
		}
	}
	p.d.fail(expected("a search key such as UNSEEN, FROM or 1:5"))
	return SearchKey{}
}

// not takes the operand of NOT; a run of NOTs takes no more stack than one.
func (p *searchParser) not() SearchKey {
	negative := true
	p.d.arg("a search key after NOT")
	for p.d.acceptFold("NOT ") {
		p.count()
		negative = !negative
	}
	k := p.key()
	if !negative {
		return k
	}
	return SearchKey{Op: KeyNot, Keys: []SearchKey{k}}
}

// or takes the operands of OR. Operands that are OR themselves become
// operands of the same key, so that a chain of alternatives, which clients
// do write, is neither deep nor on the stack.
func (p *searchParser) or() SearchKey {
	k := SearchKey{Op: KeyOr}
	for due := 2; due > 0 && p.d.err == nil; {
		p.d.arg("a search key after OR")
		if p.d.acceptWord("OR") {
			p.count()
			due++
			continue
		}
		k.Keys = append(k.Keys, p.key())
		due--
	}
	return k
}

// argument reads what the key still needs.
func (p *searchParser) argument(k SearchKey) SearchKey {
	d := p.d
	switch k.Op {
	case KeyAll, KeySaveDateSupported:
	case KeyFlag, KeyUnflag:
		if k.Text == "" {
			d.arg("a keyword")
			k.Text = d.Atom("a keyword")
		}
	case KeyHeader:
		if k.Field == "" {
			d.arg("a header field name")
			k.Field = strings.ToLower(d.AString("a header field name"))
			if d.err == nil && !isFieldName(k.Field) {
				d.fail(expected("a header field name"))
			}
		}
		k.Text = p.text()
	case KeyBody, KeyText:
		k.Text = p.text()
	case KeyLarger, KeySmaller:
		d.arg("a size")
		k.Number = d.Number64("a size")
	case KeyOlder, KeyYounger:
		d.arg("a number of seconds")
		k.Number = uint64(d.NZNumber("a number of seconds"))
	case KeyModSeq:
		k.Number = d.searchModSeq()
	case KeyUID:
		d.arg("a UID set")
		k.Set = d.Set()
	case KeyEmailID, KeyThreadID:
		d.arg("an object identifier")
		k.Text = d.Atom("an object identifier")
	default:
		d.arg("a date")
		k.Date = d.Date()
	}
	return k
}

// text takes a string and turns it into UTF-8.
func (p *searchParser) text() string {
	p.d.arg("a string")
	s := p.d.AString("a string")
	if p.charset != nil {
		decoded, err := p.charset.NewDecoder().String(s)
		if err != nil {
			p.d.fail(expected("text in the charset named"))
		}
		return decoded
	}
	if !utf8.ValidString(s) {
		p.d.fail(expected("text in UTF-8"))
	}
	return s
}

// searchModSeq takes the arguments of MODSEQ. The entry name and type
// (RFC 7162 §3.1.5) are read and let go: mod-sequences here are per message.
func (d *Decoder) searchModSeq() uint64 {
	d.arg("a mod-sequence")
	if c, ok := d.peek(); ok && c == '"' {
		d.Text("an entry name")
		d.arg("priv, shared or all")
		w := d.keyword("priv, shared or all")
		if !bytes.Equal(w, []byte("PRIV")) && !bytes.Equal(w, []byte("SHARED")) && !bytes.Equal(w, []byte("ALL")) {
			d.fail(expected("priv, shared or all"))
		}
		d.arg("a mod-sequence")
	}
	return d.Number64("a mod-sequence")
}

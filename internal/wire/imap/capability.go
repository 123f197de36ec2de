package imap

// Enable takes the capabilities of ENABLE, in upper case, to the end of the
// command (RFC 5161).
func (d *Decoder) Enable() ([]string, error) {
	var names []string
	for ok := true; ok && d.err == nil; ok = d.peekSpace() {
		d.arg("a capability")
		w := d.word(isAtomChar)
		if len(w) == 0 {
			d.fail(expected("a capability"))
		}
		if len(names) == MaxListItems {
			d.fail(tooMany("capabilities"))
		}
		for i, c := range w {
			w[i] = upper(c)
		}
		names = append(names, string(w))
	}
	return names, d.End()
}

// peekSpace reports whether a further argument follows.
func (d *Decoder) peekSpace() bool {
	c, ok := d.peek()
	return ok && c == ' '
}

// Compress takes the algorithm of COMPRESS, in upper case (RFC 4978).
func (d *Decoder) Compress() (string, error) {
	d.arg("a compression algorithm")
	name := d.Keyword("a compression algorithm")
	return name, d.End()
}

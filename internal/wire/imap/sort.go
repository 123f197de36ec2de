package imap

// SortKey is what SORT orders by (RFC 5256, RFC 5957 for the display names).
type SortKey uint8

// The sort keys.
const (
	SortArrival SortKey = iota
	SortCc
	SortDate
	SortFrom
	SortSize
	SortSubject
	SortTo
	SortDisplayFrom
	SortDisplayTo
)

var sortNames = [...]string{"ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"}

// SortCriterion is one key with its direction.
type SortCriterion struct {
	Key     SortKey
	Reverse bool
}

// maxSortKeys bounds what one comparison costs; there are fewer keys.
const maxSortKeys = 16

// Sort is the arguments of SORT and UID SORT.
type Sort struct {
	Return   SearchReturn
	Criteria []SortCriterion
	Key      SearchKey
}

// Sort takes the arguments of SORT to the end of the command.
func (d *Decoder) Sort() (Sort, error) {
	var s Sort
	s.Return = d.searchReturn()
	d.arg("sort keys")
	d.list("sort keys", false, maxSortKeys, func() { s.Criteria = append(s.Criteria, d.sortCriterion()) })
	s.Key = d.charsetProgram()
	return s, d.End()
}

// charsetProgram takes a charset, which SORT and THREAD always have, and the
// search program.
func (d *Decoder) charsetProgram() SearchKey {
	p := searchParser{d: d}
	d.arg("a charset")
	p.setCharset(d.AString("a charset"))
	d.arg("a search key")
	return p.program()
}

func (d *Decoder) sortCriterion() SortCriterion {
	var c SortCriterion
	word := d.keyword("a sort key")
	if string(word) == "REVERSE" {
		c.Reverse = true
		d.arg("a sort key after REVERSE")
		word = d.keyword("a sort key after REVERSE")
	}
	for i, name := range sortNames {
		if string(word) == name {
			c.Key = SortKey(i)
			return c
		}
	}
	d.fail(expected("a sort key such as DATE or SUBJECT"))
	return c
}

// Thread is the arguments of THREAD and UID THREAD (RFC 5256). Algorithm is
// in upper case; which ones there are is imapd's part.
type Thread struct {
	Algorithm string
	Key       SearchKey
}

// Thread takes the arguments of THREAD to the end of the command.
func (d *Decoder) Thread() (Thread, error) {
	var t Thread
	d.arg("a threading algorithm")
	t.Algorithm = d.Keyword("a threading algorithm")
	t.Key = d.charsetProgram()
	return t, d.End()
}

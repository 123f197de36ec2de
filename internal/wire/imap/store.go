package imap

import "strconv"

// StoreMode says what STORE does with the flags.
type StoreMode uint8

// The modes.
const (
	StoreReplace StoreMode = iota
	StoreAdd
	StoreRemove
)

var storeNames = [...]string{"FLAGS", "+FLAGS", "-FLAGS"}

// Store is the arguments of STORE and UID STORE (RFC 3501 §6.4.6).
type Store struct {
	Set    SeqSet
	Mode   StoreMode
	Silent bool
	Flags  []string
	// Conditional says that messages changed after UnchangedSince are left
	// alone (RFC 7162 §3.1.3); 0 leaves all alone.
	Conditional    bool
	UnchangedSince uint64
}

// Store takes the arguments of STORE to the end of the command.
func (d *Decoder) Store() (Store, error) {
	var s Store
	d.arg("a message set")
	s.Set = d.Set()
	d.arg("FLAGS, +FLAGS or -FLAGS")
	if d.accept('(') {
		s.Conditional = true
		if string(d.keyword("UNCHANGEDSINCE")) != "UNCHANGEDSINCE" {
			d.fail(expected("UNCHANGEDSINCE"))
		}
		d.arg("a mod-sequence")
		s.UnchangedSince = d.Number64("a mod-sequence")
		d.expect(')', ") after the mod-sequence")
		d.arg("FLAGS, +FLAGS or -FLAGS")
	}
	if d.accept('+') {
		s.Mode = StoreAdd
	} else if d.accept('-') {
		s.Mode = StoreRemove
	}
	switch string(d.keyword("FLAGS")) {
	case "FLAGS":
	case "FLAGS.SILENT":
		s.Silent = true
	default:
		d.fail(expected("FLAGS or FLAGS.SILENT"))
	}
	d.arg("flags")
	s.Flags = d.storeFlags()
	return s, d.End()
}

// storeFlags takes flags with or without parentheses.
func (d *Decoder) storeFlags() []string {
	if c, ok := d.peek(); ok && c == '(' {
		return d.Flags()
	}
	flags := []string{d.Flag()}
	for d.accept(' ') && d.err == nil {
		if len(flags) == MaxListItems {
			d.fail(tooMany("flags"))
		}
		flags = append(flags, d.Flag())
	}
	return flags
}

// Append appends the arguments as a client would write them.
func (s *Store) Append(b []byte) []byte {
	b = append(s.Set.Append(b), ' ')
	if s.Conditional {
		b = strconv.AppendUint(append(b, "(UNCHANGEDSINCE "...), s.UnchangedSince, 10)
		b = append(b, ") "...)
	}
	b = append(b, storeNames[s.Mode]...)
	if s.Silent {
		b = append(b, ".SILENT"...)
	}
	return appendFlags(append(b, ' '), s.Flags)
}

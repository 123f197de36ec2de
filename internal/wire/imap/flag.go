package imap

import (
	"bytes"
	"strings"
)

// System flags (RFC 3501 §2.3.2), in the one spelling the Decoder returns.
const (
	FlagSeen     = `\Seen`
	FlagAnswered = `\Answered`
	FlagFlagged  = `\Flagged`
	FlagDeleted  = `\Deleted`
	FlagDraft    = `\Draft`
	FlagRecent   = `\Recent`
	// FlagAny in PERMANENTFLAGS says that keywords can be made.
	FlagAny = `\*`
)

// maxFlag bounds the name of a keyword.
const maxFlag = 255

// systemFlags are the flags a client may set.
var systemFlags = []string{FlagSeen, FlagAnswered, FlagFlagged, FlagDeleted, FlagDraft}

// Flag takes one flag a client may set. System flags come out in their
// standard spelling, keywords as they were written; comparing keywords
// regardless of case is the store's part. \Recent is refused.
func (d *Decoder) Flag() string {
	system := d.accept('\\')
	w := d.word(isAtomChar)
	if len(w) == 0 || len(w) > maxFlag {
		d.fail(expected("a flag"))
		return ""
	}
	if !system {
		return string(w)
	}
	for _, f := range systemFlags {
		if bytes.EqualFold(w, []byte(f[1:])) {
			return f
		}
	}
	if strings.EqualFold(string(w), FlagRecent[1:]) {
		d.fail(expected(`a flag other than \Recent, which only the server sets`))
	}
	return `\` + string(w)
}

// Flags takes a flag list in parentheses, which may be empty.
func (d *Decoder) Flags() []string {
	var flags []string
	d.list("flags", true, MaxListItems, func() { flags = append(flags, d.Flag()) })
	return flags
}

// appendFlags appends a flag list in parentheses.
func appendFlags(b []byte, flags []string) []byte {
	b = append(b, '(')
	for i, f := range flags {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, f...)
	}
	return append(b, ')')
}

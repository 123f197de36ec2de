package imap

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// Delimiter separates the levels of a mailbox name.
	Delimiter = '/'
	// Inbox is the one name that is the same in any case (RFC 3501 §5.1).
	Inbox = "INBOX"
)

// Mailbox takes a mailbox name and returns it in UTF-8, "INBOX" in upper case
// also as the first level of a longer name. A name that is no modified UTF-7,
// or no UTF-8 once that is enabled, is refused with NO [CANNOT].
func (d *Decoder) Mailbox(what string) string {
	return foldInbox(d.mailboxText(d.AString(what)))
}

// mailboxText decodes a name or pattern as it came over the wire.
func (d *Decoder) mailboxText(raw string) string {
	if d.err != nil {
		return ""
	}
	if d.utf8 {
		if !utf8.ValidString(raw) {
			d.fail(refused(CodeCannot, "Mailbox name is not UTF-8"))
		}
		return raw
	}
	name, ok := DecodeUTF7(raw)
	if !ok {
		name, ok = plainUTF8(raw)
	}
	if !ok {
		d.fail(refused(CodeCannot, "Mailbox name is not modified UTF-7"))
	}
	return name
}

// plainUTF8 takes a name that is UTF-8 although that was not enabled, as
// clients write it once a server announces IMAP4rev2. It cannot be mistaken:
// modified UTF-7 has no 8-bit text. An ampersand is still written "&-".
func plainUTF8(raw string) (name string, ok bool) {
	if !utf8.ValidString(raw) || !strings.ContainsFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return "", false
	}
	name = strings.ReplaceAll(raw, "&-", "&")
	return name, strings.Count(raw, "&") == strings.Count(raw, "&-")
}

// foldInbox writes the first level in upper case if it is INBOX.
func foldInbox(name string) string {
	if !underInbox(name) || strings.HasPrefix(name, Inbox) {
		return name
	}
	return Inbox + name[len(Inbox):]
}

// underInbox reports INBOX and what lies below it.
func underInbox(name string) bool {
	return len(name) >= len(Inbox) && strings.EqualFold(name[:len(Inbox)], Inbox) &&
		(len(name) == len(Inbox) || name[len(Inbox)] == Delimiter)
}

// Bounds on the name of a new mailbox.
const (
	maxName   = 1000 // octets of UTF-8
	maxLevel  = 255
	maxLevels = 50
)

// CheckName says whether a mailbox may be made under this name: NO [CANNOT]
// for empty, "." and ".." levels, control characters, wildcards and names too
// long or too deep. Names that exist already need not pass.
func CheckName(name string) error {
	if len(name) > maxName || strings.Count(name, string(Delimiter)) >= maxLevels {
		return refused(CodeCannot, "Mailbox name too long or too deep")
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, isForbiddenInName) {
		return refused(CodeCannot, "Mailbox name holds a character that is not allowed")
	}
	for level := range strings.SplitSeq(name, string(Delimiter)) {
		if level == "" || level == "." || level == ".." || len(level) > maxLevel {
			return refused(CodeCannot, "Mailbox name has an empty, dotted or too long level")
		}
	}
	return nil
}

// isForbiddenInName holds for what would be invisible or a wildcard
// (RFC 9051 §5.1).
func isForbiddenInName(r rune) bool {
	return r == '*' || r == '%' || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

package imap

// StatusAttr is a set of STATUS items.
type StatusAttr uint16

// The items of RFC 3501 §6.3.10 and RFC 9051 §6.3.11, then HIGHESTMODSEQ
// (RFC 7162), MAILBOXID (RFC 8474), APPENDLIMIT (RFC 7889) and
// DELETED-STORAGE (RFC 9208).
const (
	StatusMessages StatusAttr = 1 << iota
	StatusRecent
	StatusUIDNext
	StatusUIDValidity
	StatusUnseen
	StatusDeleted
	StatusSize
	StatusHighestModSeq
	StatusMailboxID
	StatusAppendLimit
	StatusDeletedStorage
)

var statusAttrs = []struct {
	name string
	attr StatusAttr
}{
	{"MESSAGES", StatusMessages},
	{"RECENT", StatusRecent},
	{"UIDNEXT", StatusUIDNext},
	{"UIDVALIDITY", StatusUIDValidity},
	{"UNSEEN", StatusUnseen},
	{"DELETED", StatusDeleted},
	{"SIZE", StatusSize},
	{"HIGHESTMODSEQ", StatusHighestModSeq},
	{"MAILBOXID", StatusMailboxID},
	{"APPENDLIMIT", StatusAppendLimit},
	{"DELETED-STORAGE", StatusDeletedStorage},
}

// MailboxStatus is the arguments of STATUS.
type MailboxStatus struct {
	Mailbox string
	Attrs   StatusAttr
}

// MailboxStatus takes the arguments of STATUS to the end of the command.
func (d *Decoder) MailboxStatus() (MailboxStatus, error) {
	var s MailboxStatus
	d.arg("a mailbox name")
	s.Mailbox = d.Mailbox("a mailbox name")
	d.arg("status items")
	s.Attrs = d.statusAttrs()
	return s, d.End()
}

// statusAttrs takes the items in parentheses.
func (d *Decoder) statusAttrs() StatusAttr {
	var attrs StatusAttr
	d.list("status items", false, MaxListItems, func() {
		word := d.keyword("a status item")
		for i := range statusAttrs {
			if string(word) == statusAttrs[i].name {
				attrs |= statusAttrs[i].attr
				return
			}
		}
		d.fail(expected("a status item such as MESSAGES or UNSEEN"))
	})
	return attrs
}

// Append appends the items in parentheses.
func (a StatusAttr) Append(b []byte) []byte {
	b = append(b, '(')
	start := len(b)
	for _, s := range statusAttrs {
		if a&s.attr == 0 {
			continue
		}
		if len(b) > start {
			b = append(b, ' ')
		}
		b = append(b, s.name...)
	}
	return append(b, ')')
}

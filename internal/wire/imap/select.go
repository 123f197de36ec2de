package imap

// Select is the arguments of SELECT and EXAMINE.
type Select struct {
	Mailbox string
	// CondStore is RFC 7162 §3.1.8.
	CondStore bool
	// Resync, if not nil, is what the client remembers (RFC 7162 §3.2.5).
	Resync *Resync
}

// Resync is the parameters of QRESYNC. None of the sets holds "*".
type Resync struct {
	UIDValidity uint32
	ModSeq      uint64
	// Known are the UIDs the client has; empty means all.
	Known SeqSet
	// MatchSeqs and MatchUIDs pair some sequence numbers with their UIDs, in
	// ascending order and equally many; both empty if not given.
	MatchSeqs, MatchUIDs SeqSet
}

// Select takes the arguments of SELECT or EXAMINE to the end of the command.
func (d *Decoder) Select() (Select, error) {
	var s Select
	d.arg("a mailbox name")
	s.Mailbox = d.Mailbox("a mailbox name")
	if d.accept(' ') {
		d.list("select parameters", false, MaxListItems, func() {
			switch string(d.keyword("a select parameter")) {
			case "CONDSTORE":
				s.CondStore = true
			case "QRESYNC":
				d.arg("QRESYNC parameters")
				s.Resync = d.resync()
			default:
				d.fail(expected("CONDSTORE or QRESYNC"))
			}
		})
	}
	return s, d.End()
}

// resync takes "(" uidvalidity modseq [known-uids] [match data] ")".
func (d *Decoder) resync() *Resync {
	var r Resync
	d.expect('(', "( before the QRESYNC parameters")
	r.UIDValidity = d.NZNumber("a UIDVALIDITY")
	d.arg("a mod-sequence")
	if r.ModSeq = d.Number64("a mod-sequence"); r.ModSeq == 0 {
		d.fail(expected("a mod-sequence greater than 0"))
	}
	more := d.accept(' ')
	if c, ok := d.peek(); more && ok && c != '(' {
		r.Known = d.plainSet("known UIDs")
		more = d.accept(' ')
	}
	if more {
		d.expect('(', "( before known sequence numbers")
		r.MatchSeqs = d.plainSet("known sequence numbers")
		d.arg("their UIDs")
		r.MatchUIDs = d.plainSet("their UIDs")
		d.expect(')', ") after their UIDs")
		if r.MatchSeqs.Count(star) != r.MatchUIDs.Count(star) {
			d.fail(expected("as many known sequence numbers as UIDs"))
		}
	}
	d.expect(')', ") after the QRESYNC parameters")
	return &r
}

// plainSet takes a set without "*" and "$".
func (d *Decoder) plainSet(what string) SeqSet {
	s := d.Set()
	if d.err == nil && (s.HasStar() || s.Saved()) {
		d.fail(expected(what + " without * and $"))
	}
	return s
}

// MailboxArg takes a mailbox name as the only argument, as CREATE, DELETE,
// SUBSCRIBE and UNSUBSCRIBE have it.
func (d *Decoder) MailboxArg() (string, error) {
	d.arg("a mailbox name")
	name := d.Mailbox("a mailbox name")
	return name, d.End()
}

// Create is the arguments of CREATE; Use lists special uses such as `\Sent`
// (RFC 6154 §3).
type Create struct {
	Mailbox string
	Use     []string
}

// Create takes the arguments of CREATE to the end of the command. A delimiter
// at the end of the name is dropped (RFC 3501 §6.3.3).
func (d *Decoder) Create() (Create, error) {
	var c Create
	d.arg("a mailbox name")
	c.Mailbox = d.Mailbox("a mailbox name")
	if n := len(c.Mailbox); n > 1 && c.Mailbox[n-1] == Delimiter {
		c.Mailbox = c.Mailbox[:n-1]
	}
	if d.accept(' ') {
		d.expect('(', "( before USE")
		if string(d.keyword("USE")) != "USE" {
			d.fail(expected("USE"))
		}
		d.arg("special uses")
		d.list("special uses", true, MaxListItems, func() {
			d.expect('\\', `a special use such as \Sent`)
			c.Use = append(c.Use, `\`+d.Atom("a special use"))
		})
		d.expect(')', ") after the special uses")
	}
	return c, d.End()
}

// Rename takes the arguments of RENAME to the end of the command.
func (d *Decoder) Rename() (from, to string, err error) {
	d.arg("a mailbox name")
	from = d.Mailbox("a mailbox name")
	d.arg("a new mailbox name")
	to = d.Mailbox("a new mailbox name")
	return from, to, d.End()
}

package imap

// ListSelect is a set of LIST selection options (RFC 5258 §3.1, RFC 6154).
type ListSelect uint8

// The selection options.
const (
	SelectSubscribed ListSelect = 1 << iota
	SelectRemote
	SelectRecursiveMatch
	SelectSpecialUse
)

// ListReturn is a set of LIST return options (RFC 5258 §3.2, RFC 6154,
// RFC 5819 for STATUS, RFC 8440 for MYRIGHTS).
type ListReturn uint8

// The return options.
const (
	ReturnSubscribed ListReturn = 1 << iota
	ReturnChildren
	ReturnSpecialUse
	ReturnStatus
	ReturnMyRights
)

// List is the arguments of LIST. Reference and Patterns are in UTF-8; join
// them with NewPattern. One empty pattern asks for the delimiter alone.
type List struct {
	Reference string
	Patterns  []string
	Select    ListSelect
	Return    ListReturn
	Status    StatusAttr // of ReturnStatus
	// Extended says that RFC 5258 syntax was used.
	Extended bool
}

// List takes the arguments of LIST to the end of the command.
func (d *Decoder) List() (List, error) {
	var l List
	d.arg("a reference name")
	if c, ok := d.peek(); ok && c == '(' {
		l.Extended = true
		d.list("selection options", true, MaxListItems, func() { l.Select |= d.listSelect() })
		d.arg("a reference name")
	}
	if l.Select == SelectRecursiveMatch || l.Select == SelectRecursiveMatch|SelectRemote {
		d.fail(expected("SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH")) // RFC 5258 §3.1
	}
	d.listNames(&l)
	if d.accept(' ') {
		l.Extended = true
		d.listReturns(&l)
	}
	return l, d.End()
}

// Lsub takes the arguments of LSUB: a reference and one pattern.
func (d *Decoder) Lsub() (List, error) {
	var l List
	d.arg("a reference name")
	d.listNames(&l)
	if l.Extended {
		d.fail(expected("one mailbox pattern"))
	}
	return l, d.End()
}

// listNames takes the reference and one or more patterns. The reference is
// bounded as they are: it becomes a part of each of them.
func (d *Decoder) listNames(l *List) {
	l.Reference = d.mailboxText(d.AString("a reference name"))
	if len(l.Reference) > maxName {
		d.fail(bad("Reference name too long"))
	}
	d.arg("a mailbox pattern")
	if c, ok := d.peek(); ok && c == '(' {
		l.Extended = true
		d.list("mailbox patterns", false, MaxListItems, func() { l.Patterns = append(l.Patterns, d.listPattern()) })
		return
	}
	l.Patterns = []string{d.listPattern()}
}

// listPattern takes one pattern; its length bounds what matching it costs.
func (d *Decoder) listPattern() string {
	p := d.mailboxText(d.stringOr(isListChar, "a mailbox pattern"))
	if len(p) > maxName {
		d.fail(bad("Mailbox pattern too long"))
	}
	return p
}

func (d *Decoder) listSelect() ListSelect {
	switch string(d.keyword("a selection option")) {
	case "SUBSCRIBED":
		return SelectSubscribed
	case "REMOTE":
		return SelectRemote
	case "RECURSIVEMATCH":
		return SelectRecursiveMatch
	case "SPECIAL-USE":
		return SelectSpecialUse
	}
	d.fail(expected("SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE"))
	return 0
}

// listReturns takes RETURN and its options.
func (d *Decoder) listReturns(l *List) {
	if string(d.keyword("RETURN")) != "RETURN" {
		d.fail(expected("RETURN"))
	}
	d.arg("return options")
	d.list("return options", true, MaxListItems, func() { d.listReturn(l) })
}

func (d *Decoder) listReturn(l *List) {
	switch string(d.keyword("a return option")) {
	case "SUBSCRIBED":
		l.Return |= ReturnSubscribed
	case "CHILDREN":
		l.Return |= ReturnChildren
	case "SPECIAL-USE":
		l.Return |= ReturnSpecialUse
	case "MYRIGHTS":
		l.Return |= ReturnMyRights
	case "STATUS":
		l.Return |= ReturnStatus
		d.arg("status items")
		l.Status |= d.statusAttrs()
	default:
		d.fail(expected("SUBSCRIBED, CHILDREN, SPECIAL-USE, MYRIGHTS or STATUS"))
	}
}

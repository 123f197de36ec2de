package imap

// Copy is the arguments of COPY and MOVE, with or without UID (RFC 3501
// §6.4.7, RFC 6851).
type Copy struct {
	Set     SeqSet
	Mailbox string
}

// Copy takes the arguments of COPY or MOVE to the end of the command.
func (d *Decoder) Copy() (Copy, error) {
	var c Copy
	d.arg("a message set")
	c.Set = d.Set()
	d.arg("a mailbox name")
	c.Mailbox = d.Mailbox("a mailbox name")
	return c, d.End()
}

// SetArg takes a set as the only argument, as UID EXPUNGE has it (RFC 4315).
func (d *Decoder) SetArg() (SeqSet, error) {
	d.arg("a message set")
	s := d.Set()
	return s, d.End()
}

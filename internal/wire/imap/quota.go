package imap

// QuotaRoot takes the argument of GETQUOTA (RFC 9208 §4.1.2).
func (d *Decoder) QuotaRoot() (string, error) {
	d.arg("a quota root")
	root := d.AString("a quota root")
	return root, d.End()
}

// SetQuota takes the arguments of SETQUOTA (RFC 9208 §4.1.1), only to tell a
// refused command from a malformed one.
func (d *Decoder) SetQuota() error {
	d.arg("a quota root")
	d.AString("a quota root")
	d.arg("limits")
	d.list("limits", true, MaxListItems, func() {
		d.Atom("a resource")
		d.arg("a limit")
		d.Number64("a limit")
	})
	return d.End()
}

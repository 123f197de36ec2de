package imap

// Bounds of RFC 2971 §3.3.
const (
	maxIDFields = 30
	maxIDKey    = 30
	maxIDValue  = 1024
)

// IDField is one field of ID; Value is empty for NIL.
type IDField struct{ Key, Value string }

// ID takes the arguments of ID to the end of the command: nil for NIL. What a
// client says of itself is good for logs and statistics only (RFC 2971 §1).
func (d *Decoder) ID() ([]IDField, error) {
	d.arg("NIL or a list of fields")
	if d.acceptFold("NIL") {
		return nil, d.End()
	}
	fields := []IDField{}
	d.list("fields", true, maxIDFields, func() {
		key := d.Text("a field name")
		d.arg("a field value")
		value, _ := d.NText("a field value")
		if len(key) > maxIDKey || len(value) > maxIDValue {
			d.fail(bad("ID field too long"))
		}
		fields = append(fields, IDField{key, value})
	})
	return fields, d.End()
}

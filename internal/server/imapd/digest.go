package imapd

import "posthorn/internal/wire/mime"

// digest is what SORT and THREAD compare of a message, texts folded.
type digest struct {
	date  int64 // of the Date field, UTC seconds
	dated bool
	// subject is the base subject; reply: it had to be cut down to it.
	subject string
	reply   bool

	from, to, cc           string
	displayFrom, displayTo string

	id   string
	refs []string
}

// digestSize is about what a digest costs besides its texts.
const digestSize = 240

func newDigest(m *mime.Structure) *digest {
	e := m.Envelope()
	subject, reply := baseSubject(e.Subject)
	d := &digest{subject: fold(subject), reply: reply, from: fold(firstMailbox(e.From)), to: fold(firstMailbox(e.To)), cc: fold(firstMailbox(e.Cc)),
		displayFrom: fold(firstDisplay(e.From)), displayTo: fold(firstDisplay(e.To))}
	if t, ok := sent(e); ok {
		d.date, d.dated = t.Unix(), true
	}
	if ids := mime.Identifiers(e.MessageID); len(ids) > 0 {
		d.id = ids[0]
	}
	if d.refs = mime.Identifiers(m.References); len(d.refs) > 0 {
		return d
	}
	if ids := mime.Identifiers(e.InReplyTo); len(ids) > 0 {
		d.refs = ids[:1]
	}
	return d
}

// firstMailbox is the local part of the first address (RFC 5256 §3).
func firstMailbox(list []mime.Address) string {
	for i := range list {
		if list[i].Kind == mime.Mailbox {
			return list[i].Mailbox
		}
	}
	return ""
}

// firstDisplay is what a reader shows for the first address (RFC 5957).
func firstDisplay(list []mime.Address) string {
	if len(list) == 0 {
		return ""
	}
	a := &list[0]
	switch {
	case a.Kind != mime.Mailbox:
		return mime.DecodeWords(a.Mailbox)
	case a.Name != "":
		return mime.DecodeWords(a.Name)
	}
	return a.Spec()
}

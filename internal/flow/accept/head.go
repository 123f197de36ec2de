package accept

import (
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/flow/trace"
	"posthorn/internal/wire/mime"
)

// head is what is put before the content of each copy.
type head struct {
	// common is the trace field and what the author's program left out.
	common    []byte
	structure *mime.Structure
}

func newHead(e *Envelope, c *Content) *head {
	h := &head{common: c.Trace, structure: c.Structure}
	if !c.Complete {
		return h
	}
	h.common = c.Trace[:len(c.Trace):len(c.Trace)]
	env := c.Structure.Envelope()
	if env.Present&mime.PresentMessageID == 0 {
		env.MessageID = "<" + e.Key.String() + "@" + c.Host + ">"
		env.Present |= mime.PresentMessageID
		h.add("Message-ID: ", env.MessageID)
	}
	if env.Present&mime.PresentDate == 0 {
		env.Date = e.Time.UTC().Format(time.RFC1123Z)
		env.Present |= mime.PresentDate
		h.add("Date: ", env.Date)
	}
	return h
}

func (h *head) add(name, value string) {
	h.common = append(append(append(h.common, name...), value...), '\r', '\n')
}

// filed is the head of a copy that reaches its mailbox: the reverse-path and
// the forward-path are kept in it (RFC 5321 §4.4), for replies and against loops.
// field is one of its own, "" for none.
func (h *head) filed(from, to mail.Address, field string) []byte {
	b := make([]byte, 0, len(h.common)+len(from.Local)+len(from.Domain)+len(to.Local)+len(to.Domain)+len(field)+48)
	b = append(trace.AppendFinal(b, from, to), field...)
	return append(b, h.common...)
}

// meta is the structure of content behind a head of n octets.
func (h *head) meta(n int) ([]byte, error) {
	h.structure.Shift(int64(n))
	b, err := h.structure.AppendBinary(make([]byte, 0, 512))
	h.structure.Shift(-int64(n))
	return b, err
}

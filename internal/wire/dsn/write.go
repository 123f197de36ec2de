package dsn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// writer writes a notice; errors of the io.Writer stay in the bufio.Writer
// until the end.
type writer struct {
	*bufio.Writer
	n   *Notice
	buf []byte
}

// ErrNotice is wrapped by errors about the Notice itself.
var ErrNotice = errors.New("dsn: notice cannot be written")

// Write writes the message, with CRLF line ends and every line under 998
// octets. It reports whether it has octets above 127 and needs 8BITMIME. The
// returned content is copied in pieces, not held. Errors are those of w, of
// Original.Content, and ErrNotice.
func Write(w io.Writer, n *Notice) (eightBit bool, err error) {
	if err := n.check(); err != nil {
		return false, err
	}
	form, err := n.Original.form(n.UTF8)
	if err != nil {
		return false, fmt.Errorf("dsn: original: %w", err)
	}
	eightBit = n.UTF8 || form.encoding == "8bit"
	nw := &writer{Writer: bufio.NewWriter(w), n: n}
	nw.head(eightBit)
	if err := nw.text(form); err != nil {
		return false, fmt.Errorf("dsn: text: %w", err)
	}
	nw.status()
	if form.kind != "" {
		if err := nw.original(form); err != nil {
			return false, fmt.Errorf("dsn: original: %w", err)
		}
	}
	nw.WriteString("\r\n--" + n.Boundary + "--\r\n")
	return eightBit, nw.Flush()
}

// check refuses what only a fault of the caller can bring.
func (n *Notice) check() error {
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	switch {
	case n.To.IsNull() || n.To.Domain == "":
		return fmt.Errorf("%w: nobody to tell", ErrNotice)
	case !n.To.IsASCII() && !n.UTF8:
		return fmt.Errorf("%w: %s needs the internationalised form", ErrNotice, n.To)
	case len(n.Boundary) < 16 || len(n.Boundary) > 60 || strings.Trim(n.Boundary, alnum) != "":
		return fmt.Errorf("%w: unfit boundary", ErrNotice)
	case n.Host == "" || n.ID == "" || len(n.Recipients) == 0:
		return fmt.Errorf("%w: host, identifier or recipients are missing", ErrNotice)
	}
	return nil
}

// field writes a header field in ASCII.
func (w *writer) field(name, value string) { w.put(name, value, false) }

func (w *writer) put(name, value string, wide bool) {
	w.buf = fold(w.buf[:0], name, value, wide)
	_, _ = w.Write(w.buf) // kept by bufio, told by Flush
}

func (w *writer) head(eightBit bool) {
	n := w.n
	w.field("From", "Mail Delivery System <mailer-daemon@"+n.Host+">")
	w.put("To", n.To.Path(), n.UTF8)
	w.field("Subject", encodeWords(n.subject()))
	w.field("Date", n.Date.Format(time.RFC1123Z))
	w.field("Message-ID", "<"+n.ID+"@"+n.Host+">")
	id := identifiers(n.Original.MessageID, 1)
	w.field("In-Reply-To", id)
	w.field("References", strings.TrimSpace(identifiers(n.Original.References, maxReferences)+" "+id))
	w.field("Auto-Submitted", "auto-replied")
	w.field("MIME-Version", "1.0")
	w.field("Content-Type", "multipart/report; report-type="+n.reportType()+"; boundary=\""+n.Boundary+"\"")
	if eightBit {
		w.field("Content-Transfer-Encoding", "8bit")
	}
	w.WriteString("\r\nThis is a delivery status notification in MIME format.\r\n")
}

// reportType is the subtype of the second part, and by it that of the whole
// (RFC 6522 §3).
func (n *Notice) reportType() string {
	if n.UTF8 {
		return "global-delivery-status"
	}
	return "delivery-status"
}

// identifiers keeps the last so many well-formed message identifiers.
func identifiers(s string, most int) string {
	var ids []string
	for id := range strings.FieldsSeq(s) {
		if len(id) > 2 && len(id) <= 250 && id[0] == '<' && id[len(id)-1] == '>' && line(id, false) == id && !strings.ContainsAny(id[1:len(id)-1], "<>") {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids[max(0, len(ids)-most):], " ")
}

// part begins a part.
func (w *writer) part(kind, encoding, description string) {
	w.WriteString("\r\n--" + w.n.Boundary + "\r\n")
	w.field("Content-Type", kind)
	w.field("Content-Description", description)
	if encoding != "7bit" {
		w.field("Content-Transfer-Encoding", encoding)
	}
}

func (w *writer) text(f form) error {
	charset, encoding, body, err := encodeText(w.n.text(f))
	if err != nil {
		return err
	}
	w.part("text/plain; charset="+charset, encoding, "Notification")
	w.field("Content-Language", strings.Join(w.n.tags(), ", "))
	w.WriteString("\r\n")
	_, _ = w.Write(body) // told by Flush
	return nil
}

// status writes the fields of RFC 3464 §2.2 and §2.3.
func (w *writer) status() {
	n := w.n
	encoding := "7bit"
	if n.UTF8 {
		encoding = "8bit"
	}
	w.part("message/"+n.reportType(), encoding, "Delivery report")
	w.WriteString("\r\n")
	w.field("Original-Envelope-Id", n.EnvelopeID)
	w.field("Reporting-MTA", "dns; "+n.Host)
	w.time("Arrival-Date", n.Arrived)
	w.field("X-Posthorn-Queue-Id", n.Queue)
	for i := range n.Recipients {
		r := &n.Recipients[i]
		w.WriteString("\r\n")
		w.put("Original-Recipient", original(r.Original, n.UTF8), n.UTF8)
		w.put("Final-Recipient", final(r.Address, n.UTF8), n.UTF8)
		w.field("Action", r.Action.String())
		w.field("Status", r.status().String())
		w.field("Remote-MTA", r.remote())
		w.put("Diagnostic-Code", r.diagnostic(), n.UTF8)
		w.time("Last-Attempt-Date", r.Last)
		if r.Action == Delayed {
			w.time("Will-Retry-Until", r.Until)
		}
	}
}

func (w *writer) time(name string, t time.Time) {
	if !t.IsZero() {
		w.field(name, t.In(w.n.Date.Location()).Format(time.RFC1123Z))
	}
}

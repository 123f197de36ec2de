package mime

import (
	"strconv"
	"strings"
)

// AppendEnvelope appends the message's ENVELOPE (RFC 9051 §7.5.2).
func (s *Structure) AppendEnvelope(dst []byte) []byte { return s.Envelope().append(dst) }

// AppendBody appends the message's BODY, the structure without extension data.
func (s *Structure) AppendBody(dst []byte) []byte {
	return (&renderer{s: s}).part(dst, 0)
}

// AppendBodyStructure appends the message's BODYSTRUCTURE.
func (s *Structure) AppendBodyStructure(dst []byte) []byte {
	return (&renderer{s: s, extended: true}).part(dst, 0)
}

func (e *Envelope) append(dst []byte) []byte {
	sender, replyTo := e.Sender, e.ReplyTo
	if len(sender) == 0 {
		sender = e.From
	}
	if len(replyTo) == 0 {
		replyTo = e.From
	}
	dst = append(dst, '(')
	dst = e.text(dst, PresentDate, e.Date)
	dst = append(dst, ' ')
	dst = e.text(dst, PresentSubject, e.Subject)
	for _, list := range [...][]Address{e.From, sender, replyTo, e.To, e.Cc, e.Bcc} {
		dst = append(dst, ' ')
		dst = appendAddresses(dst, list)
	}
	dst = append(dst, ' ')
	dst = e.text(dst, PresentInReplyTo, e.InReplyTo)
	dst = append(dst, ' ')
	dst = e.text(dst, PresentMessageID, e.MessageID)
	return append(dst, ')')
}

func (e *Envelope) text(dst []byte, bit Presence, s string) []byte {
	if e.Present&bit == 0 {
		return append(dst, "NIL"...)
	}
	return AppendString(dst, s)
}

func appendAddresses(dst []byte, list []Address) []byte {
	if len(list) == 0 {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i := range list {
		dst = list[i].append(dst)
	}
	return append(dst, ')')
}

// append writes one address. A NIL host marks a group, so a mailbox without a
// domain gets an empty one.
func (a *Address) append(dst []byte) []byte {
	switch a.Kind {
	case GroupStart:
		dst = append(dst, "(NIL NIL "...)
		dst = AppendString(dst, a.Mailbox)
		return append(dst, " NIL)"...)
	case GroupEnd:
		return append(dst, "(NIL NIL NIL NIL)"...)
	}
	dst = append(dst, '(')
	dst = AppendNString(dst, a.Name)
	dst = append(dst, ' ')
	dst = AppendNString(dst, a.Route)
	dst = append(dst, ' ')
	dst = AppendString(dst, a.Mailbox)
	dst = append(dst, ' ')
	dst = AppendString(dst, a.Host)
	return append(dst, ')')
}

// AppendNString appends an IMAP nstring, NIL for an empty one.
func AppendNString(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "NIL"...)
	}
	return AppendString(dst, s)
}

// AppendString appends an IMAP string: quoted where that is legal for every
// client, else a literal. NUL cannot be sent in either and is left out.
func AppendString(dst []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		switch c := s[i]; {
		case c == 0 || c == '\r' || c == '\n' || c >= 0x80:
			return appendLiteral(dst, s)
		case c == '"' || c == '\\':
			plain = false
		}
	}
	dst = append(dst, '"')
	if plain {
		dst = append(dst, s...)
		return append(dst, '"')
	}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

func appendLiteral(dst []byte, s string) []byte {
	s = strings.ReplaceAll(s, "\x00", "")
	dst = append(dst, '{')
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, "}\r\n"...)
	return append(dst, s...)
}

// renderer writes body structures. Its recursion is bounded by MaxDepth.
type renderer struct {
	s        *Structure
	extended bool
}

func (r *renderer) part(dst []byte, i int) []byte {
	p := &r.s.Parts[i]
	dst = append(dst, '(')
	if p.isMultipart() {
		return append(r.multipart(dst, i), ')')
	}
	dst = AppendString(dst, p.Type)
	dst = append(dst, ' ')
	dst = AppendString(dst, p.Subtype)
	dst = append(dst, ' ')
	dst = appendParams(dst, p.Params)
	dst = append(dst, ' ')
	dst = AppendNString(dst, p.ID)
	dst = append(dst, ' ')
	dst = AppendNString(dst, p.Description)
	dst = append(dst, ' ')
	dst = AppendString(dst, p.encoding())
	dst = appendNumber(dst, p.Body.Len())
	switch {
	case p.isMessage():
		dst = r.message(dst, i)
		dst = appendNumber(dst, p.Lines)
	case p.Type == "text":
		dst = appendNumber(dst, p.Lines)
	}
	if r.extended {
		dst = append(dst, ' ')
		dst = AppendNString(dst, p.MD5)
		dst = p.appendExtension(dst)
	}
	return append(dst, ')')
}

func (r *renderer) multipart(dst []byte, i int) []byte {
	p := &r.s.Parts[i]
	for c := range r.s.Children(i) {
		dst = r.part(dst, c)
	}
	if r.s.childless(i) {
		// The grammar wants one; Section shows the whole body as part 1.
		dst = r.text(dst, p.encoding(), p.Body.Len(), p.Lines)
	}
	dst = append(dst, ' ')
	dst = AppendString(dst, p.Subtype)
	if r.extended {
		dst = append(dst, ' ')
		dst = appendParams(dst, p.Params)
		dst = p.appendExtension(dst)
	}
	return dst
}

// message writes the envelope and structure of the message in part i, empty
// ones if it was not looked into.
func (r *renderer) message(dst []byte, i int) []byte {
	dst = append(dst, ' ')
	if r.s.childless(i) {
		dst = new(Envelope).append(dst)
		dst = append(dst, ' ')
		return r.text(dst, "7bit", 0, 0)
	}
	dst = r.s.Parts[i+1].Envelope.append(dst)
	dst = append(dst, ' ')
	return r.part(dst, i+1)
}

// text writes a plain part that is not in the message as such.
func (r *renderer) text(dst []byte, encoding string, size, lines int64) []byte {
	dst = append(dst, `("text" "plain" ("charset" "us-ascii") NIL NIL `...)
	dst = AppendString(dst, encoding)
	dst = appendNumber(dst, size)
	dst = appendNumber(dst, lines)
	if r.extended {
		dst = append(dst, " NIL NIL NIL NIL"...)
	}
	return append(dst, ')')
}

func (p *Part) encoding() string {
	if p.Encoding == "" {
		return "7bit"
	}
	return p.Encoding
}

// appendExtension writes disposition, language and location.
func (p *Part) appendExtension(dst []byte) []byte {
	dst = append(dst, ' ')
	if p.Disposition == "" {
		dst = append(dst, "NIL"...)
	} else {
		dst = append(dst, '(')
		dst = AppendString(dst, p.Disposition)
		dst = append(dst, ' ')
		dst = appendParams(dst, p.DispositionParams)
		dst = append(dst, ')')
	}
	dst = append(dst, ' ')
	if len(p.Language) == 0 {
		dst = append(dst, "NIL"...)
	} else {
		dst = append(dst, '(')
		for i, l := range p.Language {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = AppendString(dst, l)
		}
		dst = append(dst, ')')
	}
	dst = append(dst, ' ')
	return AppendNString(dst, p.Location)
}

// appendParams writes parameters. An extended one keeps the asterisk and its
// encoded value, which clients decode.
func appendParams(dst []byte, params []Param) []byte {
	if len(params) == 0 {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i := range params {
		if i > 0 {
			dst = append(dst, ' ')
		}
		name := params[i].Name
		if params[i].Extended {
			name += "*"
		}
		dst = AppendString(dst, name)
		dst = append(dst, ' ')
		dst = AppendString(dst, params[i].Value)
	}
	return append(dst, ')')
}

func appendNumber(dst []byte, n int64) []byte {
	return strconv.AppendInt(append(dst, ' '), n, 10)
}

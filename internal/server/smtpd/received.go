package smtpd

import (
	"crypto/tls"
	"strings"
	"time"

	"posthorn/internal/base/mail"
)

// trace writes the Received field (RFC 5321 §4.4). Nothing a client said can
// end a line or a comment in it.
func (tx *transaction) trace() []byte {
	s := tx.s
	f := s.facts
	b := make([]byte, 0, 384)
	b = append(b, "Received: from "...)
	address := "[local]" // a Unix socket
	if f.Client.IsValid() {
		address = mail.Literal(f.Client)
	}
	if name, err := mail.ParseDomain(f.Helo); err == nil {
		b = append(b, name...)
		b = append(b, " ("...)
		if f.Hostname != "" {
			b = appendComment(b, f.Hostname)
			b = append(b, ' ')
		}
		b = append(b, address...)
	} else {
		b = append(b, address...)
		b = append(b, " (helo="...)
		b = appendComment(b, f.Helo)
	}
	b = append(b, ")\r\n\tby "...)
	b = append(b, s.c.server.Hostname()...)
	b = append(b, " with "...)
	b = append(b, tx.protocol()...)
	if state := s.c.net.TLS(); state != nil {
		b = append(b, " ("...)
		b = append(b, strings.ReplaceAll(tls.VersionName(state.Version), " ", "")...)
		b = append(b, ' ')
		b = append(b, tls.CipherSuiteName(state.CipherSuite)...)
		b = append(b, ')')
	}
	b = append(b, "\r\n\tid "...)
	b, _ = tx.env.Key.AppendText(b) // never fails
	if len(tx.env.Recipients) == 1 && tx.taken == 1 {
		// With more, one recipient would learn of another.
		b = append(b, "\r\n\tfor "...)
		b = append(b, tx.env.Recipients[0].Address.Path()...)
	}
	b = append(b, "; "...)
	b = tx.env.Time.UTC().AppendFormat(b, time.RFC1123Z)
	return append(b, '\r', '\n')
}

// protocol is the "with" keyword (RFC 3848, RFC 6531 §4.3).
func (tx *transaction) protocol() string {
	s := tx.s
	name := "SMTP"
	switch {
	case s.c.lmtp && tx.env.SMTPUTF8:
		name = "UTF8LMTP"
	case s.c.lmtp:
		name = "LMTP"
	case tx.env.SMTPUTF8:
		name = "UTF8SMTP"
	case s.facts.ESMTP:
		name = "ESMTP"
	}
	if s.facts.TLS {
		name += "S"
	}
	if s.facts.Login != nil {
		name += "A"
	}
	return name
}

// appendComment appends text inside a comment, without what would end or nest it.
func appendComment(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(' || c == ')' || c == '\\' || c < ' ' || c >= 0x7f:
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return b
}

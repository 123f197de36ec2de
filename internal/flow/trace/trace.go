// Package trace writes the trace fields that a message gets at its final
// delivery (RFC 5321 §4.4), for everybody who files one.
package trace

import (
	"posthorn/internal/base/mail"
)

// AppendFinal appends Return-Path, which the last SMTP server adds, and
// Delivered-To, by which a mail loop is recognised (M-GEN-10).
func AppendFinal(b []byte, sender, recipient mail.Address) []byte {
	b = append(b, "Return-Path: "...)
	b = append(b, sender.Path()...)
	b = append(b, "\r\nDelivered-To: "...)
	b = append(b, recipient.String()...)
	return append(b, "\r\n"...)
}

package smtpd

import "posthorn/internal/base/reply"

// vrfy never tells who exists (RFC 5321 §3.5.3).
func (s *session) vrfy(arg string) outcome {
	if arg == "" {
		return says(reply.New(501, reply.E(5, 5, 4), "A name is required"))
	}
	return says(replyCannotVerify)
}

// expn is not offered: who belongs to a group is nobody's business.
func (s *session) expn(string) outcome { return says(replyUnsupported) }

package smtpd

// noop takes any argument and does nothing (RFC 5321 §4.1.1.9).
func (s *session) noop(string) outcome { return says(replyOK) }

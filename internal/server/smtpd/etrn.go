package smtpd

// etrn is not offered (RFC 1985): the queue wakes by itself.
func (s *session) etrn(string) outcome { return says(replyUnsupported) }

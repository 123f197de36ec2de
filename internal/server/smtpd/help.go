package smtpd

// help says where to read on (RFC 5321 §4.1.1.8).
func (s *session) help(string) outcome { return says(replyHelp) }

package smtpd

// quit ends the connection (RFC 5321 §4.1.1.10).
func (s *session) quit(arg string) outcome {
	if r, ok := nothing(arg); !ok {
		return says(r)
	}
	return says(replyBye)
}

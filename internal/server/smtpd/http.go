package smtpd

// http hangs up on a browser that was tricked into talking to us.
func (s *session) http(string) outcome {
	if s.c.guard != nil {
		s.c.guard.ProtocolError()
	}
	return says(replyHTTP)
}

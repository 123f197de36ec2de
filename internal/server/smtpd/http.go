package smtpd

// http hangs up on a browser that was tricked into talking to us.
func (s *session) http(string) outcome {
	s.c.foul()
	return says(replyHTTP)
}

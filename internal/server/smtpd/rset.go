package smtpd

// rset forgets the transaction (RFC 5321 §4.1.1.5).
func (s *session) rset(arg string) outcome {
	if r, ok := nothing(arg); !ok {
		return says(r)
	}
	s.drop()
	return says(replyOK)
}

package smtpd

import (
	"posthorn/internal/base/reply"
	"posthorn/internal/wire/smtp"
)

// data asks for the content (RFC 5321 §4.1.1.4).
func (s *session) data(arg string) outcome {
	tx := s.tx
	if r, ok := nothing(arg); !ok {
		return says(r)
	}
	if tx.binary {
		return says(reply.New(503, reply.E(5, 5, 1), "BINARYMIME needs BDAT")) // RFC 3030 §3
	}
	if tx.taken == 0 && s.facts.OverLimit == 0 {
		return says(replyNoRcpt)
	}
	if r, ok := tx.begin(); !ok {
		tx.refuse(r)
		s.drop()
		return says(r)
	}
	s.c.then = tx.receive
	return says(replyGo)
}

// receive reads the content up to its end and answers for the message.
func (tx *transaction) receive() outcome {
	c := tx.s.c
	var dot smtp.Dot
	err := c.content(&tx.body.meter, func() error { return c.in.ReadData(&dot, tx.body) })
	if err != nil {
		return tx.s.broken(err)
	}
	return tx.finish(dot.BareCR() || dot.BareLF())
}

package smtpd

import (
	"io"
	"strconv"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/wire/smtp"
)

// mostUnwanted is the largest chunk read only to stay in step.
const mostUnwanted = 64 << 20

// bdat takes a chunk (RFC 3030 §2). Its octets follow whatever the answer is;
// where they cannot be read the connection ends, for they would be taken for
// commands.
func (s *session) bdat(arg string) outcome {
	chunk, err := smtp.ParseChunk(arg)
	if err != nil {
		return says(smtp.ReplyTo(err).Closing())
	}
	r, ok := s.wantChunk(chunk)
	if !ok {
		return s.unwanted(chunk, r)
	}
	tx := s.tx
	write := func() error { return s.c.in.ReadChunk(chunk.Size, tx.body) }
	if err := s.c.content(&tx.body.meter, write); err != nil {
		return s.broken(err)
	}
	switch {
	case tx.body.over && !chunk.Last:
		return s.outgrown()
	case chunk.Last:
		return tx.finish(tx.body.ends.BareCR() || tx.body.ends.BareLF())
	}
	return says(reply.New(250, reply.E(2, 0, 0), strconv.FormatInt(chunk.Size, 10)+" octets received"))
}

// outgrown refuses a message that is too big already, and all that follows of it.
func (s *session) outgrown() outcome {
	owed := s.tx.taken
	s.tx.spoil(replyTooBig)
	s.noteRefusal(replyTooBig)
	s.drop()
	s.tried, s.owed = 1, owed // further chunks are swallowed
	return says(replyTooBig)
}

// wantChunk says why a chunk cannot become part of a message.
func (s *session) wantChunk(chunk smtp.Chunk) (reply.Reply, bool) {
	tx := s.tx
	switch {
	case !s.greeted:
		return replyHelloFirst, false
	case tx == nil:
		return replyMailFirst, false
	case tx.taken == 0 && s.facts.OverLimit == 0:
		return replyNoRcpt, false
	}
	if !tx.chunked {
		if r, ok := tx.begin(); !ok {
			tx.refuse(r)
			return r, false
		}
		tx.chunked, tx.body.chunks = true, true
	}
	if b := tx.body; b.most > 0 && chunk.Size > b.most-b.size {
		tx.spoil(replyTooBig)
		return replyTooBig, false
	}
	return reply.Reply{}, true
}

// unwanted reads the chunk past and refuses it. A client that never asked for
// a recipient, or whose chunk is beyond all measure, is hung up on.
func (s *session) unwanted(chunk smtp.Chunk, r reply.Reply) outcome {
	hopeless := s.tried == 0
	if s.tx == nil && !hopeless && !s.trace.Recording() {
		s.noted = true // the rest of a message whose refusal is in the record
	}
	s.noteRefusal(r)
	owed := s.owed
	if s.tx != nil {
		owed = s.tx.taken
	}
	s.drop()
	most := int64(mostUnwanted)
	if limit := int64(s.limits().Size); limit > 0 {
		most = limit + limit/2
	}
	if chunk.Size > most {
		if r.Code == replyNoRcpt.Code {
			r = replyTooBig
		}
		return says(r.Closing())
	}
	m := &meter{until: time.Now().Add(s.c.settings.MessageTime)}
	if err := s.c.content(m, func() error { return s.c.in.ReadChunk(chunk.Size, io.Discard) }); err != nil {
		return s.broken(err)
	}
	s.tried = 1
	r.Close = hopeless
	if !chunk.Last {
		s.owed = owed
		return says(r)
	}
	return s.c.perRecipient(r, owed)
}

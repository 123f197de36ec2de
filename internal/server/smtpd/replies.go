package smtpd

import "posthorn/internal/base/reply"

// The fixed replies; they are never changed.
var (
	replyOK           = reply.New(250, reply.E(2, 0, 0), "Ok")
	replySender       = reply.New(250, reply.E(2, 1, 0), "Ok")
	replyRcpt         = reply.New(250, reply.E(2, 1, 5), "Ok")
	replyGo           = reply.New(354, reply.Enhanced{}, "End data with <CR><LF>.<CR><LF>")
	replyBye          = reply.New(221, reply.E(2, 0, 0), "Bye").Closing()
	replyHelp         = reply.New(214, reply.E(2, 0, 0), "See RFC 5321")
	replyCannotVerify = reply.New(252, reply.E(2, 0, 0), "Cannot verify, but will take the message and try")
	replyUnknown      = reply.New(500, reply.E(5, 5, 2), "Command not recognised")
	replyUnsupported  = reply.New(502, reply.E(5, 5, 1), "Command not implemented")
	replyHTTP         = reply.New(421, reply.E(4, 7, 0), "This is not a web server").Closing()
	replyBareLF       = reply.New(500, reply.E(5, 5, 2), "Lines must end in CRLF").Closing()
	replyLineTooLong  = reply.New(500, reply.E(5, 5, 2), "Line too long").Closing()

	replyHelloFirst = reply.New(503, reply.E(5, 5, 1), "Introduce yourself first")
	replyMailFirst  = reply.New(503, reply.E(5, 5, 1), "MAIL first")
	replyNested     = reply.New(503, reply.E(5, 5, 1), "A transaction is open already")
	replyInChunks   = reply.New(503, reply.E(5, 5, 1), "BDAT is in progress")
	replyNoRcpt     = reply.New(503, reply.E(5, 5, 1), "No valid recipients")
	replyPipelining = reply.New(503, reply.E(5, 5, 0), "Improper use of SMTP command pipelining")

	replyTimeout       = reply.New(421, reply.E(4, 4, 2), "Timeout, closing connection").Closing()
	replyStopping      = reply.New(421, reply.E(4, 3, 2), "Service shutting down, closing connection").Closing()
	replyBusy          = reply.New(421, reply.E(4, 3, 2), "Too busy, try again later").Closing()
	replyTooManyErrors = reply.New(421, reply.E(4, 7, 0), "Too many errors, closing connection").Closing()
	replyTooManyLogins = reply.New(421, reply.E(4, 7, 0), "Too many failed logins, closing connection").Closing()
	replyTight         = reply.New(452, reply.E(4, 3, 1), "Insufficient system resources, try again later")
	replyLocalError    = reply.New(451, reply.E(4, 3, 0), "Temporary problem, try again later")
	replyTooBig        = reply.New(552, reply.E(5, 3, 4), "Message exceeds the size limit")
	replyFarTooBig     = reply.New(421, reply.E(4, 3, 2), "Message far exceeds the size limit, closing connection").Closing()
	replyBareInContent = reply.New(550, reply.E(5, 6, 11), "Content has bare CR or bare LF; lines must end in CRLF")
	replyFolded        = reply.New(554, reply.E(5, 6, 0), "The first line of the header begins with white space")
	replyLoginEnded    = reply.New(421, reply.E(4, 7, 0), "Your login has ended, closing connection").Closing()
	replyNoTLS         = reply.New(454, reply.E(4, 7, 0), "TLS not available due to temporary reason")
	replyExpelled      = reply.New(421, reply.E(4, 7, 0), "Too many unknown recipients, your host is blocked").Closing()
	replyTurnedAway    = reply.New(503, reply.E(5, 7, 1), "No service for your host")
	replyEnough        = reply.New(421, reply.E(4, 7, 0), "No service for your host, closing connection").Closing()
	replyManyRcpt      = reply.New(452, reply.E(4, 5, 3), "Too many recipients")
)

package pop3d

import "posthorn/internal/wire/pop3"

// state is where a connection stands (RFC 1939 §3); a command names the set it
// is allowed in. UPDATE is no state to be in: QUIT does it.
type state uint8

const (
	authorization state = 1 << iota
	transaction

	anytime = authorization | transaction
)

// command is one row of the table.
type command struct {
	in     state
	handle func(c *connection, cmd pop3.Command) outcome
}

// table says of every verb where it may come and who handles it. LANG is not
// there: all texts are English.
var table = map[pop3.Verb]command{
	pop3.User: {in: authorization, handle: (*connection).user},
	pop3.Pass: {in: authorization, handle: (*connection).pass},
	pop3.Auth: {in: authorization, handle: (*connection).auth},
	pop3.STLS: {in: authorization, handle: (*connection).stls},
	pop3.UTF8: {in: authorization, handle: (*connection).utf8},
	pop3.Capa: {in: anytime, handle: (*connection).capa},
	pop3.Quit: {in: anytime, handle: (*connection).quit},
	pop3.Stat: {in: transaction, handle: (*connection).stat},
	pop3.List: {in: transaction, handle: (*connection).list},
	pop3.UIDL: {in: transaction, handle: (*connection).uidl},
	pop3.Retr: {in: transaction, handle: (*connection).retr},
	pop3.Top:  {in: transaction, handle: (*connection).top},
	pop3.Dele: {in: transaction, handle: (*connection).dele},
	pop3.Rset: {in: transaction, handle: (*connection).rset},
	pop3.Noop: {in: transaction, handle: (*connection).noop},
}

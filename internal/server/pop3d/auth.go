package pop3d

import (
	"errors"
	"io"
	"slices"

	"posthorn/internal/wire/pop3"
	"posthorn/internal/wire/sasl"
)

// auth begins a SASL exchange (RFC 5034 §4); without a mechanism it lists them.
func (c *connection) auth(cmd pop3.Command) outcome {
	offered := c.offer()
	if cmd.Text == "" {
		return listMechanisms(offered)
	}
	if m := sasl.Mechanism(cmd.Text); !slices.Contains(offered, m) && !c.mayShow() {
		return says(responseNoTLS) // whatever came with the command is not looked at
	}
	server, err := c.guard.Begin(cmd.Text, c.binding(), offered)
	switch {
	case errors.Is(err, sasl.ErrMechanism):
		return says(pop3.Err("", "Mechanism is not supported"))
	case err != nil:
		return c.refuse(err)
	}
	var response []byte
	if cmd.Initial != "" {
		if response, err = sasl.DecodeInitial(cmd.Initial); err != nil {
			return c.refuse(err)
		}
	}
	return c.exchange(server, response)
}

func listMechanisms(offered []sasl.Mechanism) outcome {
	o := says(pop3.OK("Mechanisms follow"))
	o.body = func(w io.Writer) error {
		var b []byte
		for _, m := range offered {
			b = append(append(b, m...), "\r\n"...)
		}
		_, err := w.Write(pop3.AppendEnd(b))
		return err
	}
	return o
}

// exchange gives the client's response to the mechanism and sends what comes
// back, or ends the exchange.
func (c *connection) exchange(server sasl.Server, response []byte) outcome {
	challenge, done, err := server.Next(c.ctx, response)
	switch {
	case err != nil:
		return c.refuse(err)
	case done:
		return c.enter(c.guard.Account())
	case challenge == nil:
		challenge = []byte{}
	}
	return outcome{ask: challenge, then: func() outcome { return c.respond(server) }}
}

// respond reads the client's next line.
func (c *connection) respond(server sasl.Server) outcome {
	line, err := c.in.ReadResponse()
	if err != nil && !pop3.Recoverable(err) {
		return outcome{err: err}
	}
	c.lineRead()
	if err != nil {
		return c.wrong(unreadableText(err), err)
	}
	response, err := sasl.DecodeResponse(line)
	if err != nil {
		return c.refuse(err)
	}
	return c.exchange(server, response)
}

package pop3d

import "posthorn/internal/wire/pop3"

// quit ends the session. After a login it removes what is marked first
// (RFC 1939 §6), and gives the maildrop back before the client can hear of it.
func (c *connection) quit(pop3.Command) outcome {
	if c.drop == nil {
		return says(pop3.OK("Bye").Closing())
	}
	marked := c.drop.marked
	if marked > 0 { // what cannot be handed over is not deleted
		if err := c.flush(); err != nil {
			return outcome{err: err}
		}
	}
	err := c.drop.commit(c.ctx, c.settings.KeepDeleted)
	c.leave()
	if err != nil {
		o := c.trouble(err)
		o.Response = pop3.Err(pop3.SysTemp, "Nothing was deleted, try again later").Because(err).Closing()
		return o
	}
	c.deleted = marked
	return says(pop3.OK("Bye").Closing())
}

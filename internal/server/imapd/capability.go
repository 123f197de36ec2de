package imapd

import (
	"context"
	"strconv"

	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/sasl"
)

// always are the capabilities of every state. RFC 7888 (LITERAL+), 4959
// (SASL-IR), 2971 (ID), 5161 (ENABLE).
var always = []string{"IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE"}

// afterLogin are those that concern mailboxes. RFC 2177 (IDLE), 2342
// (NAMESPACE), 4315 (UIDPLUS), 6851 (MOVE), 3691 (UNSELECT), 6154
// (SPECIAL-USE, CREATE-SPECIAL-USE), 7162 (CONDSTORE, QRESYNC), 4731 (ESEARCH), 5182 (SEARCHRES), 5032
// (WITHIN), 5258 (LIST-EXTENDED), 5819 (LIST-STATUS), 8438 (STATUS=SIZE),
// 3348 (CHILDREN), 3502 (MULTIAPPEND), 8474 (OBJECTID), 3516 (BINARY), 5256 (SORT,
// THREAD), 5957 (SORT=DISPLAY), 6855 (UTF8=ACCEPT), 9208 (QUOTA),
// 5267 (ESORT), 9394 (PARTIAL), 8514 (SAVEDATE).
var afterLogin = []string{
	"IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "SPECIAL-USE", "CREATE-SPECIAL-USE",
	"CONDSTORE", "QRESYNC", "ESEARCH", "SEARCHRES", "WITHIN",
	"LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE", "CHILDREN", "MULTIAPPEND", "OBJECTID", "BINARY", "UTF8=ACCEPT",
	"QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE",
	"ESORT", "PARTIAL", "SAVEDATE", "SORT", "SORT=DISPLAY", "THREAD=REFERENCES", "THREAD=ORDEREDSUBJECT",
}

// capabilities lists what the client may use now.
func (c *conn) capabilities() []string {
	names := append([]string(nil), always...)
	if c.session != nil {
		names = append(names, afterLogin...)
		if c.set.Compress && !c.packed {
			names = append(names, "COMPRESS=DEFLATE") // RFC 4978
		}
		return append(names, "APPENDLIMIT="+strconv.FormatInt(int64(c.set.MessageSize), 10)) // RFC 7889
	}
	if c.net.TLS() == nil && c.s.tlsConfig() != nil {
		names = append(names, "STARTTLS")
	}
	if !c.mayLogin() {
		names = append(names, "LOGINDISABLED")
	}
	for _, m := range c.mechanisms() {
		names = append(names, "AUTH="+string(m))
	}
	return names
}

// mayLogin reports whether readable passwords are allowed here (M-GEN-06).
func (c *conn) mayLogin() bool { return c.net.TLS() != nil || c.s.d.Offer().PlaintextWithoutTLS }

// mechanisms lists what AUTHENTICATE takes on this connection now.
func (c *conn) mechanisms() []sasl.Mechanism {
	o := c.s.d.Offer()
	o.TLS = c.net.TLS() != nil
	o.Binding = c.binding().Available()
	return sasl.Mechanisms(o)
}

func (c *conn) binding() sasl.ChannelBinding { return sasl.ServerBinding(c.net.TLS(), c.net.Leaf()) }

func runCapability(_ context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	c.enc.Untagged()
	c.enc.Atom("CAPABILITY")
	for _, name := range c.capabilities() {
		c.enc.Atom(name)
	}
	c.enc.End()
	return completed("CAPABILITY")
}

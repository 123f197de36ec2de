package pop3d

import "posthorn/internal/wire/pop3"

// utf8 says yes and changes nothing (RFC 6856 §2): names are UTF-8 always, and
// messages are given as they came.
// Deviates from RFC 6856 §2: messages with UTF-8 in the header section are not
// refused or rewritten for a client that did not ask for UTF8. Most of them are
// old mail with raw octets, and clients stop fetching at an error.
func (c *connection) utf8(pop3.Command) outcome { return says(pop3.OK("UTF8 is on")) }

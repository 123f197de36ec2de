// Package route says where a recipient elsewhere goes next: to the hosts its
// domain names in DNS, or to a relay host (M-DEL). It decides by addresses,
// rules and settings alone and asks nobody; flow/remote looks hosts up and
// talks to them, flow/relay finds the main servers of relay domains.
package route

// Destination is where recipients go next. Recipients with equal keys may
// travel together.
type Destination struct {
	// Key names the destination in memory, logs and the queue: "far.test",
	// "relay smart.example.org:587".
	Key string
	// Domain is the recipients' domain, whose MX records name the hosts, or an
	// address literal; "" with a relay.
	Domain string
	// Relay takes the mail instead, if not nil.
	Relay *Relay
	// Rule is the name of the rule that chose the relay; "" is the general mode
	// (M-DEL-04).
	Rule string
	// Inside says that the domain is a relay domain without a fixed next hop:
	// mail must reach its main server, not come back here (M-REL-03).
	Inside bool
	// Suspended says that the domain is a relay domain that is disabled: its mail
	// waits, for it was accepted and must not go another way.
	Suspended bool
	// Doubt, if not empty, is why mail must wait here: the settings that say
	// where it goes, or how safely, cannot be used.
	Doubt string
	// Ours says that the address is one of ours. It has no mailbox of its own,
	// and is taken apart once more: what leaves for elsewhere then does so as a
	// message of its own, under a reverse-path of ours.
	Ours bool
}

// Ours is the destination of addresses that are taken apart here.
func Ours() Destination { return Destination{Key: "forwarding (here)", Ours: true} }

// Suspended is the destination of mail for a disabled relay domain, by the name
// of its rule.
func Suspended(rule string) Destination {
	return Destination{Key: "relay domain " + rule + " (disabled)", Rule: rule, Suspended: true}
}

// Doubted is the destination of mail whose way is in doubt.
func Doubted(why string) Destination {
	return Destination{Key: "relay settings (unusable)", Doubt: why}
}

// Relay is a relay host (M-DEL-02).
type Relay struct {
	// Hosts are names or addresses in the order of trying; names are looked up
	// as A and AAAA only (M-DEL-02a).
	Hosts []string
	Port  uint16
	// Secure demands TLS: from the first byte on port 465, else by STARTTLS,
	// never clear text (M-DEL-02c). Without it TLS is used where offered.
	Secure bool
	// AnyCertificate accepts a certificate that does not match the name;
	// Fingerprint, if set, is the only one accepted (SHA-256 of the
	// certificate, hexadecimal).
	AnyCertificate bool
	Fingerprint    string
	// User and Password log in; User "" does not (M-DEL-02d). ClearLogin
	// allows it outside TLS.
	User, Password string
	ClearLogin     bool
}

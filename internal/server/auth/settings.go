package auth

// Settings are how people may log in, and how patient the server is with those
// who fail.
type Settings struct {
	// PlaintextNeedsTLS prohibits logging in over a connection that is not
	// encrypted (M-GEN-06). Connections from this machine are no exception.
	PlaintextNeedsTLS bool `default:"true" name:"plaintext_needs_tls"`
	// OfferLogin offers the mechanism LOGIN beside PLAIN, which some old clients need.
	OfferLogin bool `default:"true"`
	// Scram offers SCRAM-SHA-256, by which a password is proved without being
	// sent, and its form bound to the TLS connection.
	Scram bool `default:"true"`
	// ScramSHA1 offers SCRAM-SHA-1 too, for old clients. Only passwords set
	// while the directory keeps such verifiers can be used with it.
	ScramSHA1 bool `default:"false" name:"scram_sha1"`
	// ConnectionFailures is how many failed logins end a connection. Each is
	// answered after twice the time of the one before, from 1 up to 8 seconds.
	ConnectionFailures int `default:"10" min:"1" max:"100"`
	// HostFailures is how many failed logins one client host (an IPv4 address
	// or an IPv6 /64) may have in a minute over all protocols; half of them at
	// once. Then it is asked to come back later, except for names that logged
	// in from the same host during the last day.
	HostFailures int `default:"20" min:"2" max:"10000"`
}

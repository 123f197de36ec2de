package check

// Unknown blocks hosts that try out addresses (M-SEC-ADV-04).
type Unknown struct {
	// PerDay is how many different addresses that do not exist a host may name
	// in a day, in the server's time zone; with the last of them it is blocked
	// until the day ends. 0 is no limit; 20 is a good number. Domains with a
	// catch-all address have no such addresses.
	PerDay int `default:"0" min:"0" max:"4096"`
	// SingleAddress counts each IPv6 address by itself, not its network of /64.
	SingleAddress bool `default:"false"`
}

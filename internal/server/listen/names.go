package listen

import "strings"

// Name is one kind of listener and what its name implies.
type Name struct {
	Name string
	// Port is the standard port.
	Port uint16
	// TLS says that the handshake comes first (RFC 8314 §3).
	TLS bool
	// Users says that clients log in here: such listeners may use the share
	// of connections that strangers may not.
	Users bool
}

// names are the listeners --listen and posthorn.toml can name (design.md 9).
var names = []Name{
	{"smtp", 25, false, false},
	{"submission", 587, false, true},
	{"submissions", 465, true, true},
	{"lmtp", 24, false, true},
	{"imap", 143, false, true},
	{"imaps", 993, true, true},
	{"pop3", 110, false, true},
	{"pop3s", 995, true, true},
	{"http", 80, false, true},
	{"metrics", 9090, false, true},
}

// Names returns all listener names in the order of a message's way.
func Names() []Name { return append([]Name(nil), names...) }

// Lookup finds a listener name.
func Lookup(name string) (Name, bool) {
	for _, n := range names {
		if n.Name == name {
			return n, true
		}
	}
	return Name{}, false
}

// AllNames joins them, for error messages.
func AllNames() string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = n.Name
	}
	return strings.Join(all, ", ")
}

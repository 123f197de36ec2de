package pop3d

import "time"

// Settings are how POP3 sessions are held.
type Settings struct {
	// IdleTimeout is how long a client that has logged in may be silent before
	// it is disconnected, with nothing deleted. RFC 1939 §3 wants ten minutes
	// at least.
	IdleTimeout time.Duration `default:"10m" min:"10m" max:"24h"`
	// LoginTimeout is how long a client may take from connecting to logging in.
	LoginTimeout time.Duration `default:"3m" min:"30s" max:"1h"`
	// KeepDeleted is how long what a client deletes is kept in the mailbox for
	// trash before it is removed for good; 0 removes it when the session ends
	// (SYS-POP-01). POP3 programs by default delete all they have fetched; this
	// is a net under them. The messages count against the quota. In IMAP they
	// carry the keyword $POP3Deleted: who takes it off, or moves the message to
	// another mailbox, keeps it. A change is for what is deleted from then on.
	KeepDeleted time.Duration `default:"0" min:"0" max:"87600h"`
	// DelayedSessions is how many sessions may wait at once because of failed
	// logins; the next one is disconnected instead.
	DelayedSessions int `default:"1000" min:"1" max:"100000"`
}

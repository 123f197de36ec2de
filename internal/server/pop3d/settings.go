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
	// DeleteToTrash moves what a client deletes to the mailbox for trash when
	// the session ends, instead of removing it at once (SYS-POP-01). POP3
	// programs by default delete all they have fetched; this keeps a copy that
	// counts against the quota until the trash is emptied.
	DeleteToTrash bool `default:"false"`
	// DelayedSessions is how many sessions may wait at once because of failed
	// logins; the next one is disconnected instead.
	DelayedSessions int `default:"1000" min:"1" max:"100000"`
}

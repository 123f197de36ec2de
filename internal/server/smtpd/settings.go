package smtpd

import (
	"errors"
	"time"
)

// Settings are how patiently and how openly SMTP sessions are held.
type Settings struct {
	// Banner follows the host name and "ESMTP" in the greeting (M-GEN-08).
	// Empty is a product-neutral text; never put a version number here.
	Banner string `default:"" max:"400"`
	// IdleTimeout is how long a client may be silent before it is told 421
	// 4.4.2 and disconnected (B1G-GEN-02). Our own delays do not count.
	IdleTimeout time.Duration `default:"300s" factory:"60s" min:"10s" max:"1h"`
	// CommandTime is how long one command line may take from its first octet.
	CommandTime time.Duration `default:"300s" min:"10s" max:"1h"`
	// MessageTime is how long the content of one message may take.
	MessageTime time.Duration `default:"2h" min:"10m" max:"24h"`
	// JunkLimit is how many NOOP, VRFY, EXPN, ETRN and RSET a client may send
	// before it delivers a message; each further one is an error. Every tenth
	// costs a second. 0 switches both off (M-SEC-ADV-05).
	JunkLimit int `default:"100" min:"0" max:"100000"`
	// BareLineEnds is what happens to content with a CR or LF that is not part
	// of CRLF: refuse it, or normalise the line ends. Only CRLF.CRLF ever ends
	// a message, whatever is chosen.
	BareLineEnds string `default:"refuse" oneof:"refuse,normalise"`
	// DelayedSessions is how many sessions may wait in a delay at once; the
	// next one is told 421 instead, unless its message has just been taken.
	DelayedSessions int `default:"1000" min:"1" max:"100000"`
	// MaxHold is how far in the future a logged-in client may ask a message to
	// be sent (RFC 4865); 0 switches that off.
	MaxHold time.Duration `default:"168h" min:"0s" max:"8760h"`
	Errors  Errors
}

// Errors is what commands that fail cost a client (B1G-LIM). Clients of the
// connection class "trusted" are exempt.
type Errors struct {
	// Delay holds back the reply to a command that failed (B1G-LIM-02).
	Delay time.Duration `default:"1s" trial:"0s" min:"0s" max:"60s"`
	// SoftLimit is the number of errors after which every command is held
	// back, those that succeed too (B1G-LIM-03).
	SoftLimit int `default:"10" min:"0" max:"10000"`
	// HardLimit is the number of errors a connection may have; the next one
	// ends it (B1G-LIM-04).
	HardLimit int `default:"20" min:"1" max:"10000"`
	// Count says what an error is: "failures" are all 5xx replies, "all" also
	// counts 4xx replies such as greylisting (B1G-LIM-05). Recipients above the
	// limit of a message are no errors.
	Count string `default:"failures" factory:"all" oneof:"failures,all"`
}

// Validate refuses a banner that breaks the greeting line.
func (s *Settings) Validate() error {
	for i := 0; i < len(s.Banner); i++ {
		if s.Banner[i] < ' ' || s.Banner[i] > '~' {
			return errors.New("banner: only printable ASCII characters are allowed")
		}
	}
	return nil
}

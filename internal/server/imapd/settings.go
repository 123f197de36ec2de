package imapd

import (
	"time"

	"posthorn/internal/base/unit"
)

// Settings are the settings of IMAP, the group "imap".
type Settings struct {
	// Greeting is the text of the first line a client sees.
	Greeting string `default:"posthorn IMAP ready" max:"200"`
	// MessageSize is the largest message a client may store; one MB is
	// 1,048,576 octets.
	MessageSize unit.Size `default:"64MB" min:"1MB"`
	// LoginTime is how long a client may take to log in.
	LoginTime time.Duration `default:"2m" min:"60s" max:"3m"`
	// IdleTime is how long a client may be silent; RFC 3501 §5.4 wants at
	// least 30 minutes.
	IdleTime time.Duration `default:"30m" min:"30m" max:"24h"`
	// CommandTime is how long a client may take to send one command, besides
	// what a message needs at 500 octets a second.
	CommandTime time.Duration `default:"60s" min:"5s" max:"10m"`
	// WriteTime is how long a client may take to receive 16 KB.
	WriteTime time.Duration `default:"60s" min:"5s" max:"10m"`
	// Errors is after how many faulty commands a connection is closed.
	Errors int `default:"50" min:"5" max:"1000"`
	// SearchTime bounds one SEARCH, SORT or THREAD, and the comparing of names by
	// one LIST. What takes longer is answered with NO [LIMIT].
	SearchTime time.Duration `default:"60s" min:"1s" max:"10m"`
	// Compress offers to compress what is sent both ways (COMPRESS=DEFLATE, RFC
	// 4978). A connection whose client wants it takes up to 50 KB more.
	Compress bool `default:"true"`
}

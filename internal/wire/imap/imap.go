// Package imap is the grammar of IMAP4rev1 (RFC 3501, with RFC 9051 and the
// extensions named at each construct): a Decoder that reads commands and an
// Encoder that writes responses. It stands between the socket and
// server/imapd, at the end of a message's way, where clients fetch it.
//
//	client ─► Decoder ─► Command, arguments ─► imapd ─► Encoder ─► client
//	            │ one line at a time; literals when an argument asks for them
//	            └ Next skips whatever a refused command left behind
//
// The package knows no socket, clock, mailbox or account. It decides what a
// command says, never whether it is allowed or what it means; only CheckName
// holds an opinion, on which names a new mailbox may have.
//
// Lines end with CRLF. Deviates from RFC 3501 §2.2: a bare LF ends a line too,
// because people type at servers and nothing read here is relayed. A bare CR
// or a NUL is a fault wherever it stands outside a literal.
package imap

// Limits bound what one command may cost. Sizes are octets.
type Limits struct {
	// Line bounds a command without its literals.
	Line int
	// Literal bounds one literal that is read as an argument. A literal that
	// is streamed (APPEND) is bounded by whoever reads it.
	Literal int64
	// Literals bounds all argument literals of one command together.
	Literals int64
	// Skip bounds what is thrown away to stay in step after a faulty command.
	// What is longer ends the connection.
	Skip int64
	// Close ends the connection at the first excess instead of skipping it.
	Close bool
}

// BeforeLogin returns the limits for strangers (reliability 27).
func BeforeLogin() Limits {
	return Limits{Line: 8 << 10, Literal: 8 << 10, Literals: 16 << 10, Skip: 32 << 10, Close: true}
}

// AfterLogin returns the limits for a logged-in client. skip is what an
// APPEND of a refused size may have thrown away, usually a little more than
// the greatest message taken.
func AfterLogin(skip int64) Limits {
	return Limits{Line: 64 << 10, Literal: 64 << 10, Literals: 256 << 10, Skip: max(skip, 1<<20)}
}

// Bounds on what a well-formed command may hold.
const (
	MaxNesting     = 32    // parentheses, NOT and OR in each other (reliability 27)
	MaxSetElements = 20000 // elements of one sequence set
	MaxSearchKeys  = 2000  // keys of one search program, operators included
	MaxSections    = 256   // body sections of one FETCH
	MaxPartDepth   = 100   // numbers in one part specifier, as deep as MIME is parsed
	MaxListItems   = 1000  // flags, header field names, list patterns, capabilities
)

// Package pop3 is the grammar of POP3 (RFC 1939 with RFC 2449, 2595, 3206,
// 5034 and 6856): it reads command lines, writes responses and listings, and
// streams messages with dot stuffing.
//
// It stands at the last door of a message's way, under server/pop3d. It
// deliberately does not know sockets, states, accounts or messages. APOP is
// left out: it needs passwords that can be read back (RFC 1939 §7).
package pop3

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Verb is a command's keyword in upper case.
type Verb string

// The commands this package reads.
const (
	User Verb = "USER" // RFC 1939 §7
	Pass Verb = "PASS" // RFC 1939 §7
	Auth Verb = "AUTH" // RFC 5034
	Quit Verb = "QUIT" // RFC 1939 §4
	Stat Verb = "STAT" // RFC 1939 §5
	List Verb = "LIST" // RFC 1939 §5
	Retr Verb = "RETR" // RFC 1939 §5
	Dele Verb = "DELE" // RFC 1939 §5
	Noop Verb = "NOOP" // RFC 1939 §5
	Rset Verb = "RSET" // RFC 1939 §5
	Top  Verb = "TOP"  // RFC 1939 §7
	UIDL Verb = "UIDL" // RFC 1939 §7
	Capa Verb = "CAPA" // RFC 2449 §5
	STLS Verb = "STLS" // RFC 2595 §4
	UTF8 Verb = "UTF8" // RFC 6856 §2
	Lang Verb = "LANG" // RFC 6856 §3
)

// What a command line can be wrong about. All are answered with -ERR and the
// connection goes on; no text of the client is in the errors but the verb.
var (
	// ErrTooLong says that the line was longer than its command may be.
	ErrTooLong = errors.New("pop3: line too long")
	// ErrCharacter says that the line had a NUL, a bare CR or another control character.
	ErrCharacter = errors.New("pop3: forbidden character")
	// ErrUnknown says that there is no such command.
	ErrUnknown = errors.New("pop3: unknown command")
	// ErrArgument says that the arguments are not those of the command.
	ErrArgument = errors.New("pop3: wrong arguments")
)

// Recoverable reports whether err is about one line only; after any other
// error of a Reader the connection is of no more use.
func Recoverable(err error) bool {
	return errors.Is(err, ErrTooLong) || errors.Is(err, ErrCharacter) || errors.Is(err, ErrUnknown) || errors.Is(err, ErrArgument)
}

// Command is one command line.
type Command struct {
	Verb Verb
	// Text is the name of USER, the password of PASS (spaces kept), the
	// mechanism of AUTH in upper case, the tag of LANG. AUTH and LANG may
	// leave it out, which asks for a list.
	Text string
	// Initial is the initial response of AUTH in base64, "=" for the empty
	// one (see sasl.DecodeInitial); "" if the client sent none.
	Initial string
	// Message is the message number of LIST, RETR, DELE, TOP and UIDL; 0 if
	// LIST or UIDL ask for all.
	Message int
	// Lines is how many lines of the body TOP wants.
	Lines int
}

// String returns the command for logs and traces, without secrets.
func (c Command) String() string {
	s := string(c.Verb)
	switch {
	case c.Verb == Pass:
		s += " ****"
	case c.Text != "":
		s += " " + c.Text
	}
	if c.Initial != "" {
		s += " ****"
	}
	if c.Message > 0 {
		s += " " + strconv.Itoa(c.Message)
	}
	if c.Verb == Top {
		s += " " + strconv.Itoa(c.Lines)
	}
	return s
}

// shape is what follows a keyword.
type shape int

const (
	nothing         shape = iota + 1
	text                  // all that follows, not empty
	optionalWord          // one word or nothing
	mechanism             // nothing, a word, or two
	message               // a message number
	optionalMessage       // a message number or nothing
	messageAndLines       // a message number and a count
)

var shapes = map[Verb]shape{
	User: text, Pass: text, Auth: mechanism, Quit: nothing, Stat: nothing, List: optionalMessage, Retr: message, Dele: message,
	Noop: nothing, Rset: nothing, Top: messageAndLines, UIDL: optionalMessage, Capa: nothing, STLS: nothing, UTF8: nothing, Lang: optionalWord,
}

// ParseCommand reads a line without its line end. Keywords are taken in any
// case, and spaces at the end are ignored except in USER's and PASS's argument.
// Errors wrap ErrTooLong, ErrCharacter, ErrUnknown or ErrArgument; with the
// last the Verb is set.
func ParseCommand(line string) (Command, error) {
	keyword, rest, _ := strings.Cut(line, " ")
	c := Command{Verb: Verb(strings.ToUpper(keyword))}
	if c.Verb != Auth && len(line) > MaxLine-2 || len(line) > MaxAuthLine-2 {
		return Command{}, fmt.Errorf("%w: %d octets", ErrTooLong, len(line))
	}
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Command{}, ErrCharacter
	}
	s, ok := shapes[c.Verb]
	if !ok {
		return Command{}, fmt.Errorf("%w: %.40q", ErrUnknown, keyword)
	}
	if !c.arguments(s, rest) {
		return Command{Verb: c.Verb}, fmt.Errorf("%w: %s", ErrArgument, c.Verb)
	}
	return c, nil
}

// arguments fills in what follows the keyword and reports whether it fits.
func (c *Command) arguments(s shape, rest string) bool {
	if s == text {
		c.Text = rest
		return rest != ""
	}
	word := strings.Fields(rest)
	var ok bool
	switch s {
	case nothing:
		return len(word) == 0
	case optionalWord:
		c.Text = strings.Join(word, " ")
		return len(word) < 2
	case mechanism:
		if len(word) > 0 {
			c.Text = strings.ToUpper(word[0])
		}
		if len(word) > 1 {
			c.Initial = word[1]
		}
		return len(word) < 3
	case optionalMessage, message:
		if len(word) == 0 {
			return s == optionalMessage
		}
		c.Message, ok = number(word[0])
		return ok && len(word) == 1 && c.Message > 0
	case messageAndLines:
		if len(word) != 2 {
			return false
		}
		if c.Message, ok = number(word[0]); !ok || c.Message == 0 {
			return false
		}
		c.Lines, ok = number(word[1])
		return ok
	}
	return false
}

// number reads digits only, up to ten of them and up to 2^31-1.
func number(s string) (int, bool) {
	if s == "" || len(s) > 10 || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n <= math.MaxInt32
}

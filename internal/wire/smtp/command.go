package smtp

import (
	"bytes"
	"strings"
)

// Verb is a command this house knows.
type Verb uint8

// The verbs. HTTP stands for the methods of HTTP, which a browser tricked into
// talking to a mail server sends first.
const (
	Unknown Verb = iota
	HELO
	EHLO
	LHLO
	MAIL
	RCPT
	DATA
	BDAT
	RSET
	NOOP
	VRFY
	EXPN
	HELP
	QUIT
	STARTTLS
	AUTH
	ETRN
	HTTP
	verbs
)

var verbNames = [verbs]string{
	"(unknown)", "HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "EXPN", "HELP",
	"QUIT", "STARTTLS", "AUTH", "ETRN", "(http)",
}

// String returns the verb as it is sent.
func (v Verb) String() string { return verbNames[v] }

// Verbs is how many verbs there are, for tables indexed by Verb.
const Verbs = int(verbs)

// Command is one command line: the verb and everything after the space that
// follows it, without surrounding spaces.
type Command struct {
	Verb Verb
	Arg  string
}

// ParseCommand reads a line without its CRLF. A line with NUL, CR, LF or
// another control character gives 501 5.5.2, one that is too long for its verb
// 500 5.5.2; the verb is told in any case. Octets above 127 are left to those who read the argument. An
// unknown verb is no error.
func ParseCommand(line []byte) (Command, error) {
	for _, c := range line {
		if c < ' ' || c == 0x7f {
			return Command{Verb: verb(firstWord(line))}, refuse(501, 5, 5, 2, "Control characters are not allowed in commands")
		}
	}
	line = bytes.TrimRight(line, " ")
	word, rest := line, []byte(nil)
	if i := bytes.IndexByte(line, ' '); i >= 0 {
		word, rest = line[:i], bytes.TrimLeft(line[i:], " ")
	}
	c := Command{Verb: verb(word)}
	if len(line) > c.Verb.limit() {
		return c, refuse(500, 5, 5, 2, "Line too long")
	}
	c.Arg = string(rest)
	return c, nil
}

// firstWord ends at a space or control character.
func firstWord(line []byte) []byte {
	if i := bytes.IndexFunc(line, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		return line[:i]
	}
	return line
}

func (v Verb) limit() int {
	switch v {
	case MAIL:
		return MaxMail
	case RCPT:
		return MaxRcpt
	case AUTH:
		return MaxAuth
	}
	return MaxLine
}

// verb folds ASCII case without allocating.
func verb(word []byte) Verb {
	if len(word) < 3 || len(word) > 8 {
		return Unknown
	}
	var up [8]byte
	for i, c := range word {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		up[i] = c
	}
	name := up[:len(word)]
	for v := HELO; v < HTTP; v++ {
		if string(name) == verbNames[v] {
			return v
		}
	}
	switch string(name) {
	case "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI":
		return HTTP
	}
	return Unknown
}

// ParseHello reads the argument of HELO, EHLO and LHLO. What the name is worth
// is for policy to say; here it must be one word of printable ASCII. A name
// that a "-" or other text follows is refused.
func ParseHello(arg string) (string, error) {
	if arg == "" {
		return "", badArgument("A host name is required")
	}
	if len(arg) > 255 {
		return "", badArgument("Host name too long")
	}
	for i := 0; i < len(arg); i++ {
		if arg[i] <= ' ' || arg[i] >= 0x7f {
			return "", badArgument("Not a host name")
		}
	}
	return arg, nil
}

// ParseNothing accepts the absence of an argument.
func ParseNothing(arg string) error {
	if arg != "" {
		return badArgument("No argument is allowed here")
	}
	return nil
}

// Chunk is the argument of BDAT (RFC 3030 §2).
type Chunk struct {
	Size int64
	Last bool
}

// ParseChunk reads the argument of BDAT. A size that no int64 holds comes out
// as the largest one, for the caller to find too big.
func ParseChunk(arg string) (Chunk, error) {
	number, word, more := strings.Cut(arg, " ")
	size, ok := parseNumber(number, 100)
	if !ok {
		return Chunk{}, badArgument("BDAT needs a size in octets")
	}
	c := Chunk{Size: size}
	if more {
		if c.Last = strings.EqualFold(strings.TrimSpace(word), "LAST"); !c.Last {
			return Chunk{}, badArgument("Only LAST may follow the size")
		}
	}
	return c, nil
}

// ParseAuth splits the argument of AUTH into the mechanism and the initial
// response, nil when there is none.
func ParseAuth(arg string) (mechanism string, initial *string, err error) {
	mechanism, rest, more := strings.Cut(arg, " ")
	if mechanism == "" {
		return "", nil, badArgument("A mechanism is required")
	}
	if !more {
		return mechanism, nil, nil
	}
	rest = strings.TrimSpace(rest)
	if strings.Contains(rest, " ") {
		return "", nil, badArgument("Too many arguments")
	}
	return mechanism, &rest, nil
}

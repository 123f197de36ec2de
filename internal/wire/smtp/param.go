package smtp

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"posthorn/internal/base/mail"
)

// Param is a parameter of MAIL or RCPT; sets of them say what a session was
// offered.
type Param uint16

// The parameters.
const (
	Size Param = 1 << iota
	Body
	SMTPUTF8
	Auth
	DSN // RET and ENVID; NOTIFY and ORCPT
	RequireTLS
	FutureRelease // HOLDFOR and HOLDUNTIL
	BinaryMIME    // BODY=BINARYMIME
)

// BodyType is the BODY parameter (RFC 6152, RFC 3030).
type BodyType uint8

// The body types; absent means 7BIT.
const (
	Body7Bit BodyType = iota
	Body8Bit
	BodyBinary
)

// Mail is the argument of MAIL.
type Mail struct {
	Sender mail.Address
	// Size is the announced size in octets, 0 when absent.
	Size       int64
	Body       BodyType
	SMTPUTF8   bool
	RequireTLS bool
	// Auth is the AUTH parameter, decoded: "<>" or an address; "" when absent.
	Auth string
	// Return is RET: "FULL", "HDRS" or "".
	Return string
	// EnvelopeID is ENVID, decoded.
	EnvelopeID string
	// HoldFor and HoldUntil are those of RFC 4865; at most one is set.
	HoldFor   time.Duration
	HoldUntil time.Time
}

// Rcpt is the argument of RCPT.
type Rcpt struct {
	Recipient mail.Address
	Notify    Notify
	// Original is ORCPT with its address decoded: "rfc822;bob@example.test".
	Original string
}

// Notify is the NOTIFY parameter (RFC 3461 §4.1); zero when absent. Its bits
// are those of store.Notify.
type Notify uint8

// The values of NOTIFY.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// ParseMail reads the argument of MAIL. A parameter that was not offered gives
// 555 5.5.4, a bad value or a repetition 501 5.5.4.
func ParseMail(arg string, offered Param) (Mail, error) {
	addr, rest, ascii, err := ParseReversePath(arg)
	if err != nil {
		return Mail{}, err
	}
	m := Mail{Sender: addr}
	if err := eachParam(rest, func(name, value string, has bool) error { return m.set(name, value, has, offered) }); err != nil {
		return Mail{}, err
	}
	if !ascii {
		path, _, err := cutPath(arg, "FROM:", badSender)
		if err == nil {
			err = checkOctets(path, m.SMTPUTF8, badSender)
		}
		if err != nil {
			return Mail{}, err
		}
	}
	if m.HoldFor != 0 && !m.HoldUntil.IsZero() {
		return Mail{}, badArgument("HOLDFOR and HOLDUNTIL exclude each other")
	}
	return m, nil
}

// ParseRcpt reads the argument of RCPT; smtputf8 says whether MAIL asked for it.
func ParseRcpt(arg string, offered Param, smtputf8 bool) (Rcpt, error) {
	addr, rest, err := ParseForwardPath(arg, smtputf8)
	if err != nil {
		return Rcpt{}, err
	}
	r := Rcpt{Recipient: addr}
	err = eachParam(rest, func(name, value string, _ bool) error {
		if offered&DSN == 0 {
			return unknownParam(name)
		}
		return r.set(name, value, smtputf8)
	})
	return r, err
}

// eachParam splits "A=1 B" and refuses repetitions.
func eachParam(s string, set func(name, value string, has bool) error) error {
	if s == "" {
		return nil
	}
	var seen [16]string
	n := 0
	for word := range strings.SplitSeq(s, " ") {
		if word == "" {
			continue
		}
		name, value, has := strings.Cut(word, "=")
		name = strings.ToUpper(name)
		if !keyword(name) || has && value == "" {
			return badArgument("Malformed parameter")
		}
		for _, before := range seen[:n] {
			if before == name {
				return badArgument("Parameter " + name + " is given twice")
			}
		}
		if n == len(seen) {
			return badArgument("Too many parameters")
		}
		seen[n] = name
		n++
		if err := set(name, value, has); err != nil {
			return err
		}
	}
	return nil
}

// keyword checks esmtp-keyword (RFC 5321 §4.1.2), in upper case.
func keyword(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (c != '-' || i == 0) {
			return false
		}
	}
	return s != ""
}

func unknownParam(name string) error {
	if len(name) > 32 {
		name = name[:32]
	}
	return refuse(555, 5, 5, 4, "Parameter "+name+" is not supported")
}

func badValue(name string) error { return badArgument("Bad value of " + name) }

// mailParams says what each name belongs to, and whether it takes a value.
var mailParams = map[string]struct {
	param Param
	value bool
}{
	"SIZE": {Size, true}, "BODY": {Body, true}, "SMTPUTF8": {SMTPUTF8, false}, "AUTH": {Auth, true},
	"RET": {DSN, true}, "ENVID": {DSN, true}, "REQUIRETLS": {RequireTLS, false},
	"HOLDFOR": {FutureRelease, true}, "HOLDUNTIL": {FutureRelease, true},
}

func (m *Mail) set(name, value string, has bool, offered Param) error {
	known, ok := mailParams[name]
	if !ok || offered&known.param == 0 {
		return unknownParam(name)
	}
	if has != known.value || !isASCII(value) && name != "AUTH" {
		return badValue(name)
	}
	switch name {
	case "SIZE":
		m.Size, ok = parseNumber(value, 20)
	case "BODY":
		m.Body, ok = parseBody(value, offered)
	case "SMTPUTF8":
		m.SMTPUTF8 = true
	case "REQUIRETLS":
		m.RequireTLS = true
	case "AUTH":
		m.Auth, ok = DecodeXtext(value)
		ok = ok && len(value) <= 500
	case "RET":
		m.Return = strings.ToUpper(value)
		ok = m.Return == "FULL" || m.Return == "HDRS"
	case "ENVID":
		m.EnvelopeID, ok = DecodeXtext(value)
		ok = ok && len(value) <= 100 && isASCII(m.EnvelopeID) // RFC 3461 §4.4
	case "HOLDFOR":
		var seconds int64
		seconds, ok = parseNumber(value, 9)
		ok = ok && seconds > 0
		m.HoldFor = time.Duration(seconds) * time.Second
	case "HOLDUNTIL":
		t, err := time.Parse(time.RFC3339, value)
		m.HoldUntil, ok = t.UTC(), err == nil
	}
	if !ok {
		return badValue(name)
	}
	return nil
}

func parseBody(value string, offered Param) (BodyType, bool) {
	switch strings.ToUpper(value) {
	case "7BIT":
		return Body7Bit, true
	case "8BITMIME":
		return Body8Bit, true
	case "BINARYMIME":
		return BodyBinary, offered&BinaryMIME != 0
	}
	return 0, false
}

func (r *Rcpt) set(name, value string, smtputf8 bool) error {
	ok := false
	switch name {
	case "NOTIFY":
		r.Notify, ok = parseNotify(value)
	case "ORCPT":
		r.Original, ok = parseOriginal(value, smtputf8)
	default:
		return unknownParam(name)
	}
	if !ok {
		return badValue(name)
	}
	return nil
}

// parseNotify reads NEVER alone or a list of the others.
func parseNotify(s string) (Notify, bool) {
	if strings.EqualFold(s, "NEVER") {
		return NotifyNever, true
	}
	var n Notify
	for word := range strings.SplitSeq(s, ",") {
		switch strings.ToUpper(word) {
		case "SUCCESS":
			n |= NotifySuccess
		case "FAILURE":
			n |= NotifyFailure
		case "DELAY":
			n |= NotifyDelay
		default:
			return 0, false
		}
	}
	return n, true
}

// parseOriginal decodes after splitting, so that an encoded ";" stays text.
func parseOriginal(s string, smtputf8 bool) (string, bool) {
	kind, encoded, ok := strings.Cut(s, ";")
	kind = strings.ToLower(kind)
	if !ok || len(s) > 500 || encoded == "" || !keyword(strings.ToUpper(kind)) {
		return "", false
	}
	var addr string
	switch {
	case kind == "utf-8" && (smtputf8 || isASCII(encoded)) && utf8.ValidString(encoded):
		addr, ok = decodeUTF8Xtext(encoded)
	case isASCII(encoded):
		addr, ok = DecodeXtext(encoded)
		ok = ok && isASCII(addr) // RFC 3461 §4.2
	default:
		return "", false
	}
	return kind + ";" + addr, ok
}

// parseNumber reads 1 to most decimal digits; what exceeds int64 is the
// largest one.
func parseNumber(s string, most int) (int64, bool) {
	if s == "" || len(s) > most {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

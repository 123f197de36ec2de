package smtp

import (
	"errors"
	"strings"
	"unicode/utf8"

	"posthorn/internal/base/mail"
)

// maxPath is the longest path read at all. RFC 5321 §4.5.3.1.3 allows 256
// octets; a source route, which is dropped, may stand in front.
const maxPath = 2 * 256

// pathTooLong is said whether the whole is too long or what a source route leaves.
const pathTooLong = "Path too long"

// The details of RFC 3463 §3.2 for the syntax of an address, by whose it is.
const (
	badRecipient = 3
	badSender    = 7
)

// ParseReversePath reads "FROM:<…>" and returns the address, null for <>, and
// what follows the path. An address without a domain is let through with an
// empty Domain: policy decides (M-SEC-SP-01). The path's octets above 127 are
// reported, for SMTPUTF8 stands behind them.
func ParseReversePath(arg string) (addr mail.Address, rest string, ascii bool, err error) {
	path, rest, err := cutPath(arg, "FROM:", badSender)
	if err != nil {
		return mail.Address{}, "", false, err
	}
	ascii = isASCII(path)
	if path == "" {
		return mail.Address{}, rest, true, nil
	}
	if !utf8.ValidString(path) {
		return mail.Address{}, rest, false, nil // judged with SMTPUTF8
	}
	if path, err = dropRoute(path, badSender); err != nil {
		return mail.Address{}, "", ascii, err
	}
	if addr, err = mail.ParseAddress(path); err == nil {
		return addr, rest, ascii, nil
	}
	local, lerr := mail.ParseLocal(path)
	switch {
	case lerr == nil:
		return mail.Address{Local: local}, rest, ascii, nil
	case errors.Is(err, mail.ErrLong), errors.Is(lerr, mail.ErrLong):
		return mail.Address{}, "", ascii, badPath(badSender, pathTooLong)
	}
	return mail.Address{}, "", ascii, badPath(badSender, "Bad sender address syntax")
}

// ParseForwardPath reads "TO:<…>" and what follows it. The only address
// without a domain is postmaster (RFC 5321 §4.1.1.3). A source route is
// dropped as RFC 5321 §3.6.1 wants; what is left decides about relaying.
func ParseForwardPath(arg string, smtputf8 bool) (mail.Address, string, error) {
	path, rest, err := cutPath(arg, "TO:", badRecipient)
	if err != nil {
		return mail.Address{}, "", err
	}
	if err := checkOctets(path, smtputf8, badRecipient); err != nil {
		return mail.Address{}, "", err
	}
	if path, err = dropRoute(path, badRecipient); err != nil {
		return mail.Address{}, "", err
	}
	if strings.EqualFold(path, "postmaster") {
		return mail.Address{Local: "postmaster"}, rest, nil
	}
	addr, err := mail.ParseAddress(path)
	switch {
	case err == nil:
		return addr, rest, nil
	case errors.Is(err, mail.ErrLong):
		return mail.Address{}, "", badPath(badRecipient, pathTooLong)
	case path == "" || strings.Contains(path, "@"):
		return mail.Address{}, "", badPath(badRecipient, "Bad recipient address syntax")
	}
	// No domain at all, as in "|/bin/sh" or "host!user": nobody here has such
	// an address.
	return mail.Address{}, "", refuse(550, 5, 1, 1, "No such mailbox here")
}

// checkOctets refuses what SMTPUTF8 would have allowed, and what it does not
// (RFC 6531 §3.5).
func checkOctets(path string, smtputf8 bool, whose uint16) error {
	switch {
	case isASCII(path):
		return nil
	case !smtputf8:
		return refuse(553, 5, 6, 7, "Non-ASCII addresses need SMTPUTF8")
	case !utf8.ValidString(path):
		return badPath(whose, "Invalid UTF-8")
	}
	return nil
}

// badPath refuses a path whose address nobody can read.
func badPath(whose uint16, text string) error { return refuse(501, 5, 1, whose, text) }

// cutPath takes the keyword and the path in angle brackets off; ">" inside a
// quoted local part does not end the path. Spaces after the colon are
// tolerated, because many clients send one.
func cutPath(arg, keyword string, whose uint16) (path, rest string, err error) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", badArgument("Expected " + keyword + "<address>")
	}
	s := strings.TrimLeft(arg[len(keyword):], " ")
	if s == "" || s[0] != '<' {
		return "", "", badArgument("Expected " + keyword + "<address>")
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			path, rest = s[1:i], s[i+1:]
			if len(path) > maxPath {
				return "", "", badPath(whose, pathTooLong)
			}
			if rest != "" && rest[0] != ' ' {
				return "", "", badArgument("Unexpected text after the path")
			}
			return path, strings.TrimLeft(rest, " "), nil
		}
	}
	return "", "", badPath(whose, "The path is not closed")
}

// dropRoute removes a source route "@a,@b:" (RFC 5321 §4.1.2, appendix C).
func dropRoute(path string, whose uint16) (string, error) {
	if !strings.HasPrefix(path, "@") {
		return path, nil
	}
	route, rest, ok := strings.Cut(path, ":")
	if !ok || rest == "" {
		return "", badPath(whose, "Bad source route")
	}
	for hop := range strings.SplitSeq(route, ",") {
		name, at := strings.CutPrefix(strings.TrimSpace(hop), "@")
		if _, err := mail.ParseDomain(name); !at || err != nil {
			return "", badPath(whose, "Bad source route")
		}
	}
	return rest, nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

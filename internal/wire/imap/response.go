package imap

import "strconv"

// Status is the first word of a status response (RFC 3501 §7.1).
type Status string

// The status responses.
const (
	OK      Status = "OK"
	NO      Status = "NO"
	BAD     Status = "BAD"
	BYE     Status = "BYE"
	PREAUTH Status = "PREAUTH"
)

// Code is a response code as it stands between the brackets, arguments
// included; empty means none.
type Code string

// Response codes without arguments (RFC 3501 §7.1, RFC 5530, RFC 7162,
// RFC 4315, RFC 7889, RFC 8474).
const (
	CodeAlert                Code = "ALERT"
	CodeAlreadyExists        Code = "ALREADYEXISTS"
	CodeAuthenticationFailed Code = "AUTHENTICATIONFAILED"
	CodeAuthorizationFailed  Code = "AUTHORIZATIONFAILED"
	CodeCannot               Code = "CANNOT"
	CodeClientBug            Code = "CLIENTBUG"
	CodeClosed               Code = "CLOSED"
	CodeContactAdmin         Code = "CONTACTADMIN"
	CodeCorruption           Code = "CORRUPTION"
	CodeExpired              Code = "EXPIRED"
	CodeHasChildren          Code = "HASCHILDREN"
	CodeInUse                Code = "INUSE"
	CodeLimit                Code = "LIMIT"
	CodeNoModSeq             Code = "NOMODSEQ"
	CodeNonExistent          Code = "NONEXISTENT"
	CodeNoPerm               Code = "NOPERM"
	CodeNotSaved             Code = "NOTSAVED"
	CodeOverQuota            Code = "OVERQUOTA"
	CodeParse                Code = "PARSE"
	CodePrivacyRequired      Code = "PRIVACYREQUIRED"
	CodeReadOnly             Code = "READ-ONLY"
	CodeReadWrite            Code = "READ-WRITE"
	CodeServerBug            Code = "SERVERBUG"
	CodeTooBig               Code = "TOOBIG"
	CodeTryCreate            Code = "TRYCREATE"
	CodeUIDNotSticky         Code = "UIDNOTSTICKY"
	CodeUnavailable          Code = "UNAVAILABLE"
	CodeUnknownCTE           Code = "UNKNOWN-CTE"
)

// CodeNumber makes a code with one number: UIDVALIDITY, UIDNEXT, UNSEEN,
// HIGHESTMODSEQ.
func CodeNumber(name string, n uint64) Code {
	return Code(strconv.AppendUint(append([]byte(name), ' '), n, 10))
}

// CodeAppendUID makes APPENDUID (RFC 4315 §3).
func CodeAppendUID(validity uint32, uids SeqSet) Code {
	b := strconv.AppendUint([]byte("APPENDUID "), uint64(validity), 10)
	return Code(uids.Append(append(b, ' ')))
}

// CodeCopyUID makes COPYUID (RFC 4315 §3). Both sets hold equally many UIDs
// in ascending order, so that they pair up.
func CodeCopyUID(validity uint32, from, to SeqSet) Code {
	b := strconv.AppendUint([]byte("COPYUID "), uint64(validity), 10)
	b = from.Append(append(b, ' '))
	return Code(to.Append(append(b, ' ')))
}

// CodeModified makes MODIFIED: the messages a conditional STORE left alone
// (RFC 7162 §3.1.3).
func CodeModified(set SeqSet) Code { return Code(set.Append([]byte("MODIFIED "))) }

// CodeMailboxID makes MAILBOXID (RFC 8474 §4.1); id holds letters, digits,
// hyphen and underscore only.
func CodeMailboxID(id string) Code { return Code("MAILBOXID (" + id + ")") }

// CodePermanentFlags makes PERMANENTFLAGS; `\*` says that new keywords may be
// made.
func CodePermanentFlags(flags []string) Code {
	return Code(appendFlags([]byte("PERMANENTFLAGS "), flags))
}

// CodeCapability makes CAPABILITY.
func CodeCapability(names []string) Code {
	b := []byte("CAPABILITY")
	for _, n := range names {
		b = append(append(b, ' '), n...)
	}
	return Code(b)
}

// Response is one status response. Text is public; Cause is for the operator
// alone and never written to the client.
type Response struct {
	Status Status
	Code   Code
	Text   string
	Cause  error
	// Close asks the session loop to say BYE and hang up afterwards.
	Close bool
}

// Error is a fault in what the client sent, with the response that says so.
// Faults of reading itself (io.EOF, time-outs) are never Errors.
type Error struct {
	Response Response
}

// Error implements error with the public text.
func (e *Error) Error() string { return e.Response.Text }

// bad returns a syntax fault.
func bad(text string) *Error {
	return &Error{Response{Status: BAD, Text: text}}
}

// expected returns the syntax fault that names what should have come.
func expected(what string) *Error { return bad("Expected " + what) }

// refused returns a fault that is no syntax error.
func refused(code Code, text string) *Error {
	return &Error{Response{Status: NO, Code: code, Text: text}}
}

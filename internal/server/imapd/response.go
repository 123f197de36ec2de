package imapd

import (
	"context"
	"errors"

	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// completed is the OK of a verb.
func completed(verb string) imap.Response {
	return imap.Response{Status: imap.OK, Text: verb + " completed"}
}

// no is a refusal.
func no(code imap.Code, text string) imap.Response {
	return imap.Response{Status: imap.NO, Code: code, Text: text}
}

// codeExpungeIssued says that a message is gone which the client has not been
// told of yet (RFC 5530 §3).
const codeExpungeIssued imap.Code = "EXPUNGEISSUED"

// causes lists what the store's errors mean to a client, most specific first.
var causes = []struct {
	err  error
	code imap.Code
	text string
	// ours: the operator should know.
	ours bool
}{
	{store.ErrOverQuota, imap.CodeOverQuota, "Mailbox is full", false},
	{store.ErrFull, imap.CodeOverQuota, "Server has no room; deleting still works", true},
	{store.ErrExists, imap.CodeAlreadyExists, "There is one already", false},
	{store.ErrNotFound, imap.CodeNonExistent, "There is none", false},
	{store.ErrLimit, imap.CodeLimit, "A limit is reached", false},
	{store.ErrInvalid, imap.CodeCannot, "That cannot be done", false},
	{store.ErrReadOnly, imap.CodeServerBug, "Server cannot write", true},
	{store.ErrUnavailable, imap.CodeUnavailable, "Temporarily unavailable", true},
	{store.ErrUnknownOutcome, imap.CodeUnavailable, "Temporarily unavailable, outcome unknown", true},
	{passwd.ErrBusy, imap.CodeUnavailable, "Too many logins at once", true},
	{context.Canceled, imap.CodeUnavailable, "The session ends", false}, // BYE says why
	{context.DeadlineExceeded, imap.CodeLimit, "Took too long", false},
}

// failed says what an error means to the client: a fault in what it sent, a
// refusal of the store, or a fault of ours.
func failed(err error) imap.Response {
	var e *imap.Error
	if errors.As(err, &e) {
		return e.Response
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			r := no(c.code, c.text)
			if c.ours {
				r.Cause = err
			}
			return r
		}
	}
	r := no(imap.CodeServerBug, "Internal error")
	r.Cause = err
	return r
}

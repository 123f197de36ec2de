package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// state is a set of the states of RFC 3501 §3.
type state uint8

const (
	notAuthenticated state = 1 << iota
	authenticated
	selected

	loggedIn = authenticated | selected
	anyState = notAuthenticated | loggedIn
)

// telling is what a client may hear of its mailbox after a command.
type telling uint8

const (
	tellNothing telling = iota
	// tellKept holds EXPUNGE back, because the client goes on using the
	// sequence numbers it knows (RFC 3501 §7.4.1).
	tellKept
	tellAll
)

// command is one row of the table.
type command struct {
	verb   string
	states state
	// uid says that there is a UID form.
	uid bool
	// after is what is told after the command; the UID form of tellKept tells all.
	after telling
	run   func(ctx context.Context, c *conn, cmd imap.Command) imap.Response
}

// when says why a command is not allowed in a state.
func (r *command) when(now state) string {
	switch {
	case now == notAuthenticated:
		return "before login"
	case r.states == notAuthenticated:
		return "after login"
	}
	return "without a selected mailbox"
}

func (r *command) tells(uid bool) telling {
	if uid && r.after == tellKept {
		return tellAll
	}
	return r.after
}

// commands lists every verb.
var commands = []command{
	{"CAPABILITY", anyState, false, tellAll, runCapability},
	{"NOOP", anyState, false, tellAll, runNoop},
	{"LOGOUT", anyState, false, tellNothing, runLogout},
	{"ID", anyState, false, tellAll, runID},

	{"STARTTLS", notAuthenticated, false, tellNothing, runStartTLS},
	{"AUTHENTICATE", notAuthenticated, false, tellNothing, runAuthenticate},
	{"LOGIN", notAuthenticated, false, tellNothing, runLogin},

	{"ENABLE", loggedIn, false, tellAll, runEnable},
	{"SELECT", loggedIn, false, tellNothing, runSelect},
	{"EXAMINE", loggedIn, false, tellNothing, runSelect},
	{"CREATE", loggedIn, false, tellAll, runCreate},
	{"DELETE", loggedIn, false, tellAll, runDelete},
	{"RENAME", loggedIn, false, tellAll, runRename},
	{"SUBSCRIBE", loggedIn, false, tellAll, runSubscribe},
	{"UNSUBSCRIBE", loggedIn, false, tellAll, runSubscribe},
	{"LIST", loggedIn, false, tellAll, runList},
	{"LSUB", loggedIn, false, tellAll, runLsub},
	{"NAMESPACE", loggedIn, false, tellAll, runNamespace},
	{"STATUS", loggedIn, false, tellAll, runStatus},
	{"GETQUOTA", loggedIn, false, tellAll, runGetQuota},
	{"GETQUOTAROOT", loggedIn, false, tellAll, runGetQuotaRoot},
	{"SETQUOTA", loggedIn, false, tellAll, runSetQuota},
	{"APPEND", loggedIn, false, tellAll, runAppend},
	{"IDLE", loggedIn, false, tellAll, runIdle},
	{"COMPRESS", loggedIn, false, tellNothing, runCompress},

	{"CHECK", selected, false, tellAll, runNoop},
	{"CLOSE", selected, false, tellNothing, runClose},
	{"UNSELECT", selected, false, tellNothing, runUnselect},
	{"EXPUNGE", selected, true, tellAll, runExpunge},
	{"SEARCH", selected, true, tellKept, runSearch},
	{"SORT", selected, true, tellKept, runSort},
	{"THREAD", selected, true, tellKept, runThread},
	{"FETCH", selected, true, tellKept, runFetch},
	{"STORE", selected, true, tellKept, runStore},
	{"COPY", selected, true, tellAll, runCopy},
	{"MOVE", selected, true, tellAll, runMove},
}

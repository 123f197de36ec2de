package event

import "log/slog"

// The events, in the table's order.
const (
	unknown Event = iota

	ServerStarted
	ServerReady
	ServerStopping
	ServerStopped
	ServerPanic
	MemoryOver

	ListenerOpened
	ListenerFailed
	ListenerBackoff
	ConnectionRefused
	ConnectionEvicted
	ProxyRefused

	SessionOpened
	SessionClosed
	SessionCommand
	SessionJunk
	SessionTimeout
	SessionFailed
	SessionRevoked

	TLSStarted
	TLSFailed
	CertificateLoaded
	CertificateFailed
	CertificateRenewed
	CertificateExpiring

	AuthSucceeded
	AuthFailed
	AuthBlocked
	AuthRenewed

	PolicyDecision
	ClientBanned
	ClientUnbanned

	MessageAccepted
	MessageRefused
	MessageDeferred
	MessageDropped

	QueueAttempt
	QueueDelivered
	QueueDeferred
	QueueFailed
	QueueExpired
	QueueError
	QueueUnreadable
	BounceQueued
	BounceSuppressed

	StoreOpened
	StoreFailed
	StoreReadOnly
	StoreFull
	StoreRecovered
	StoreTrouble
	StoreMigrated
	StoreMaintained
	RecordsFailed

	DNSFailed
	DNSSwitched

	ScanFailed

	SettingChanged
	SettingReverted
	SettingInvalid

	AdminAction
	APIFailed

	ReportRead
	ReportRefused
	QuarantineExpired
	QuarantineFull
	JunkFailed

	last
)

const (
	debug = slog.LevelDebug
	info  = slog.LevelInfo
	warn  = slog.LevelWarn
	fault = slog.LevelError
)

// table is the one place that says what an event is called, how urgent it is
// and what it means; docs/events.md is made from it.
var table = [last]Row{
	unknown: {"server.unknown_event", warn, "The program logged an event that is not in its table; this is a fault of the program."},

	ServerStarted:  {"server.started", info, "The process has begun: version, data folder, process id, user id."},
	ServerReady:    {"server.ready", info, "All listeners are open and the store is usable."},
	ServerStopping: {"server.stopping", info, "A stop was asked for; listeners are closed, sessions are told to end."},
	ServerStopped:  {"server.stopped", info, "Everything is closed; says how many sessions had to be cut."},
	ServerPanic:    {"server.panic", fault, "A session met a broken invariant and was ended; the others go on. Please report it with the stack."},
	MemoryOver:     {"server.memory_over", warn, "The memory bound is nearly reached; newcomers are asked to come back later, so that those inside can finish."},

	ListenerOpened:    {"listener.opened", info, "A socket is open at the address given."},
	ListenerFailed:    {"listener.failed", fault, "A socket could not be opened or stopped accepting."},
	ListenerBackoff:   {"listener.backoff", warn, "No file descriptor was free for a new connection; accepting waits a moment, sessions go on."},
	ConnectionRefused: {"connection.refused", warn, "A connection was turned away by a connection limit; repeated lines are counted in suppressed."},
	ConnectionEvicted: {"connection.evicted", info, "The longest waiting connection without login was closed to make room for a new one."},
	ProxyRefused:      {"connection.proxy_refused", warn, "A listed proxy sent no valid PROXY header in time, or a stranger sent one."},

	SessionOpened:  {"session.opened", info, "A client connected: listener, client address."},
	SessionClosed:  {"session.closed", info, "A session ended: duration, commands, messages, octets."},
	SessionCommand: {"session.command", debug, "A command and its reply, without arguments that may hold secrets."},
	SessionJunk:    {"session.junk", info, "A client sent too many errors or empty commands and was cut off."},
	SessionTimeout: {"session.timeout", info, "A client was silent or too slow for longer than its deadline."},
	SessionFailed:  {"session.failed", debug, "A connection broke: reset, closed half way, or a write failed."},
	SessionRevoked: {"session.revoked", info, "A session was ended because its account was disabled or removed, or got a new password."},

	TLSStarted:          {"tls.started", debug, "A TLS handshake succeeded: version, cipher suite, server name."},
	TLSFailed:           {"tls.failed", info, "A TLS handshake failed."},
	CertificateLoaded:   {"certificate.loaded", info, "A certificate was read from its files: names and expiry."},
	CertificateFailed:   {"certificate.failed", fault, "New certificate files cannot be used; the certificate loaded before stays in use."},
	CertificateRenewed:  {"certificate.renewed", info, "A certificate of the local authority was made or renewed."},
	CertificateExpiring: {"certificate.expiring", warn, "A certificate expires soon and nothing has replaced it yet."},

	AuthSucceeded: {"auth.succeeded", info, "A login succeeded: account, mechanism, client."},
	AuthFailed:    {"auth.failed", warn, "A login failed: name as typed, mechanism, client, reason."},
	AuthBlocked:   {"auth.blocked", warn, "A login was not tried because address or account had too many failures."},
	AuthRenewed:   {"auth.renewed", info, "A password hash was made anew with today's cost after a login, or that failed."},

	PolicyDecision: {"policy.decision", info, "A check judged: check, stage, action, mode, reason."},
	ClientBanned:   {"client.banned", warn, "A client address was banned: why and until when."},
	ClientUnbanned: {"client.unbanned", info, "A ban ended or was lifted."},

	MessageAccepted: {"message.accepted", info, "A message is durable and ours: envelope, size, recipients."},
	MessageRefused:  {"message.refused", info, "A message or recipient was refused for good: stage, reply."},
	MessageDeferred: {"message.deferred", info, "A message or recipient was refused for now: stage, reply."},
	MessageDropped:  {"message.dropped", warn, "A message was accepted and then discarded, because a rule says so."},

	QueueAttempt:     {"queue.attempt", info, "One attempt to deliver: host, address, TLS, reply."},
	QueueDelivered:   {"queue.delivered", info, "The next host took responsibility for a recipient."},
	QueueDeferred:    {"queue.deferred", info, "An attempt failed for now; the next attempt is due at the time given."},
	QueueFailed:      {"queue.failed", warn, "A recipient failed for good; the sender is told."},
	QueueExpired:     {"queue.expired", warn, "A recipient was tried until its time was up; the sender is told."},
	QueueError:       {"queue.error", fault, "The queue itself could not work, for example because the store failed."},
	QueueUnreadable:  {"queue.unreadable", fault, "A recipient in the queue cannot be read and is on hold; see posthorn queue list --state held."},
	BounceQueued:     {"bounce.queued", info, "A notification to the sender was queued."},
	BounceSuppressed: {"bounce.suppressed", info, "A notification was not made: null sender or rate limit."},

	StoreOpened:     {"store.opened", info, "The store is open: engine, time taken."},
	StoreFailed:     {"store.failed", fault, "The store could not do what was asked; clients got a temporary error."},
	StoreReadOnly:   {"store.read_only", fault, "A write or a sync failed; nothing more is accepted until the disk is seen to and the server restarted."},
	StoreFull:       {"store.full", fault, "The disk is full up to the reserve; only deletions are written, new mail gets a temporary refusal."},
	StoreRecovered:  {"store.recovered", info, "There is room on the disk again; mail is accepted."},
	StoreTrouble:    {"store.trouble", warn, "Something beside the mail did not work, and is tried again or done without: what, error."},
	StoreMigrated:   {"store.migrated", info, "The database was brought to the schema of this version of the program: from, to."},
	StoreMaintained: {"store.maintained", debug, "Expired rows or unused bodies were removed."},
	RecordsFailed:   {"records.failed", fault, "Decision records could not be written; mail is not affected."},

	DNSFailed:   {"dns.failed", warn, "Name servers do not answer; mail waits, nothing is refused for it."},
	DNSSwitched: {"dns.switched", info, "The other name server is asked from now on."},

	ScanFailed: {"scan.failed", warn, "A content scanner does not answer any more; mail is treated as the setting says. It is told once, until the scanner answers again."},

	SettingChanged:  {"setting.changed", info, "Settings were saved: version, author, names."},
	SettingReverted: {"setting.reverted", warn, "Settings went back by undo, or because a trial was not confirmed."},
	SettingInvalid:  {"setting.invalid", fault, "Stored settings cannot be used: their defaults are in force, or the last good version; mail whose relay they say waits."},

	AdminAction: {"admin.action", info, "An administrative operation was carried out: who, what, on what."},
	APIFailed:   {"api.failed", fault, "An HTTP request failed inside the server."},

	ReportRead:    {"report.read", info, "A DMARC report about a domain of ours came in and was kept: domain, organization, report."},
	ReportRefused: {"report.refused", info, "Mail for the address of DMARC reports holds none that can be kept; it was delivered all the same."},

	QuarantineExpired: {"quarantine.expired", info, "A message was in quarantine for so long that it was removed; nobody is told."},
	QuarantineFull:    {"quarantine.full", warn, "Mail that belongs in quarantine is refused for the time being, for there is no room: messages and size, and the settings that bound them."},
	JunkFailed:        {"junk.failed", warn, "The junk filter could not learn or judge; mail is delivered without it."},
}

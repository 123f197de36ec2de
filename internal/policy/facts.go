package policy

import (
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// Kind is the kind of a session (requirements.md 1.0).
type Kind uint8

// The session kinds. A port-25 session becomes Submission by AUTH.
const (
	MX Kind = iota
	Trusted
	Submission
)

var kindNames = [...]string{"mx", "trusted", "submission"}

// String returns the kind's name in settings and traces.
func (k Kind) String() string { return kindNames[k] }

// Trust says why a client may relay without login. It is a property of the
// client and stays when the client logs in.
type Trust uint8

// The kinds of trust, from none to all.
const (
	Untrusted    Trust = iota
	TrustedList        // the trusted list, M-REL-01
	LocalNetwork       // a local network while M-GEN-02 is on
	TrustedClass       // connection class "trusted", B1G-CLS-02: no limits
)

var trustNames = [...]string{"untrusted", "trusted list", "local network", "class trusted"}

// String returns the words of traces.
func (t Trust) String() string { return trustNames[t] }

// Facts is what is known about one attempt when a check is asked. One Facts
// serves one session: the session fills its fields as it goes on, Judge keeps
// its own notes in it, a check only reads. It belongs to one goroutine and
// must not be copied once Judge has seen it.
type Facts struct {
	Time     time.Time
	Session  ident.ID
	Message  ident.ID // the accept key of the transaction, zero before MAIL
	Listener string   // "smtp", "submission", "submissions", "lmtp"
	Client   netip.Addr
	Port     uint16
	Kind     Kind
	Trust    Trust
	// Class is the connection class; ClassBy says which rule gave it, "" for none.
	Class   Class
	ClassBy string
	TLS     bool
	// Hostname is the verified reverse name, "" when there is none or nobody
	// has asked yet (Reverse).
	Hostname string
	// SpokeFirst: input was waiting before the greeting (B1G-LIM-01).
	// ForbiddenInput counts commands behind which input was waiting although
	// RFC 2920 §3.1 forbids it (M-SEC-ADV-01).
	SpokeFirst     bool
	ForbiddenInput int

	Helo  string
	ESMTP bool

	// Login is the account that authenticated, nil for nobody.
	Login *store.AccountRow

	// Sender is the reverse-path; null for <>.
	Sender mail.Address
	// DeclaredSize is the SIZE parameter, 0 when absent.
	DeclaredSize unit.Size
	Params       MailParams

	// Recipient and Resolution are the forward-path being judged.
	Recipient  mail.Address
	Resolution directory.Resolution
	// Recipients are the forward-paths Judge let pass, Remote how many of
	// them lead elsewhere, Postmasters how many passed by ORD-04, SentOn those
	// whose mail no mailbox here can keep. Judge keeps all of them and OverLimit;
	// stage Mail begins them anew.
	Recipients, SentOn  []mail.Address
	Remote, Postmasters int
	// Accepted is the number of recipients accepted so far, Refused of those not.
	Accepted, Refused int
	// OverLimit counts recipients refused for their number alone (M-GEN-09).
	OverLimit int

	// Content facts, at stage Content.
	Size        unit.Size
	Hops        int // Received fields
	DeliveredTo []string
	From        []mail.Address // author addresses of the From field
	FromBroken  bool           // From cannot be read, or there are several
	// FromDomains are those of authors of whom the domain alone can be read:
	// readers show it, so DMARC judges it.
	FromDomains []string
	BareCRLF    bool // a bare CR or LF stood in the content

	// Content is the message, from stage Content on.
	Content *Message
	// AtOnce is the account whose copy is filed as soon as the message is
	// accepted, 0 for none; Later says that others get theirs by the queue.
	AtOnce store.AccountID
	Later  bool

	// Room is the free space of the store, looked up at MAIL.
	Room store.Room

	// Sources answer everything else.
	Sources
	// Recorded, when not nil, answers in place of the sources (Replay).
	Recorded Recorded

	before  Kind // what the session was until LogIn
	judging Stage
	ledger  ledger
	// filter is what milters see of the session, once one was asked.
	filter Filter
}

// Saw notes a value the running check looked at, for the decision record. It
// is the one thing a check may call that changes the facts.
func (f *Facts) Saw(name, value string) {
	f.ledger.inputs = append(f.ledger.inputs, Input{Name: name, Value: value})
}

// SawNumber is Saw for a count or a size in octets.
func (f *Facts) SawNumber(name string, n int64) {
	f.ledger.inputs = append(f.ledger.inputs, Input{Name: name, Number: n})
}

// LogIn makes the session a submission of the account's.
func (f *Facts) LogIn(account *store.AccountRow) {
	f.before, f.Login, f.Kind = f.Kind, account, Submission
}

// StartTLS forgets what the client said in clear text, a login too
// (RFC 3207 §4.2); what it is by its address and the listener it stays.
func (f *Facts) StartTLS() {
	if f.Login != nil {
		f.Kind = f.before
	}
	f.TLS, f.Helo, f.ESMTP, f.Login = true, "", false, nil
}

// Outbound reports the direction limits follow (requirements.md 1.0): mail of
// our users, and mail of trusted clients as soon as a recipient is elsewhere.
func (f *Facts) Outbound() bool {
	return f.Kind == Submission || f.Kind == Trusted && f.Remote > 0
}

// ForPostmaster reports that the recipient being judged is postmaster or
// mailer-daemon of a domain that is ours, or the bare <postmaster> (ORD-04).
func (f *Facts) ForPostmaster() bool {
	l := f.Recipient.Local
	if len(l) != len("postmaster") && len(l) != len("mailer-daemon") {
		return false
	}
	if !strings.EqualFold(l, "postmaster") && !strings.EqualFold(l, "mailer-daemon") {
		return false
	}
	return f.Recipient.Domain == "" || f.Resolution.Hosted()
}

// MailParams are the parameters of MAIL that policy looks at.
type MailParams struct {
	SMTPUTF8, RequireTLS bool
}

package policy

// Entry is one row of the house rules: a check and everything the pipeline
// and the documents need to know about it.
type Entry struct {
	Stage Stage
	// Name is the check's name in settings, traces, skips and documents.
	Name string
	// IDs are the requirements the check fulfils.
	IDs   []string
	Check Check
	// Setting is what an administrator changes to get another verdict: the name
	// of a setting, or words of something else (posthorn ban).
	Setting string
	// ModeSetting is the setting of Mode; "" for a Fixed check.
	ModeSetting string
	// Worst is the heaviest action the check can ask for.
	Worst Action
	// Exempt says who is not asked at all.
	Exempt Exemption
	// Test is what allow rules call the check; 0: they cannot lift it. What the
	// check finds is recorded even then, unless it is Costly: asking takes time, or
	// is remembered by a source and would count for neighbours.
	Test   Tests
	Costly bool
	// AtOnce gives a refusal of stages Connect to Mail where it occurs.
	// Otherwise it is held until RCPT, so that the record names sender and
	// recipient and postmaster stays reachable (ORD-02).
	AtOnce bool
	// Mode is the one in force. A Fixed check is part of what the server is and
	// has no mode to choose.
	Mode  Mode
	Fixed bool
	// Idle: nothing is set that the check could ask, so that it passes everything.
	Idle bool
	// Doc says in one or two sentences what the check refuses and why.
	Doc string
	// Replies are the replies it can give, as documented.
	Replies []string
}

// Exemption is a set of attempts a check is not asked about.
type Exemption uint8

// The exemptions.
const (
	// ToPostmaster lifts a check for mail to postmaster and mailer-daemon of
	// our domains (ORD-04); at stage Content, when there is no other recipient.
	ToPostmaster Exemption = 1 << iota
	// FromTrustedClass lifts it for connection class "trusted" (B1G-CLS-02).
	FromTrustedClass
	// FromTrusted lifts it for every trusted client.
	FromTrusted
	// FromLogin lifts it for whoever has logged in.
	FromLogin
	// FromLoopback lifts it for this machine.
	FromLoopback
	// OfRefused lifts it for what earlier checks put off already.
	OfRefused
)

// exemptionTexts are in the order of the bits.
var exemptionTexts = [...]string{
	"the recipient is postmaster, who is always reachable",
	"the client is in connection class trusted",
	"the client is trusted",
	"the client has logged in",
	"the client is this machine",
	"an earlier check has put it off already",
}

// Texts lists the exemptions of the set in words.
func (e Exemption) Texts() []string {
	var list []string
	for i, text := range exemptionTexts {
		if e&(1<<i) != 0 {
			list = append(list, text)
		}
	}
	return list
}

// applying returns the exemptions that the facts of an attempt fulfil.
func applying(stage Stage, f *Facts) Exemption {
	var e Exemption
	switch {
	case stage == Rcpt && f.ForPostmaster(),
		stage > Rcpt && f.Postmasters > 0 && f.Postmasters == len(f.Recipients):
		e |= ToPostmaster
	}
	switch {
	case f.Trust == TrustedClass:
		e |= FromTrustedClass | FromTrusted
	case f.Trust != Untrusted:
		e |= FromTrusted
	}
	if f.Login != nil {
		e |= FromLogin
	}
	if f.Client.IsLoopback() {
		e |= FromLoopback
	}
	return e
}

// because returns why the entry is not asked, "" when it is.
func (e *Entry) because(applies Exemption) string {
	if e.Mode == Off {
		return "switched off"
	}
	if hit := e.Exempt & applies; hit != 0 {
		for i, text := range exemptionTexts {
			if hit&(1<<i) != 0 {
				return text
			}
		}
	}
	return ""
}

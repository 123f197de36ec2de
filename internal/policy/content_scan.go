package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
)

// Scanners look into the content of messages; app's do, by the settings in
// force. Answers never carry an error: a scanner that cannot be asked is Down.
type Scanners interface {
	Virus(ctx context.Context, f *Facts) Virus
	Spam(ctx context.Context, f *Facts) Spam
	Attachment(ctx context.Context, f *Facts) Attachment
	// Filter begins what milters see of a session, nil where there are none.
	Filter(f *Facts) Filter
	// State asks each scanner that is set whether it is there.
	State(ctx context.Context) []ScannerState
	// Down are those that did not answer when they were last asked.
	Down(ctx context.Context) []ScannerState
}

// ScannerState is what a scanner says of itself.
type ScannerState struct {
	Kind    string `json:"kind" doc:"virus, spam or milter"`
	Address string `json:"address" doc:"Where it is asked"`
	Version string `json:"version,omitempty" doc:"What it calls itself, if it says so"`
	Problem string `json:"problem,omitempty" doc:"Why it cannot be asked; empty when it can"`
}

// Scanned is how far a scanner came with a message.
type Scanned uint8

// How far it came.
const (
	NotScanned Scanned = iota // there is no such scanner, or no content
	Clean
	Suspect  // something was found
	TooLarge // the scanner looks at a part only, or at nothing
	Down     // nobody can say now
)

var scannedNames = [...]string{"not scanned", "clean", "found", "too large", "down"}

// String returns the word of records.
func (o Scanned) String() string { return scannedNames[o] }

// MarshalText implements encoding.TextMarshaler.
func (o Scanned) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Scanned) UnmarshalText(b []byte) error {
	i := slices.Index(scannedNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("policy: %q is no opinion of a scanner", b)
	}
	*o = Scanned(i)
	return nil
}

// Virus is the opinion of a virus scanner.
type Virus struct {
	Opinion Scanned `json:"opinion"`
	// Signature names what was found, as the scanner does.
	Signature string `json:"signature,omitempty"`
	// Problem says why there is no answer, for TooLarge and Down.
	Problem string `json:"problem,omitempty"`
}

// Spam is the opinion of a spam filter. Suspect: it would do something about
// the message, Action.
type Spam struct {
	Opinion Scanned `json:"opinion"`
	Score   float64 `json:"score"`
	// Action is the filter's: "no action", "greylist", "add header", "rewrite
	// subject", "soft reject" or "reject".
	Action string `json:"action,omitempty"`
	// Symbols are the rules that matched, by weight, as NAME(1.5).
	Symbols []string `json:"symbols,omitempty"`
	// Reply is the filter's text for a refusal.
	Reply   string `json:"reply,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Edits are what the filter wants changed; they are not recorded.
	Edits *Edits `json:"-"`
}

// Attachment is the first rule of attachments that a message fulfils.
type Attachment struct {
	Opinion Scanned `json:"opinion"`
	// Rule is the rule's name, File the attachment's, a member's behind " > ".
	Rule string `json:"rule,omitempty"`
	File string `json:"file,omitempty"`
	// Reason is for the operator: attachment, rule and what fitted.
	Reason  string `json:"reason,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// MaxHeader bounds a header section that milters see and that can be changed,
// in octets: it is held in memory.
const MaxHeader = 4 << 20

// Edits change a message that is accepted, header section and body as they
// came in. Effects.Fields are put before what results.
type Edits struct {
	// Header returns the header section, the empty line at its end included,
	// as it shall be; nil leaves it.
	Header func(section []byte) []byte
	// Body replaces all behind the header section if NewBody.
	Body    []byte
	NewBody bool
	// Sender replaces the reverse-path, nil leaves it.
	Sender *mail.Address
	// Add and Delete are forward-paths.
	Add, Delete []mail.Address
}

// Filter is what milters see of one session. It belongs to its goroutine.
type Filter interface {
	// Ask tells the milters of what is judged at one of the stages Mail to
	// Content, and of what led to it.
	Ask(ctx context.Context, stage Stage, f *Facts) Filtered
	// Close ends the session.
	Close()
}

// Filtered is what milters said to one step.
type Filtered struct {
	Asked  bool
	Action Action
	// Reply is what the client is told, for Defer and Reject.
	Reply reply.Reply
	// Filter is the name of the milter that decided, Reason the whole story.
	Filter, Reason string
	// Quarantine holds the message, because of this.
	Quarantine string
	// Problem names the milters that were given up.
	Problem string
	// Edits are what they changed; they are not recorded.
	Edits *Edits
}

// MarshalText implements encoding.TextMarshaler.
func (v Virus) MarshalText() ([]byte, error) {
	type plain Virus
	return json.Marshal(plain(v))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Virus) UnmarshalText(b []byte) error {
	type plain Virus
	return json.Unmarshal(b, (*plain)(v))
}

// MarshalText implements encoding.TextMarshaler.
func (s Spam) MarshalText() ([]byte, error) {
	type plain Spam
	return json.Marshal(plain(s))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Spam) UnmarshalText(b []byte) error {
	type plain Spam
	return json.Unmarshal(b, (*plain)(s))
}

// MarshalText implements encoding.TextMarshaler.
func (a Attachment) MarshalText() ([]byte, error) {
	type plain Attachment
	return json.Marshal(plain(a))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Attachment) UnmarshalText(b []byte) error {
	type plain Attachment
	return json.Unmarshal(b, (*plain)(a))
}

// filtered is Filtered as records keep it.
type filtered struct {
	Action     string         `json:"action"`
	Code       int            `json:"code,omitempty"`
	Enhanced   reply.Enhanced `json:"enhanced,omitzero"`
	Text       []string       `json:"text,omitempty"`
	Filter     string         `json:"milter,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Quarantine string         `json:"quarantine,omitempty"`
	Problem    string         `json:"problem,omitempty"`
	Edits      bool           `json:"changes,omitempty"`
}

// notAsked is the text of a step that no milter was told of.
const notAsked = "not asked"

// MarshalText implements encoding.TextMarshaler.
func (r Filtered) MarshalText() ([]byte, error) {
	if !r.Asked {
		return []byte(notAsked), nil
	}
	return json.Marshal(filtered{r.Action.String(), r.Reply.Code, r.Reply.Enhanced, r.Reply.Text, r.Filter, r.Reason, r.Quarantine, r.Problem, r.Edits != nil})
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Filtered) UnmarshalText(b []byte) error {
	*r = Filtered{}
	if string(b) == notAsked {
		return nil
	}
	var t filtered
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	i := slices.Index(actionNames[:], t.Action)
	if i < 0 {
		return fmt.Errorf("policy: %q is no action", t.Action)
	}
	*r = Filtered{Asked: true, Action: Action(i), Filter: t.Filter, Reason: t.Reason, Quarantine: t.Quarantine, Problem: t.Problem}
	if t.Code != 0 {
		r.Reply = reply.Reply{Code: t.Code, Enhanced: t.Enhanced, Text: t.Text, Close: t.Code == 421}
	}
	return nil
}

// Virus asks the virus scanner about the content.
func (f *Facts) Virus(ctx context.Context) Virus {
	return learn(f, "virus", func() (v Virus) {
		if f.Scanners != nil && f.Content != nil {
			v = f.Scanners.Virus(ctx, f)
		}
		return v
	})
}

// Spam asks the spam filter about the content.
func (f *Facts) Spam(ctx context.Context) Spam {
	return learn(f, "spam", func() (s Spam) {
		if f.Scanners != nil && f.Content != nil {
			s = f.Scanners.Spam(ctx, f)
		}
		return s
	})
}

// rulesMark ends the name of a fact that holds for certain rules only, before a
// word for these; nobody but us understands the word.
const rulesMark = " by rules "

// Attachment looks for an attachment that a rule forbids. rules is a word for the
// rules in force: the answer is no answer to others.
func (f *Facts) Attachment(ctx context.Context, rules string) Attachment {
	return learn(f, "attachment"+rulesMark+rules, func() (a Attachment) {
		if f.Scanners != nil && f.Content != nil {
			a = f.Scanners.Attachment(ctx, f)
		}
		return a
	})
}

// Filtered tells the milters of what is being judged, and what they said.
func (f *Facts) Filtered(ctx context.Context) Filtered {
	name := "milter " + f.judging.String()
	r := learn(f, name, func() (r Filtered) {
		if f.filter == nil && f.Scanners != nil {
			f.filter = f.Scanners.Filter(f)
		}
		if f.filter == nil || f.judging == Content && f.Content == nil {
			return r
		}
		r = f.filter.Ask(ctx, f.judging, f)
		r.Asked = true
		return r
	})
	delete(f.ledger.known, name) // it is another one each time
	return r
}

// Close ends what the session has open elsewhere; checks must not be asked
// any more.
func (f *Facts) Close() {
	if f.filter != nil {
		f.filter.Close()
		f.filter = nil
	}
}

package mime

import "iter"

// Structure describes one message. It is immutable once returned by a Parser
// or UnmarshalBinary (Shift excepted) and then safe for concurrent reading.
type Structure struct {
	// Size is the message's size in octets.
	Size int64
	// Parts lists all parts in the order they begin, a container before what
	// it contains. Parts[0] is the message itself and always there.
	Parts []Part
	// Opaque says which limits the message exceeded.
	Opaque Limits
	Facts
}

// Facts is what accepting a message needs to know about it beyond its parts.
type Facts struct {
	// Flags holds what is simply true or false.
	Flags Flags
	// Fields counts the fields of the message's header section.
	Fields int
	// Received counts its Received fields (RFC 5321 §6.3).
	Received int
	// FromFields counts its From fields; RFC 5322 §3.6 wants exactly one.
	FromFields int
	// LongestLine is the most octets between two line ends in the message.
	LongestLine int64
	// DeliveredTo holds the values of its Delivered-To fields.
	DeliveredTo []string
	// References holds the message identifiers of its References field, oldest
	// first, separated by spaces.
	References string
}

// Flags is a set of facts about a whole message.
type Flags uint16

// The facts, one bit each.
const (
	// HasAutoSubmitted: an Auto-Submitted field other than "no" (RFC 3834 §5).
	HasAutoSubmitted Flags = 1 << iota
	// HasListID: a List-Id field (RFC 2919).
	HasListID
	// HasReturnPath: a Return-Path field, which only final delivery may add.
	HasReturnPath
	// HasBulkPrecedence: a Precedence field of bulk, junk or list.
	HasBulkPrecedence
	// Header8Bit and HeaderNUL: octets above 127 or NUL in the header section.
	Header8Bit
	HeaderNUL
	// Has8Bit and HasNUL: the same anywhere in the message.
	Has8Bit
	HasNUL
	// HasBareCR: a CR that no LF follows.
	HasBareCR
	// HasBareLF: an LF that no CR precedes.
	HasBareLF
	// HasMIMEVersion: a MIME-Version field.
	HasMIMEVersion
)

// Has reports whether all facts of g hold.
func (f Flags) Has(g Flags) bool { return f&g == g }

// Part is one part of a message: the message itself, a body part of a
// multipart, or the message inside a message/rfc822 part. Its header section
// and body follow each other without a gap; the empty line between them
// belongs to the header section.
type Part struct {
	Header Span
	Body   Span
	// Lines counts the line ends in the body.
	Lines int64

	// Type, Subtype, Encoding and Disposition are in lower case. Type and
	// Subtype are never empty; an empty Encoding stands for 7bit.
	Type, Subtype     string
	Params            []Param
	ID                string // Content-ID with its angle brackets
	Description       string
	Encoding          string
	MD5               string
	Location          string
	Language          []string
	Disposition       string
	DispositionParams []Param
	// Envelope is set for a whole message: Parts[0] and the one part inside
	// each message/rfc822.
	Envelope *Envelope

	end int32 // index after the last part inside this one
}

// Param is a parameter of a Content-Type or Content-Disposition field.
// RFC 2231 continuations are already joined.
type Param struct {
	// Name is in lower case, without the asterisk of RFC 2231.
	Name string
	// Value is unquoted; if Extended it still has the form charset'language'%XX.
	Value string
	// Extended says that the value carries its character set (RFC 2231 §4).
	Extended bool
}

// Envelope holds the raw, unfolded header values of RFC 9051 §7.5.2.
type Envelope struct {
	Date, Subject, InReplyTo, MessageID string
	From, Sender, ReplyTo, To, Cc, Bcc  []Address
	// Present tells a field that is there but empty from one that is not.
	Present Presence
}

// Presence is a set of envelope fields.
type Presence uint8

// The unstructured envelope fields, one bit each.
const (
	PresentDate Presence = 1 << iota
	PresentSubject
	PresentInReplyTo
	PresentMessageID
)

// AddressKind tells mailboxes from the marks around a group.
type AddressKind uint8

// The kinds of list members.
const (
	Mailbox AddressKind = iota
	GroupStart
	GroupEnd
)

// Address is one member of an address list. A group is a GroupStart with the
// group's name in Mailbox, its members, and a GroupEnd.
type Address struct {
	Kind AddressKind
	// Name is the display name as written: unquoted, encoded words undecoded.
	Name string
	// Route is the obsolete source route, "@a,@b".
	Route string
	// Mailbox and Host are the unquoted local part and the domain; Host is
	// empty where the author gave none.
	Mailbox, Host string
}

// Envelope returns the envelope of the message itself.
func (s *Structure) Envelope() *Envelope { return s.Parts[0].Envelope }

// Authors returns the members of the From field that are mailboxes, as
// addr-specs, in order.
func (s *Structure) Authors() []string {
	var out []string
	for _, a := range s.Envelope().From {
		if a.Kind == Mailbox {
			out = append(out, a.Spec())
		}
	}
	return out
}

// Children yields the indexes of the parts directly inside part i.
func (s *Structure) Children(i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for c := i + 1; c < s.end(i); c = s.end(c) {
			if !yield(c) {
				return
			}
		}
	}
}

func (s *Structure) end(i int) int        { return int(s.Parts[i].end) }
func (s *Structure) childless(i int) bool { return s.end(i) == i+1 }

// Shift accounts for n octets put in front of the message's header section:
// the section still starts at 0, everything in and after it moves.
func (s *Structure) Shift(n int64) {
	s.Size += n
	for i := range s.Parts {
		p := &s.Parts[i]
		if i > 0 {
			p.Header.Start += n
		}
		p.Header.End += n
		p.Body.Start += n
		p.Body.End += n
	}
}

func (p *Part) is(typ, subtype string) bool { return p.Type == typ && p.Subtype == subtype }

func (p *Part) isMultipart() bool { return p.Type == "multipart" }

// isMessage covers message/global too, which nests alike (RFC 9051 §7.5.2).
func (p *Part) isMessage() bool { return p.is("message", "rfc822") || p.is("message", "global") }

// Param returns the value of a parameter of the Content-Type field as UTF-8
// text, or "" if there is none. The name is given in lower case.
func (p *Part) Param(name string) string { return paramText(p.Params, name) }

// Filename returns the name the author gave the part, as UTF-8 text, or "".
func (p *Part) Filename() string {
	if n := paramText(p.DispositionParams, "filename"); n != "" {
		return n
	}
	return p.Param("name")
}

func paramText(params []Param, name string) string {
	text := ""
	for i := range params {
		if params[i].Name != name {
			continue
		}
		if params[i].Extended {
			return params[i].Text()
		}
		if text == "" {
			text = params[i].Text()
		}
	}
	return text
}

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Answers go into decision records as texts and are read back from them by
// Replay, so each has a text form that people can read too.

// Finding is how far a look-up came.
type Finding uint8

// The findings. Unknown: nobody was asked, or the answer was not recorded.
const (
	Unknown Finding = iota
	Found           // and all is well
	Absent          // there is no such record
	Astray          // there is one and it leads nowhere, or elsewhere
	Failed          // nobody could say now
)

var findingNames = [...]string{"unknown", "found", "absent", "astray", "failed"}

// String returns the word of records.
func (f Finding) String() string { return findingNames[f] }

func parseFinding(text string) (Finding, error) {
	i := slices.Index(findingNames[:], text)
	if i < 0 {
		return Unknown, fmt.Errorf("policy: %q is no finding", text)
	}
	return Finding(i), nil
}

// Reverse is what DNS says of a client's address (B1G-GEN-05, M-SEC-CON-01).
// Found: Name leads back to the address. Absent: no PTR record. Astray: Name
// is what PTR says, without an address or with others only.
type Reverse struct {
	Finding Finding
	Name    string
}

// Verified returns the name if it leads back.
func (r Reverse) Verified() string {
	if r.Finding == Found {
		return r.Name
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (r Reverse) MarshalText() ([]byte, error) {
	return []byte(strings.TrimSpace(r.Finding.String() + " " + r.Name)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Reverse) UnmarshalText(b []byte) (err error) {
	word, rest, _ := strings.Cut(string(b), " ")
	r.Name = rest
	r.Finding, err = parseFinding(word)
	return err
}

// Existence is what DNS says of a name as a mail domain. Found: it has a mail
// server or an address. Absent: neither. Astray: a null MX (Null), or an MX
// that is no host name.
type Existence struct {
	Finding Finding
	Null    bool
}

// MarshalText implements encoding.TextMarshaler.
func (e Existence) MarshalText() ([]byte, error) {
	if e.Null {
		return []byte(e.Finding.String() + " null-mx"), nil
	}
	return []byte(e.Finding.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Existence) UnmarshalText(b []byte) (err error) {
	word, rest, _ := strings.Cut(string(b), " ")
	e.Null = rest == "null-mx"
	e.Finding, err = parseFinding(word)
	return err
}

// Listing is what a DNS list says of a client. Found: listed, by the Codes
// (127.0.0.0/8 without 127.255.255.0/24), Text its TXT record. Absent: not
// listed. Failed: no answer, or the list's operator refuses to answer us.
type Listing struct {
	Finding Finding
	Codes   []netip.Addr
	Text    string
}

// MarshalText implements encoding.TextMarshaler.
func (l Listing) MarshalText() ([]byte, error) {
	b := []byte(l.Finding.String())
	for i, c := range l.Codes {
		b = append(b, " ,"[min(i, 1)])
		b = c.AppendTo(b)
	}
	if l.Text != "" {
		b = append(b, ' ')
		b = append(b, l.Text...)
	}
	return b, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Listing) UnmarshalText(b []byte) (err error) {
	word, rest, _ := strings.Cut(string(b), " ")
	*l = Listing{}
	if l.Finding, err = parseFinding(word); err != nil || l.Finding != Found {
		l.Text = rest
		return err
	}
	codes, text, _ := strings.Cut(rest, " ")
	l.Text = text
	for c := range strings.SplitSeq(codes, ",") {
		ip, err := netip.ParseAddr(c)
		if err != nil {
			return fmt.Errorf("policy: codes of a DNS list: %w", err)
		}
		l.Codes = append(l.Codes, ip)
	}
	return nil
}

// Pace is how a client host stands against a limit. Until is when its window
// ends; Shared says that the table is full and it shares a counter with its
// neighbours.
type Pace struct {
	Count  int
	Over   bool
	Until  time.Time
	Shared bool
}

// MarshalText implements encoding.TextMarshaler. The limit is not in it: Replay
// compares the count anew.
func (p Pace) MarshalText() ([]byte, error) {
	b := strconv.AppendInt(nil, int64(p.Count), 10)
	if p.Over {
		b = append(b, " over"...)
	}
	if p.Shared {
		b = append(b, " shared"...)
	}
	if !p.Until.IsZero() {
		b = append(b, " until "...)
		b = p.Until.UTC().AppendFormat(b, time.RFC3339)
	}
	return b, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Pace) UnmarshalText(b []byte) (err error) {
	*p = Pace{}
	text, until, _ := strings.Cut(string(b), " until ")
	if until != "" {
		if p.Until, err = time.Parse(time.RFC3339, until); err != nil {
			return err
		}
	}
	count, rest, _ := strings.Cut(text, " ")
	rest, p.Shared = strings.CutSuffix(rest, "shared")
	p.Over = strings.TrimSpace(rest) == "over"
	p.Count, err = strconv.Atoi(count)
	return err
}

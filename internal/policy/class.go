package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Class is a connection class (B1G-CLS): what an administrator says about
// clients of a network, or of a DNS list.
type Class uint8

// The connection classes.
const (
	ClassUntrusted       Class = iota // B1G-CLS-01, everybody
	ClassTrusted                      // B1G-CLS-02, no check and no limit
	ClassDialUp                       // B1G-CLS-03, must log in
	ClassReject                       // B1G-CLS-04, sent away at the door
	ClassNoGreylist                   // B1G-CLS-05
	ClassNoGreylistNoBan              // B1G-CLS-06
)

var classNames = [...]string{"untrusted", "trusted", "dial-up", "reject", "no-greylisting", "no-greylisting-no-ban"}

// String returns the word of settings and traces.
func (c Class) String() string { return classNames[c] }

// MarshalText implements encoding.TextMarshaler.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Class) UnmarshalText(b []byte) error {
	i := slices.Index(classNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("%q is no connection class; write one of %s", b, strings.Join(classNames[:], ", "))
	}
	*c = Class(i)
	return nil
}

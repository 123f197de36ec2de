package directory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
)

// Bounds of what an administrator may enter.
const (
	maxName      = 200 // characters of full names and titles
	maxAddresses = 1000
	separators   = "+-_=#~"
)

// invalid makes an error that names what to change.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), store.ErrInvalid)
}

// checkAddress refuses addresses that cannot be one of ours.
func checkAddress(a mail.Address) error {
	if a.IsNull() || a.Domain == "" || mail.IsLiteral(a.Domain) {
		return invalid("address %q must be name@domain", a)
	}
	if again, err := mail.ParseAddress(a.String()); err != nil || again != a {
		return invalid("address %q is not well formed", a)
	}
	for _, c := range a.Local {
		if unicode.IsControl(c) {
			return invalid("address %q contains a control character", a)
		}
	}
	return nil
}

// checkText refuses what would break header fields, logs and pages apart.
func checkText(field, s string) error {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxName {
		return invalid("%s must be UTF-8 and at most %d characters long", field, maxName)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return invalid("%s contains a control character or line break", field)
	}
	return nil
}

// CheckPassword refuses passwords that protect nothing. The account's own
// addresses must be known.
func (d *Directory) CheckPassword(a store.AccountRow, password string) error {
	least := d.o.Settings().MinPassword
	switch {
	case utf8.RuneCountInString(password) < max(least, 1):
		return invalid("the password has fewer than %d characters", max(least, 1))
	case len(password) > passwd.MaxPassword:
		return invalid("the password is over %d octets long", passwd.MaxPassword)
	case strings.ContainsRune(password, 0):
		return invalid("the password contains a NUL")
	}
	for _, own := range a.Addresses {
		if strings.EqualFold(password, own.String()) || strings.EqualFold(password, own.Local) {
			return invalid("the password is the account's own name")
		}
	}
	return nil
}

func checkSeparator(s string) error {
	if s == "" || len(s) == 1 && strings.Contains(separators, s) {
		return nil
	}
	return invalid("separator %q must be one of %s, or empty for no subaddresses", s, strings.Join(strings.Split(separators, ""), " "))
}

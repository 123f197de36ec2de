package store

import (
	"fmt"

	"posthorn/internal/base/unit"
)

// OverQuota is the ErrOverQuota of what does not fit into an account.
type OverQuota struct {
	Account AccountID
	// Usage is what the account holds, Bytes and Messages what was to come.
	Usage           Usage
	Bytes, Messages int64
}

// Words say what does not fit, without the name of the account.
func (o *OverQuota) Words() string {
	if u := &o.Usage; u.LimitBytes == 0 || u.Bytes+o.Bytes <= u.LimitBytes {
		return fmt.Sprintf("holds %d of %d messages", u.Messages, u.LimitMessages)
	}
	return fmt.Sprintf("holds %s of %s, and the message has %s", unit.Size(o.Usage.Bytes).Words(), unit.Size(o.Usage.LimitBytes).Words(), unit.Size(o.Bytes).Words())
}

// Error implements error.
func (o *OverQuota) Error() string { return fmt.Sprintf("account %d %s", o.Account, o.Words()) }

// Unwrap makes it an ErrOverQuota.
func (o *OverQuota) Unwrap() error { return ErrOverQuota }

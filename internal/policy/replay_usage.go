package policy

import (
	"context"
	"fmt"
	"strconv"

	"posthorn/internal/state/store"
)

// usage is how full an account is, with a text form for the record.
type usage struct {
	store.Usage
	err string
}

// MarshalText implements encoding.TextMarshaler.
func (u *usage) MarshalText() ([]byte, error) {
	if u.err != "" {
		return []byte("failed " + u.err), nil
	}
	return fmt.Appendf(nil, "%d of %d octets, %d of %d messages", u.Bytes, u.LimitBytes, u.Messages, u.LimitMessages), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *usage) UnmarshalText(b []byte) error {
	*u = usage{}
	if n, err := fmt.Sscanf(string(b), "%d of %d octets, %d of %d messages", &u.Bytes, &u.LimitBytes, &u.Messages, &u.LimitMessages); n == 4 && err == nil {
		return nil
	}
	_, err := fmt.Sscanf(string(b), "failed %s", &u.err)
	if err == nil {
		u.err = string(b[len("failed "):])
	}
	return err
}

// UsageOf is how full an account is.
func (f *Facts) UsageOf(ctx context.Context, account store.AccountID) (store.Usage, error) {
	u := learn(f, "usage "+strconv.FormatInt(int64(account), 10), func() (u usage) {
		got, err := f.Usage.Usage(ctx, account)
		if u.Usage = got; err != nil {
			u.err = err.Error()
		}
		return u
	})
	if u.err != "" {
		return store.Usage{}, sourceError(u.err)
	}
	return u.Usage, nil
}

package accept

import (
	"errors"
	"fmt"
	"slices"

	"posthorn/internal/state/store"
)

// fullMailbox is why a message was not filed, in the words of an
// administrator; it is the error it came from, too.
type fullMailbox struct {
	address string
	over    *store.OverQuota
	cause   error
}

func (f *fullMailbox) Error() string {
	return fmt.Sprintf("the mailbox of %s %s", f.address, f.over.Words())
}

func (f *fullMailbox) Unwrap() error { return f.cause }

// later is an acceptance that files nothing: everybody's copy is queued. One
// full mailbox must not keep the message from the others, and SMTP has no reply
// for some recipients at the end of the content (RFC 5321 §4.2.5). The copy
// that does not fit waits, and if there never is room its sender is told.
func later(a *store.Acceptance, e *Envelope, c *Content) *store.Acceptance {
	all, queue := *a, *a.Queue
	queue.Recipients = plan(e).rows
	// What the account's filter was asked before is asked again when it is filed.
	queue.Sift = queue.Sift || c.Effects.Copy.Field != ""
	all.Account, all.Filings, all.Queue = 0, nil, &queue
	return &all
}

// failure names the thing in an error of the store.
func failure(e *Envelope, a *store.Acceptance, err error) error {
	if over := (*store.OverQuota)(nil); errors.As(err, &over) {
		for i := range e.Recipients {
			if slices.Contains(e.Recipients[i].Accounts, a.Account) {
				return &fullMailbox{e.Recipients[i].Address.String(), over, err}
			}
		}
	}
	return fmt.Errorf("accept: %s: %w", e.Key, err)
}

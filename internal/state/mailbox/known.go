package mailbox

import "posthorn/internal/state/store"

// Known returns the mailbox as far as somebody has it open or had it lately,
// without asking the store; nil when nobody has.
func (r *Registry) Known(account store.AccountID, id store.MailboxID) *Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.boxes[key{account, id}]; m != nil {
		return m.Snapshot()
	}
	return nil
}

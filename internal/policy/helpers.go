package policy

// helpers are the places of goroutines that ask sources beside a session.
type helpers chan struct{}

// mostHelpers bounds them for all sessions together, so that a flood of
// sessions waits for DNS with its own goroutines alone.
const mostHelpers = 512

// Help runs ask beside the session and returns at once: for answers that are
// needed later, or several at a time. It returns false and runs nothing when
// all helpers are busy, or the session was not judged yet; then the session
// asks for itself when it needs the answer. A panic ends ask alone: what is
// missing afterwards is asked again, where a check is guarded.
func (f *Facts) Help(ask func()) bool {
	if f.ledger.rules == nil {
		return false
	}
	free := f.ledger.rules.helpers
	select {
	case free <- struct{}{}:
	default:
		return false
	}
	go func() {
		defer func() {
			_ = recover()
			<-free
		}()
		ask()
	}()
	return true
}

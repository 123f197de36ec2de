package pop3d

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/pop3"
)

// maildrop is INBOX as it stood at login, with the client's marks.
type maildrop struct {
	account  store.Account
	mailbox  store.MailboxID
	validity uint32
	messages []message // number n is at n-1
	marked   int
	// octets and left count what is not marked.
	octets int64
	left   int
	shelf  shelf
}

// message takes 24 octets, so that 100,000 take 2.4 MB.
type message struct {
	id     store.MessageID
	size   int64 // as RETR sends it, before dots are stuffed
	uid    store.UID
	marked bool // deleted by DELE
}

var errNoMessage = errors.New("no such message")

// openMaildrop reads the account's INBOX.
func openMaildrop(ctx context.Context, account store.Account) (*maildrop, error) {
	box, err := account.FindMailbox(ctx, "INBOX")
	if err != nil {
		return nil, fmt.Errorf("pop3d: maildrop: %w", err)
	}
	index, err := account.Index(ctx, box.ID)
	if err != nil {
		return nil, fmt.Errorf("pop3d: maildrop: %w", err)
	}
	d := &maildrop{account: account, mailbox: box.ID, validity: index.Mailbox.UIDValidity, messages: make([]message, len(index.Entries))}
	uneven, err := account.Uneven(ctx)
	if err != nil {
		return nil, fmt.Errorf("pop3d: maildrop: %w", err)
	}
	for i, e := range index.Entries {
		d.messages[i] = message{id: e.Message, size: e.Size + growth(uneven, e.Message), uid: e.UID}
	}
	d.reset()
	return d, nil
}

// growth is how many octets RETR sends beyond those that are stored, because
// some lines end in other than CRLF (RFC 1939 §11).
func growth(uneven []store.Uneven, id store.MessageID) int64 {
	i, found := slices.BinarySearchFunc(uneven, id, func(u store.Uneven, id store.MessageID) int { return cmp.Compare(u.Message, id) })
	if !found {
		return 0
	}
	return uneven[i].More
}

// Witness may be what Store.Account returns: it hears of messages that RETR has
// sent whole.
type Witness interface {
	Fetched(id store.MessageID)
}

// witness tells of the message of a number.
func (d *maildrop) witness(number int) {
	if w, ok := d.account.(Witness); ok {
		w.Fetched(d.messages[number-1].id)
	}
}

// reset takes all marks off.
func (d *maildrop) reset() {
	d.octets, d.left, d.marked = 0, len(d.messages), 0
	for i := range d.messages {
		d.messages[i].marked = false
		d.octets += d.messages[i].size
	}
}

// summary is what LIST and the login say of it.
func (d *maildrop) summary() string { return fmt.Sprintf("%d messages (%d octets)", d.left, d.octets) }

// find returns the message of a number, unless it is marked.
func (d *maildrop) find(number int) (*message, error) {
	if number > len(d.messages) {
		return nil, errNoMessage
	}
	m := &d.messages[number-1]
	if m.marked {
		return nil, errNoMessage
	}
	return m, nil
}

// mark marks a message that find returned.
func (d *maildrop) mark(m *message) {
	m.marked = true
	d.octets -= m.size
	d.left--
	d.marked++
}

// uid is the unique-id of a message; it never changes (RFC 1939 §7).
func (d *maildrop) uid(m *message) string { return pop3.UID(d.validity, uint32(m.uid)) }

// listing writes one line for each message that is not marked, and the end.
func (d *maildrop) listing(line func(b []byte, number int, m *message) []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		b := make([]byte, 0, 64)
		for i := range d.messages {
			if d.messages[i].marked {
				continue
			}
			b = line(b[:0], i+1, &d.messages[i])
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		_, err := w.Write(pop3.AppendEnd(b[:0]))
		return err
	}
}

// ranges are the UIDs of marked messages. UIDs that no message of the maildrop
// has may lie inside a range only if nothing can have them any more, so a range
// joins neighbours in the maildrop: UIDs ascend and are never used again.
func (d *maildrop) ranges() []store.UIDRange {
	var out []store.UIDRange
	joined := false
	for i := range d.messages {
		m := &d.messages[i]
		switch {
		case !m.marked:
		case joined:
			out[len(out)-1].Last = m.uid
		default:
			out = append(out, store.UIDRange{First: m.uid, Last: m.uid})
		}
		joined = m.marked
	}
	return out
}

const (
	// commitTime bounds the commit of QUIT, which a stopping server waits for.
	commitTime = 30 * time.Second
	// commitTries is how often an unknown outcome is cleared up by repeating:
	// what is gone already is not removed again.
	commitTries = 3
)

// commit removes what is marked, all of it or nothing (RFC 1939 §6), or keeps
// it in the trash for a time.
func (d *maildrop) commit(ctx context.Context, keep time.Duration) error {
	if d.marked == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTime)
	defer cancel()
	remove := d.expunge
	if keep > 0 {
		until := purgeTime(time.Now().Add(keep))
		remove = func(ctx context.Context) error {
			_, err := d.account.Retire(ctx, d.mailbox, d.ranges(), until)
			return err
		}
	}
	err := remove(ctx)
	for try := 1; try < commitTries && errors.Is(err, store.ErrUnknownOutcome); try++ {
		err = remove(ctx)
	}
	if err != nil {
		return fmt.Errorf("pop3d: remove %d messages: %w", d.marked, err)
	}
	return nil
}

func (d *maildrop) expunge(ctx context.Context) error {
	_, _, err := d.account.Expunge(ctx, d.mailbox, d.ranges(), false)
	return err
}

package ledger

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Reading is what one mailbox showed.
type Reading struct {
	UIDValidity uint32
	UIDNext     uint32
	// UIDs pairs each UID with the number of the message it stands for.
	UIDs map[uint32]int
}

// ReadInbox reads every message of an account's INBOX over IMAP and enters it
// into the books.
func ReadInbox(l *Ledger, addr, account, password string) (Reading, error) {
	r := Reading{UIDs: map[uint32]int{}}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return r, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	in := bufio.NewReaderSize(c, 64<<10)
	if _, err := fmt.Fprintf(c, "a LOGIN %s %q\r\nb EXAMINE INBOX\r\nc UID FETCH 1:* (BODY.PEEK[])\r\nd LOGOUT\r\n", account, password); err != nil {
		return r, err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return r, fmt.Errorf("reading %s: %w", account, err)
		}
		switch {
		case strings.HasPrefix(line, "a NO"), strings.HasPrefix(line, "b NO"), strings.HasPrefix(line, "c NO"),
			strings.HasPrefix(line, "c BAD"), strings.HasPrefix(line, "a BAD"), strings.HasPrefix(line, "b BAD"):
			return r, fmt.Errorf("reading %s: %s", account, strings.TrimSpace(line))
		case strings.HasPrefix(line, "* OK [UIDVALIDITY "):
			_, err = fmt.Sscanf(line, "* OK [UIDVALIDITY %d]", &r.UIDValidity)
		case strings.HasPrefix(line, "* OK [UIDNEXT "):
			_, err = fmt.Sscanf(line, "* OK [UIDNEXT %d]", &r.UIDNext)
		case strings.HasPrefix(line, "d OK"):
			if r.UIDValidity == 0 || r.UIDNext == 0 {
				return r, fmt.Errorf("reading %s: no UIDVALIDITY or no UIDNEXT", account)
			}
			return r, nil
		case strings.HasSuffix(line, "}\r\n") && strings.Contains(line, " FETCH "):
			err = r.message(l, account, line, in)
		}
		if err != nil {
			return r, err
		}
	}
}

// message reads the literal that a FETCH line announces.
func (r *Reading) message(l *Ledger, account, line string, in *bufio.Reader) error {
	size, err := strconv.Atoi(line[strings.LastIndexByte(line, '{')+1 : len(line)-3])
	if err != nil {
		return fmt.Errorf("reading %s: %q: %w", account, line, err)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(in, raw); err != nil {
		return err
	}
	rest, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	_, after, ok := strings.Cut(line+rest, "UID ")
	if !ok {
		return fmt.Errorf("reading %s: no UID in %q", account, line)
	}
	uid, err := strconv.ParseUint(after[:strings.IndexAny(after+" ", " )\r")], 10, 32)
	if err != nil {
		return err
	}
	if _, twice := r.UIDs[uint32(uid)]; twice {
		return fmt.Errorf("reading %s: UID %d occurs twice", account, uid)
	}
	if !l.Found(account, raw) {
		r.UIDs[uint32(uid)] = 0 // in the books as a phantom
		return nil
	}
	r.UIDs[uint32(uid)], _ = numberOf(raw)
	return nil
}

// Later checks that a later reading of the same mailbox never gave a UID to
// another message, and new UIDs only from UIDNEXT on (RFC 3501 §2.3.1.1).
func (r Reading) Later(now Reading) error {
	if r.UIDValidity != now.UIDValidity {
		return fmt.Errorf("UIDVALIDITY changed from %d to %d", r.UIDValidity, now.UIDValidity)
	}
	if now.UIDNext < r.UIDNext {
		return fmt.Errorf("UIDNEXT was %d and is now %d", r.UIDNext, now.UIDNext)
	}
	for uid, number := range now.UIDs {
		switch was, known := r.UIDs[uid]; {
		case uid >= now.UIDNext:
			return fmt.Errorf("UID %d is not below UIDNEXT %d", uid, now.UIDNext)
		case known && was != number:
			return fmt.Errorf("UID %d was message %d and is now message %d", uid, was, number)
		case !known && uid < r.UIDNext:
			return fmt.Errorf("UID %d, of message %d now, was spent already: UIDNEXT was %d", uid, number, r.UIDNext)
		}
	}
	return nil
}

package imapd

import (
	"io"
	"regexp"
	"testing"
	"time"
)

// FuzzASessionAlwaysEnds sends anything behind a login and SELECT. The server
// (the account has a quota, so that its mailboxes do not grow) must neither panic nor hang, and what it says must be whole lines.
func FuzzASessionAlwaysEnds(f *testing.F) {
	for _, seed := range []string{
		"a FETCH 1:* (FLAGS BODY[] ENVELOPE BODYSTRUCTURE)\r\n", "a UID SEARCH RETURN (ALL) OR FROM x NOT (BODY y SINCE 1-Jan-2000)\r\n",
		"a STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen kw)\r\nb EXPUNGE\r\n", "a APPEND INBOX (\\Seen) {3+}\r\nabc\r\nb NOOP\r\n",
		"a IDLE\r\nDONE\r\nb MOVE 1 Trash\r\n", "a SORT (REVERSE DATE) UTF-8 ALL\r\nb THREAD REFERENCES UTF-8 ALL\r\n",
		"a ENABLE QRESYNC\r\nb SELECT INBOX (QRESYNC (1 1 1:5 (1 1)))\r\n", "a LIST (SUBSCRIBED) \"\" (% *) RETURN (STATUS (MESSAGES))\r\n",
		"a FETCH $ (BINARY[1]<0.5> BODY[1.2.MIME])\r\nb SEARCH RETURN (SAVE) ALL\r\nc FETCH $ UID\r\n", "a LOGOUT\r\n",
		"a ENABLE IMAP4rev2 UTF8=ACCEPT\r\nb SELECT INBOX\r\nc SEARCH RECENT\r\nd CREATE \"\xc3\xa4e\xcc\x81\"\r\ne RENAME \"\xc3\xa4\xc3\xa9\" y\r\n",
		"a GETQUOTAROOT INBOX\r\nb GETQUOTA \"\"\r\nc SETQUOTA x (STORAGE 1)\r\nd CREATE z (USE (\\Archive))\r\n",
		"a SORT RETURN (MIN PARTIAL 1:2) (FROM DISPLAYTO) UTF-8 SENTON 1-Jan-2000\r\nb FETCH 1 SAVEDATE\r\nc SEARCH SAVEDSINCE 1-Jan-2000\r\n", "\x00\r\n{5}\r\n", "a CREATE {3}\r\n",
		"a COPY 1:* INBOX\r\nb RENAME INBOX x\r\nc DELETE x\r\n", "a STATUS INBOX (MESSAGES RECENT)\r\nb LSUB \"\" %\r\nc UNSELECT\r\nd CLOSE\r\n",
	} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Cleanup(w.close)
	w.settings.SearchTime = time.Second
	if err := w.deliver("small"); err != nil {
		f.Fatal(err)
	}
	whole := regexp.MustCompile(`\A(?s:.*\r\n)?\z`)
	f.Fuzz(func(t *testing.T, text string) {
		conn := w.dial()
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		go func() { // the server may stop reading before all is written
			_, _ = io.WriteString(conn, "1 LOGIN small secret\r\n2 SELECT INBOX\r\n"+text)
			_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		heard, err := io.ReadAll(conn)
		if err != nil {
			t.Fatalf("the session did not end: %v after %q", err, heard)
		}
		if !whole.Match(heard) {
			t.Errorf("the last line is not whole: %q", heard[max(0, len(heard)-80):])
		}
	})
}

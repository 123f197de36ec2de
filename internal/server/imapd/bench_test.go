package imapd

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// benchSize is the size of the mailbox in BenchmarkAccess; POSTHORN_MESSAGES
// makes it 100000.
func benchSize() int {
	if n, err := strconv.Atoi(os.Getenv("POSTHORN_MESSAGES")); err == nil {
		return n
	}
	return 20000
}

// fill puts n messages of 2 KB into alice's inbox.
func (w *world) fill(n int) error {
	account := w.store.Account(w.accounts["alice"])
	inbox, err := account.FindMailbox(w.ctx, "INBOX")
	if err != nil {
		return err
	}
	filler := strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 38)
	for done := 0; done < n; {
		var items []store.AppendItem
		for ; len(items) < 500 && done < n; done++ {
			text := []byte(fmt.Sprintf("From: Person %d <p%d@example.test>\r\nTo: Alice <alice@example.test>\r\nSubject: message %d\r\n"+
				"Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nMessage-ID: <%d@example.test>\r\nContent-Type: text/plain\r\n\r\n%s", done%97, done%97, done, done, filler))
			draft, err := w.store.NewDraft(w.ctx, int64(len(text)))
			if err != nil {
				return err
			}
			if _, err := draft.Write(text); err != nil {
				return err
			}
			meta, err := mime.Parse(text).AppendBinary(nil)
			if err != nil {
				return err
			}
			items = append(items, store.AppendItem{Body: draft, Meta: meta, Internal: time.Now()})
		}
		if _, err := account.Append(w.ctx, inbox.ID, items); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkAccess measures what a client waits for in a large mailbox, as
// design.md 10 lists it.
func BenchmarkAccess(b *testing.B) {
	w := newWorld(b)
	defer w.close()
	n := benchSize()
	if err := w.fill(n); err != nil {
		b.Fatal(err)
	}
	c := w.client("A", 40000)
	defer func() { _ = c.conn.Close() }()
	c.in = bufio.NewReaderSize(c.conn, 4<<20)
	run := func(b *testing.B, command string) {
		c.tag++
		tag := fmt.Sprintf("x%d", c.tag)
		_ = c.conn.SetDeadline(time.Now().Add(10 * time.Minute))
		fmt.Fprintf(c.conn, "%s %s\r\n", tag, command)
		for {
			line, err := c.in.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if len(line) > len(tag)+3 && string(line[:len(tag)]) == tag {
				if string(line[len(tag)+1:len(tag)+3]) != "OK" {
					b.Fatal(string(line))
				}
				return
			}
		}
	}
	run(b, "LOGIN alice secret")
	start := time.Now()
	run(b, "SELECT INBOX")
	b.Logf("%d messages, first SELECT %v", n, time.Since(start))
	for _, step := range []struct{ name, command string }{
		{"Select", "SELECT INBOX"},
		{"FetchFlags", "FETCH 1:* FLAGS"},
		{"FetchEnvelope", "FETCH 1:* ENVELOPE"},
		{"FetchBodies1000", "FETCH 1:1000 BODY.PEEK[]"},
		{"SearchUnseen", "SEARCH UNSEEN"},
		{"SearchFrom", "SEARCH FROM p17@"},
		{"SearchBody", "SEARCH BODY nowhere"},
		{"SortDate", "SORT (DATE) UTF-8 ALL"},
		{"Thread", "THREAD REFERENCES UTF-8 ALL"},
		{"StoreAll", "STORE 1:* FLAGS.SILENT (\\Flagged)|STORE 1:* FLAGS.SILENT ()"},
		{"StoreOne", "STORE 77 FLAGS (\\Seen)"},
		{"Noop", "NOOP"},
	} {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			forms := strings.Split(step.command, "|") // in turn, so that each changes something
			for i := 0; b.Loop(); i++ {
				run(b, forms[i%len(forms)])
			}
		})
	}
}

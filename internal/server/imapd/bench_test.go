//go:build unix

package imapd

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/mailbox"
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

// speaker sends commands and reads until they are answered.
type speaker struct {
	*client
	b *testing.B
}

func (w *world) speaker(b *testing.B, port uint16) *speaker {
	c := w.client("A", port)
	c.in = bufio.NewReaderSize(c.conn, 4<<20)
	s := &speaker{client: c, b: b}
	if _, err := c.line(); err != nil {
		b.Fatal(err)
	}
	s.run("LOGIN alice secret")
	return s
}

func (s *speaker) run(command string) {
	s.b.Helper()
	s.tag++
	tag := fmt.Sprintf("x%d", s.tag)
	_ = s.conn.SetDeadline(time.Now().Add(10 * time.Minute))
	fmt.Fprintf(s.conn, "%s %s\r\n", tag, command)
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			s.b.Fatal(err)
		}
		if len(line) > len(tag)+3 && string(line[:len(tag)]) == tag {
			if string(line[len(tag)+1:len(tag)+3]) != "OK" {
				s.b.Fatal(string(line))
			}
			return
		}
	}
}

// forget drops everything the node keeps in memory.
func (w *world) forget() {
	w.boxes.Close()
	w.boxes = mailbox.NewRegistry(w.faults, mailbox.Options{})
	w.server = New(w.deps())
}

// large returns a world with benchSize messages.
func large(b *testing.B) *world {
	w := newWorld(b)
	if err := w.fill(benchSize()); err != nil {
		b.Fatal(err)
	}
	return w
}

// BenchmarkAccess measures what a client waits for in a large mailbox, as
// design.md 10 lists it.
func BenchmarkAccess(b *testing.B) {
	w := large(b)
	defer w.close()
	c := w.speaker(b, 40000)
	defer func() { _ = c.conn.Close() }()
	c.run("SELECT INBOX")
	r := rand.New(rand.NewPCG(1, 2))
	bodies := make([]string, 1000)
	for i := range bodies {
		bodies[i] = strconv.Itoa(1 + r.IntN(benchSize()))
	}
	for _, step := range []struct{ name, command string }{
		{"Select", "SELECT INBOX"},
		{"FetchFlags", "FETCH 1:* FLAGS"},
		{"FetchEnvelope", "FETCH 1:* ENVELOPE"},
		{"FetchBodies1000", "FETCH " + strings.Join(bodies, ",") + " BODY.PEEK[]"},
		{"FetchBodiesAll", "FETCH 1:* BODY.PEEK[]"},
		{"SearchUnseen", "SEARCH UNSEEN"},
		{"SearchFrom", "SEARCH FROM p17@"},
		{"SearchSubject", "SEARCH SUBJECT 777"},
		{"SearchBody", "SEARCH BODY nowhere"},
		{"SortDate", "SORT (DATE) UTF-8 ALL"},
		{"SortSubject", "SORT (SUBJECT) UTF-8 ALL"},
		{"Thread", "THREAD REFERENCES UTF-8 ALL"},
		{"StoreAll", "STORE 1:* FLAGS.SILENT (\\Flagged)|STORE 1:* FLAGS.SILENT ()"},
		{"StoreOne", "STORE 77 FLAGS (\\Seen)|STORE 77 FLAGS ()"},
		{"Noop", "NOOP"},
	} {
		b.Run(step.name, func(b *testing.B) {
			c.b = b
			b.ReportAllocs()
			forms := strings.Split(step.command, "|") // in turn, so that each changes something
			c.run(forms[len(forms)-1])                // later access is meant
			start := cpu(b)
			defer func() { reportCPU(b, start) }()
			for i := 0; b.Loop(); i++ {
				c.run(forms[i%len(forms)])
			}
		})
	}
}

// BenchmarkFirstAccess measures the same for a mailbox of which the node
// keeps nothing in memory; the log-in and SELECT belong to it.
func BenchmarkFirstAccess(b *testing.B) {
	w := large(b)
	defer w.close()
	for _, step := range []struct{ name, command string }{
		{"Select", "NOOP"},
		{"FetchFlags", "FETCH 1:* FLAGS"},
		{"FetchEnvelope", "FETCH 1:* ENVELOPE"},
		{"SearchFrom", "SEARCH FROM p17@"},
		{"SortDate", "SORT (DATE) UTF-8 ALL"},
		{"Thread", "THREAD REFERENCES UTF-8 ALL"},
	} {
		b.Run(step.name, func(b *testing.B) {
			start := cpu(b)
			defer func() { reportCPU(b, start) }()
			for b.Loop() {
				b.StopTimer()
				w.forget()
				b.StartTimer()
				c := w.speaker(b, 40000)
				c.run("SELECT INBOX")
				c.run(step.command)
				_ = c.conn.Close()
			}
		})
	}
}

// BenchmarkMoves measures commands on ten thousand messages.
func BenchmarkMoves(b *testing.B) {
	w := large(b)
	defer w.close()
	c := w.speaker(b, 40000)
	defer func() { _ = c.conn.Close() }()
	c.run("CREATE there")
	c.run("SELECT INBOX")
	timed := func(name string, commands ...string) {
		b.Run(name, func(b *testing.B) {
			c.b = b
			for b.Loop() {
				b.StopTimer()
				for _, command := range commands[:len(commands)-1] {
					c.run(command)
				}
				b.StartTimer()
				c.run(commands[len(commands)-1])
			}
		})
	}
	timed("Copy10k", "UNSELECT", "DELETE there", "CREATE there", "SELECT INBOX", "COPY 1:10000 there")
	timed("Move10k", "SELECT there", "MOVE 1:* INBOX", "UNSELECT", "SELECT INBOX", "MOVE 1:10000 there")
	timed("Expunge10k", "COPY 1:10000 INBOX", "STORE 1:10000 +FLAGS.SILENT (\\Deleted)", "EXPUNGE")
	text := "Subject: x\r\n\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 43)
	b.Run("Append", func(b *testing.B) {
		c.b = b
		start := cpu(b)
		defer func() { reportCPU(b, start) }()
		for b.Loop() {
			c.run(fmt.Sprintf("APPEND there {%d+}\r\n%s", len(text), text))
		}
	})
}

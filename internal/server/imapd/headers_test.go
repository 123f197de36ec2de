package imapd

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// ask sends a SEARCH and returns how many messages it found.
func ask(t *testing.T, c *client, key string) int {
	t.Helper()
	r, lines, err := c.do("SEARCH RETURN (COUNT) %s", key)
	if err != nil || !strings.HasPrefix(r, "OK") {
		t.Fatal(key, r, err)
	}
	n := -1
	for _, line := range lines {
		if _, count, ok := strings.Cut(line, " COUNT "); ok {
			_, _ = fmt.Sscan(count, &n)
		}
	}
	return n
}

func TestColumnsFollowTheMailbox(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	if err := w.fill(3*mailbox.BlockSize - 10); err != nil {
		t.Fatal(err)
	}
	c := w.client("A", 40000)
	defer func() { _ = c.conn.Close() }()
	if err := c.enter("INBOX"); err != nil {
		t.Fatal(err)
	}
	total := 3*mailbox.BlockSize - 10
	with := func(k int) int { // messages from pK@
		n := 0
		for i := range total {
			if i%97 == k {
				n++
			}
		}
		return n
	}
	for range 2 { // read first, remembered then
		if n := ask(t, c, "FROM p17@"); n != with(17) {
			t.Errorf("%d messages from p17, not %d", n, with(17))
		}
	}
	if n := ask(t, c, "SENTON 17-Jul-1996"); n != total {
		t.Errorf("%d sent then", n)
	}
	for i := range 30 { // into the block that is known and beyond
		if err := w.file("alice", fmt.Sprintf("From: late%d@example.test\r\nSubject: late\r\n\r\nx", i)); err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			if _, _, err := c.do("NOOP"); err != nil {
				t.Fatal(err)
			}
			if n := ask(t, c, "SUBJECT LATE"); n != i+1 {
				t.Errorf("%d late messages, not %d", n, i+1)
			}
		}
	}
	if err := c.learn(); err != nil {
		t.Fatal(err)
	}
	account := w.store.Account(w.accounts["alice"])
	inbox, err := account.FindMailbox(w.ctx, "INBOX")
	if err == nil {
		_, _, err = account.Expunge(w.ctx, inbox.ID, []store.UIDRange{{First: 1, Last: 97}}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.do("NOOP"); err != nil {
		t.Fatal(err)
	}
	if n := ask(t, c, "FROM p17@"); n != with(17)-1 {
		t.Errorf("%d messages from p17 after an expunge, not %d", n, with(17)-1)
	}
}

// TestColumnsSayWhatTheMessageSays compares them with the header fields themselves.
func TestColumnsSayWhatTheMessageSays(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 4))
	syllables := []string{"an", "Ber", "ÄRG", "é", "e\u0301", "lo", "STRA", "ß", "日", "x y", "re", "Fwd", "-", "10"}
	text := func() string {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(syllables[r.IntN(len(syllables))])
		}
		return b.String()
	}
	for range 2000 {
		subject, name, local := text(), text(), fmt.Sprint("u", r.IntN(30))
		raw := fmt.Sprintf("Subject: %s\r\nFrom: \"%s\" <%s@a.example>\r\nMessage-ID: <%s@b>\r\n\r\n", subject, name, local, local)
		m := mime.Parse([]byte(raw))
		w := headerWriter{h: &headers{}}
		w.text[fieldSubject].add(mime.DecodeWords(m.Envelope().Subject))
		w.text[fieldFrom].addAddresses(m.Envelope().From)
		w.text[fieldMessageID].add(m.Envelope().MessageID)
		w.h.rows = append(w.h.rows, header{})
		w.finish()
		needle := newNeedle(text())
		for field, value := range map[string]string{"subject": subject, "from": `"` + name + `" <` + local + "@a.example>", "message-id": "<" + local + "@b>"} {
			got := w.h.look(0, field, needle)
			if want := strings.Contains(fold(value), needle.text); got != unknown && (got == isTrue) != want {
				t.Fatalf("seed %d: %q in %s %q: %v", seed, needle.text, field, value, got)
			}
		}
	}
}

func TestASearchKnowsWhatColumnsCannot(t *testing.T) {
	t.Parallel()
	h := headers{rows: []header{{opaque: true}, {}}}
	var w columnWriter
	w.add("One")
	w.add("two")
	h.text[fieldFrom], h.text[fieldSubject] = w.column(), w.column()
	for _, c := range []struct {
		row   int
		field string
		text  string
		want  truth
	}{
		{0, "from", "ONE", isTrue}, {0, "from", "two", unknown}, {1, "from", "one", isFalse}, {1, "from", "(one", unknown},
		{1, "subject", "(one", isFalse}, {1, "subject", "", unknown}, {1, "x-other", "two", unknown}, {1, "cc", "two", isFalse},
	} {
		if got := h.look(c.row, c.field, newNeedle(c.text)); got != c.want {
			t.Errorf("%q in %s of row %d: %v", c.text, c.field, c.row, got)
		}
	}
	if !slices.Equal(fieldNames[:2], []string{"subject", "from"}) {
		t.Error("the names of columns do not follow their order")
	}
}

func TestAMessageToACrowdKeepsItsRowSmall(t *testing.T) {
	t.Parallel()
	var raw strings.Builder
	for i := range 500 {
		fmt.Fprintf(&raw, "To: \"%s\" <to%d@a.example>\r\n", strings.Repeat("n", 900), i)
	}
	w := headerWriter{h: &headers{}, seed: maphash.MakeSeed()}
	w.add(mime.Parse([]byte(raw.String() + "\r\n")))
	w.add(mime.Parse([]byte("To: <one@a.example>\r\n\r\n")))
	w.finish()
	if n := w.h.cost(); n > 2*maxRow {
		t.Errorf("a block of two takes %d octets", n)
	}
	for _, c := range []struct {
		row  int
		text string
		want truth
	}{{0, "to0@", isTrue}, {0, "to499@", unknown}, {1, "to499@", isFalse}, {1, "one@", isTrue}} {
		if got := w.h.look(c.row, "to", newNeedle(c.text)); got != c.want {
			t.Errorf("%q in row %d: %v", c.text, c.row, got)
		}
	}
}

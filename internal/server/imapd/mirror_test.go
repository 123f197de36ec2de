package imapd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/testkit/memconn"
	"posthorn/internal/wire/imap"
)

// told is one message as a client knows it.
type told struct {
	uid    store.UID // 0: not known yet
	flags  string    // sorted, without \Recent
	modSeq uint64
	known  bool
	fresh  bool // flags were told since it was set to false
}

// client is an IMAP client that knows its mailbox by responses alone.
type client struct {
	conn   net.Conn
	in     *bufio.Reader
	tag    int
	name   string
	box    []told
	recent map[string]bool // "INBOX 7"
	place  string          // the mailbox that is selected
	// kept: the command that runs must not be answered with EXPUNGE.
	kept      bool
	condStore bool
	rev2      bool // nothing is \Recent, results of searches are ESEARCH
	// Of the last SELECT: what it said, and what a resynchronisation did.
	validity, highest uint64
	earlier           []imap.SeqSet
	// idling is the tag of the IDLE that runs, "" for none.
	idling string
}

// idle begins IDLE; awake ends it, and takes in what was told meanwhile.
func (c *client) idle() error {
	tag := c.send("IDLE")
	for {
		line, err := c.line()
		if err != nil || strings.HasPrefix(line, "+") {
			c.idling = tag
			return err
		}
		if err := c.take(line); err != nil {
			return err
		}
	}
}

func (c *client) awake() error {
	if c.idling == "" {
		return nil
	}
	tag := c.idling
	c.idling = ""
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c.conn, "DONE\r\n")
	if _, _, err := c.until(tag); err != nil {
		return err
	}
	return c.learn()
}

func (w *world) client(name string, port uint16) *client {
	ours, theirs := memconn.Pair(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), port), netip.MustParseAddrPort("192.0.2.1:143"))
	go func() {
		w.serve("imap", theirs)
		_ = theirs.Close()
	}()
	return &client{conn: ours, in: bufio.NewReader(ours), name: name, recent: map[string]bool{}}
}

// do sends a command and takes in what is answered. It returns the tagged
// response and the lines before it.
func (c *client) do(format string, args ...any) (string, []string, error) {
	tag := c.send(format, args...)
	return c.until(tag)
}

func (c *client) send(format string, args ...any) string {
	c.tag++
	tag := fmt.Sprintf("%s%d", c.name, c.tag)
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c.conn, "%s %s\r\n", tag, fmt.Sprintf(format, args...))
	return tag
}

func (c *client) until(tag string) (string, []string, error) {
	var lines []string
	for {
		line, err := c.line()
		if err != nil {
			return "", lines, fmt.Errorf("client %s waiting for %s: %w", c.name, tag, err)
		}
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			return rest, lines, nil
		}
		lines = append(lines, line)
		if err := c.take(line); err != nil {
			return "", lines, fmt.Errorf("client %s: %w in %q", c.name, err, line)
		}
	}
}

var literal = regexp.MustCompile(`\{(\d+)\}$`)

// line reads a response line; literals become "…".
func (c *client) line() (string, error) {
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSuffix(line, "\r\n")
		m := literal.FindStringSubmatch(line)
		if m == nil {
			return all.String() + line, nil
		}
		n, _ := strconv.Atoi(m[1])
		if _, err := io.CopyN(io.Discard, c.in, int64(n)); err != nil {
			return "", err
		}
		all.WriteString(strings.TrimSuffix(line, m[0]) + "…")
	}
}

var (
	codeItem  = regexp.MustCompile(`^\* OK \[(UIDVALIDITY|HIGHESTMODSEQ) (\d+)\]`)
	numbered  = regexp.MustCompile(`^\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH)(.*)$`)
	uidItem   = regexp.MustCompile(`UID (\d+)`)
	flagsItem = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
	modItem   = regexp.MustCompile(`MODSEQ \((\d+)\)`)
)

// take changes the mirror as a response says.
func (c *client) take(line string) error {
	if set, ok := strings.CutPrefix(line, "* VANISHED "); ok {
		return c.vanished(set)
	}
	if strings.HasPrefix(line, "* OK [CLOSED]") {
		c.box = nil
	}
	if m := codeItem.FindStringSubmatch(line); m != nil {
		n, _ := strconv.ParseUint(m[2], 10, 64)
		*map[string]*uint64{"UIDVALIDITY": &c.validity, "HIGHESTMODSEQ": &c.highest}[m[1]] = n
	}
	m := numbered.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	n, _ := strconv.Atoi(m[1])
	switch m[2] {
	case "RECENT":
		if c.rev2 {
			return fmt.Errorf("RECENT in IMAP4rev2")
		}
	case "EXISTS":
		if n < len(c.box) {
			return fmt.Errorf("EXISTS below %d", len(c.box))
		}
		c.box = append(c.box, make([]told, n-len(c.box))...)
	case "EXPUNGE":
		if c.kept {
			return fmt.Errorf("EXPUNGE where it is forbidden")
		}
		if n < 1 || n > len(c.box) {
			return fmt.Errorf("EXPUNGE beyond %d", len(c.box))
		}
		c.box = slices.Delete(c.box, n-1, n)
	case "FETCH":
		if n < 1 || n > len(c.box) {
			return fmt.Errorf("FETCH beyond %d", len(c.box))
		}
		return c.fetched(&c.box[n-1], m[3])
	}
	return nil
}

func (c *client) vanished(text string) error {
	text, earlier := strings.CutPrefix(text, "(EARLIER) ")
	set, err := imap.ParseSeqSet(text)
	if earlier && err == nil {
		return c.vanishedEarlier(set)
	}
	if err != nil || c.kept {
		return fmt.Errorf("VANISHED where it is forbidden, or %w", err)
	}
	for r := range set.Ranges(1 << 31) {
		for uid := r.First; uid <= r.Last; uid++ {
			at := c.placeOf(store.UID(uid))
			if at < 0 {
				return fmt.Errorf("UID %d vanished and was never there", uid)
			}
			c.box = slices.Delete(c.box, at, at+1)
		}
	}
	return nil
}

// placeOf finds a message. One heard of during IDLE, whose UID could not be
// asked for, is any without a UID between those that have one.
func (c *client) placeOf(uid store.UID) int {
	stranger := -1
	for i, t := range c.box {
		switch {
		case t.uid == uid:
			return i
		case t.uid == 0 && stranger < 0:
			stranger = i
		case t.uid > uid:
			return stranger
		case t.uid != 0:
			stranger = -1
		}
	}
	return stranger
}

// vanishedEarlier notes what a resynchronisation says is gone. None of it is there.
func (c *client) vanishedEarlier(set imap.SeqSet) error {
	c.earlier = append(c.earlier, set)
	for _, t := range c.box {
		if t.uid != 0 && set.Contains(uint32(t.uid), 1<<31) {
			return fmt.Errorf("UID %d vanished and is there", t.uid)
		}
	}
	return nil
}

func (c *client) fetched(t *told, items string) error {
	if m := uidItem.FindStringSubmatch(items); m != nil {
		uid, _ := strconv.Atoi(m[1])
		if t.uid != 0 && t.uid != store.UID(uid) {
			return fmt.Errorf("message was UID %d", t.uid)
		}
		t.uid = store.UID(uid)
	}
	if m := flagsItem.FindStringSubmatch(items); m != nil {
		var flags []string
		for _, f := range strings.Fields(m[1]) {
			if f != `\Recent` {
				flags = append(flags, f)
			} else if t.uid != 0 {
				c.recent[fmt.Sprint(c.place, " ", t.uid)] = true
			}
			if f == `\Recent` && c.rev2 {
				return fmt.Errorf("\\Recent in IMAP4rev2")
			}
		}
		slices.Sort(flags)
		t.flags, t.known, t.fresh = strings.Join(flags, " "), true, true
	}
	if m := modItem.FindStringSubmatch(items); m != nil {
		modSeq, _ := strconv.ParseUint(m[1], 10, 64)
		if modSeq < t.modSeq {
			return fmt.Errorf("MODSEQ went back from %d", t.modSeq)
		}
		t.modSeq = modSeq
	} else if c.condStore && flagsItem.MatchString(items) {
		return fmt.Errorf("FLAGS without MODSEQ")
	}
	return nil
}

// enter logs in and selects.
func (c *client) enter(box string) error {
	if _, err := c.line(); err != nil {
		return err
	}
	c.place = box
	for _, command := range []string{"LOGIN alice secret", "SELECT " + box} {
		if r, _, err := c.do("%s", command); err != nil || !strings.HasPrefix(r, "OK") {
			return fmt.Errorf("%s: %s %v", command, r, err)
		}
	}
	return c.learn()
}

// learn asks about the messages the client has only heard of.
func (c *client) learn() error {
	for {
		first := slices.IndexFunc(c.box, func(t told) bool { return t.uid == 0 || !t.known })
		if first < 0 {
			return nil
		}
		c.kept = true
		r, _, err := c.do("FETCH %d:* (UID FLAGS)", first+1)
		c.kept = false
		if err != nil {
			return err
		}
		if !strings.HasPrefix(r, "OK") {
			return fmt.Errorf("client %s learns: %s", c.name, r)
		}
	}
}

// agrees compares the mirror with the store after a NOOP.
func (c *client) agrees(w *world) error {
	if err := c.awake(); err != nil {
		return err
	}
	if r, _, err := c.do("NOOP"); err != nil || !strings.HasPrefix(r, "OK") {
		return fmt.Errorf("NOOP: %s %v", r, err)
	}
	if err := c.learn(); err != nil {
		return err
	}
	account := w.store.Account(w.accounts["alice"])
	box, err := account.FindMailbox(w.ctx, c.place)
	if err != nil {
		return err
	}
	x, err := account.Index(w.ctx, box.ID)
	if err != nil {
		return err
	}
	if len(x.Entries) != len(c.box) {
		return fmt.Errorf("client %s knows %d messages, there are %d", c.name, len(c.box), len(x.Entries))
	}
	for i, e := range x.Entries {
		t := c.box[i]
		if want := flagText(e.Flags, x.Mailbox.Keywords); t.uid != e.UID || t.flags != want || t.modSeq != 0 && t.modSeq != uint64(e.ModSeq) {
			return fmt.Errorf("client %s knows message %d as %+v, it is %d (%s) modseq %d", c.name, i+1, t, e.UID, want, e.ModSeq)
		}
	}
	return nil
}

func flagText(flags store.Flags, keywords []string) string {
	var names []string
	for i, name := range systemFlagNames {
		if flags&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	for i, name := range keywords {
		if flags&(1<<(store.FirstKeyword+i)) != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

package fault

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// promise is what the server said OK to about one message of the test.
type promise struct {
	box     string // mailbox it stands in; "" when it was expunged
	uid     uint32
	flagged bool
	// unsure: a command about it was under way when the server died.
	unsure bool
}

// promises are the books of the IMAP test: the client's view of what is durable.
type promises struct {
	all  map[string]*promise // by subject
	uids map[string]uint32   // highest UID ever told, by mailbox
	seq  int
}

func (p *promises) saw(box string, uid uint32) {
	if uid > p.uids[box] {
		p.uids[box] = uid
	}
}

var (
	appendUID = regexp.MustCompile(`\[APPENDUID \d+ (\d+)\]`)
	copyUID   = regexp.MustCompile(`\[COPYUID \d+ \d+ (\d+)\]`)
)

// reliability.md row 3: OK to APPEND, STORE, MOVE and EXPUNGE is durable, and
// UIDs are never used again.
func TestWhatIMAPSaidOKToSurvivesKills(t *testing.T) {
	t.Parallel()
	s := newSite(t, options(""), 3)
	p := make([]*promises, len(s.accounts))
	for i := range p {
		p[i] = &promises{all: map[string]*promise{}, uids: map[string]uint32{}}
	}
	for cycle := range pick(6, 60) {
		var wg sync.WaitGroup
		for i, account := range s.accounts {
			wg.Go(func() { p[i].work(t, s.d.Addr("imap"), account) })
		}
		time.Sleep(200*time.Millisecond + rand.N(600*time.Millisecond))
		s.d.Kill()
		wg.Wait()
		s.again()
		for i, account := range s.accounts {
			p[i].check(t, s.d.Addr("imap"), account)
		}
		if t.Failed() {
			t.Fatalf("after kill %d", cycle+1)
		}
	}
	total := 0
	for _, x := range p {
		total += len(x.all)
	}
	t.Logf("%d messages kept their promises", total)
}

// work changes mailboxes until the connection breaks.
func (p *promises) work(t *testing.T, addr, account string) {
	c := dialIMAP(t, addr)
	if _, err := c.try("LOGIN " + account + ` "` + daemon.Password + `"`); err != nil {
		return
	}
	if _, err := c.try("SELECT INBOX"); err != nil {
		return
	}
	for p.step(c) == nil {
	}
}

// step does one thing and notes what the server promised.
func (p *promises) step(c *imapConn) error {
	subject, m := p.pick()
	switch rand.IntN(6) {
	case 0, 1:
		return p.append(c)
	case 2:
		if m == nil {
			return p.append(c)
		}
		m.unsure = true
		_, err := c.try(fmt.Sprintf(`UID STORE %d +FLAGS.SILENT (\Flagged)`, m.uid))
		if err == nil {
			m.flagged, m.unsure = true, false
		}
		return err
	case 3:
		if m == nil {
			return p.append(c)
		}
		m.unsure = true
		lines, err := c.try(fmt.Sprintf("UID MOVE %d Archive", m.uid))
		if err != nil {
			return err
		}
		uid, err := number(copyUID, lines)
		if err != nil {
			return fmt.Errorf("MOVE of %s: %w", subject, err)
		}
		m.box, m.uid, m.unsure = "Archive", uid, false
		p.saw("Archive", uid)
		return nil
	case 4:
		if m == nil {
			return p.append(c)
		}
		m.unsure = true
		if _, err := c.try(fmt.Sprintf(`UID STORE %d +FLAGS.SILENT (\Deleted)`, m.uid)); err != nil {
			return err
		}
		if _, err := c.try(fmt.Sprintf("UID EXPUNGE %d", m.uid)); err != nil {
			return err
		}
		m.box, m.unsure = "", false
		return nil
	}
	_, err := c.try("NOOP")
	return err
}

// pick returns a message that stands in INBOX for certain, or nil.
func (p *promises) pick() (string, *promise) {
	for subject, m := range p.all {
		if m.box == "INBOX" && !m.unsure {
			return subject, m
		}
	}
	return "", nil
}

func (p *promises) append(c *imapConn) error {
	p.seq++
	subject := fmt.Sprintf("promise-%d", p.seq)
	m := &promise{unsure: true}
	p.all[subject] = m
	body := "Subject: " + subject + "\r\n\r\n" + strings.Repeat("text ", rand.IntN(2000)) + "\r\n"
	lines, err := c.try(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(body), body))
	if err != nil {
		return err
	}
	uid, err := number(appendUID, lines)
	if err != nil {
		return err
	}
	*m = promise{box: "INBOX", uid: uid}
	p.saw("INBOX", uid)
	return nil
}

func number(re *regexp.Regexp, lines []string) (uint32, error) {
	for _, l := range lines {
		if m := re.FindStringSubmatch(l); m != nil {
			n, err := strconv.ParseUint(m[1], 10, 32)
			return uint32(n), err
		}
	}
	return 0, fmt.Errorf("no UID in %q", lines)
}

var fetched = regexp.MustCompile(`UID (\d+).*FLAGS \(([^)]*)\)|FLAGS \(([^)]*)\).*UID (\d+)`)

// check compares the mailboxes with the promises, and settles what was unsure.
func (p *promises) check(t *testing.T, addr, account string) {
	t.Helper()
	type place struct {
		box     string
		uid     uint32
		flagged bool
	}
	found := map[string][]place{}
	c := dialIMAP(t, addr)
	c.do("LOGIN " + account + ` "` + daemon.Password + `"`)
	for _, box := range []string{"INBOX", "Archive"} {
		lines := c.do("SELECT " + box)
		next := uint32(0)
		for _, l := range lines {
			if _, err := fmt.Sscanf(l, "* OK [UIDNEXT %d]", &next); err == nil && next <= p.uids[box] {
				t.Errorf("%s %s: UIDNEXT is %d, but UID %d was given out", account, box, next, p.uids[box])
			}
		}
		lines = c.do("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
		for i, l := range lines {
			m := fetched.FindStringSubmatch(l)
			if m == nil || i+1 >= len(lines) {
				continue
			}
			uid, _ := strconv.ParseUint(m[1]+m[4], 10, 32)
			subject := strings.TrimPrefix(lines[i+1], "Subject: ")
			found[subject] = append(found[subject], place{box, uint32(uid), strings.Contains(m[2]+m[3], `\Flagged`)})
			p.saw(box, uint32(uid))
		}
	}
	for subject, m := range p.all {
		at := found[subject]
		if len(at) > 1 {
			t.Errorf("%s: %s is there %d times", account, subject, len(at))
		}
		if m.unsure { // either outcome was allowed; now it is settled
			*m = promise{}
			if len(at) == 1 {
				*m = promise{box: at[0].box, uid: at[0].uid, flagged: at[0].flagged}
			}
			continue
		}
		switch {
		case m.box == "" && len(at) > 0:
			t.Errorf("%s: %s was expunged and is back in %s", account, subject, at[0].box)
		case m.box != "" && len(at) == 0:
			t.Errorf("%s: %s is gone from %s", account, subject, m.box)
		case m.box != "" && (at[0].box != m.box || at[0].uid != m.uid || m.flagged && !at[0].flagged):
			t.Errorf("%s: %s should be %+v and is %+v", account, subject, *m, at[0])
		}
	}
}

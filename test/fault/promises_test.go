package fault

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// promise is what the server said OK to about one message of the test.
type promise struct {
	number, size int // of its body
	box          string
	uid          uint32
	flagged      bool
	// unsure: a command about it was under way when the server died.
	unsure bool
}

// promises are the books of one IMAP client: its view of what is durable.
type promises struct {
	account string
	all     map[string]*promise // by subject: what stands, or may
	gone    map[string]bool     // expunged
	boxes   map[string]*boxBook
	seq     int
	made    map[string]int // by command

	kept   atomic.Int64 // in this cycle
	closed atomic.Bool  // what is said now is too late
	ended  atomic.Pointer[error]
}

// boxBook is what was told about a mailbox.
type boxBook struct {
	validity uint32
	highest  uint32 // UID
}

func (b *boxBook) saw(uid uint32) { b.highest = max(b.highest, uid) }

// clients are the IMAP clients of a test.
type clients []*promises

func newClients(accounts []string) clients {
	var all clients
	for _, a := range accounts {
		all = append(all, &promises{account: a, all: map[string]*promise{}, gone: map[string]bool{}, made: map[string]int{},
			boxes: map[string]*boxBook{"INBOX": {}, "Archive": {}}})
	}
	return all
}

// begin lets all work until their connections break, which the function
// returned waits for; it says what else stopped one.
func (all clients) begin(addr string) (wait func() error) {
	var running sync.WaitGroup
	for _, p := range all {
		p.kept.Store(0)
		p.closed.Store(false)
		p.ended.Store(nil)
		running.Go(func() { p.work(addr) })
	}
	return func() error {
		running.Wait()
		var errs []error
		for _, p := range all {
			if err := *p.ended.Load(); refused(err) || errors.Is(err, errNoUID) {
				errs = append(errs, fmt.Errorf("%s: %w", p.account, err))
			}
		}
		return errors.Join(errs...)
	}
}

// atLeast waits until each client was promised n things in this cycle: one in
// which nothing is promised tests nothing.
func (all clients) atLeast(t *testing.T, n int64) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for _, p := range all {
		for ; p.kept.Load() < n; time.Sleep(2 * time.Millisecond) {
			if err := p.ended.Load(); err != nil {
				t.Fatalf("%s: after %d commands: %v", p.account, p.kept.Load(), *err)
			}
			if time.Now().After(end) {
				t.Fatalf("%s: not %d commands are OK within a minute", p.account, n)
			}
		}
	}
}

// close closes the books: a moment later nobody can read an OK any more.
func (all clients) close() {
	for _, p := range all {
		p.closed.Store(true)
	}
}

// check compares all mailboxes with what was promised.
func (all clients) check(addr string) error {
	var errs []error
	for _, p := range all {
		if err := p.check(addr); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.account, err))
		}
	}
	return errors.Join(errs...)
}

// balance fails the test unless everything that can be promised was, often.
func (all clients) balance(t *testing.T, each int) {
	t.Helper()
	made := map[string]int{}
	for _, p := range all {
		for verb, n := range p.made {
			made[verb] += n
		}
	}
	t.Logf("promises: %v", made)
	for _, verb := range []string{"APPEND", "UID STORE", "UID MOVE", "UID EXPUNGE"} {
		if made[verb] < each {
			t.Errorf("only %d %s were OK", made[verb], verb)
		}
	}
}

// work changes mailboxes until the connection breaks.
func (p *promises) work(addr string) {
	c, err := login(addr, p.account)
	for err == nil {
		err = p.step(c)
	}
	if c != nil {
		c.close()
	}
	p.ended.Store(&err)
}

var errTooLate = errors.New("the books are closed")

// ask runs a command whose OK is a promise.
func (p *promises) ask(c *imapConn, verb, rest string) ([]string, error) {
	lines, err := c.try(verb + " " + rest)
	if p.closed.Load() {
		return nil, errTooLate
	}
	if err == nil {
		p.made[verb]++
		p.kept.Add(1)
	}
	return lines, err
}

// step does one thing and notes what the server promised.
func (p *promises) step(c *imapConn) error {
	m := p.pick()
	if what := rand.IntN(5); m != nil && what > 1 {
		m.unsure = true
		var err error
		switch what {
		case 2:
			if _, err = p.ask(c, "UID STORE", fmt.Sprintf(`%d +FLAGS.SILENT (\Flagged)`, m.uid)); err == nil {
				m.flagged, m.unsure = true, false
			}
		case 3:
			err = p.move(c, m)
		case 4:
			err = p.expunge(c, m)
		}
		return err
	}
	return p.append(c)
}

// pick returns a message that stands in INBOX for certain, or nil.
func (p *promises) pick() *promise {
	for _, m := range p.all {
		if m.box == "INBOX" && !m.unsure {
			return m
		}
	}
	return nil
}

func (p *promises) move(c *imapConn, m *promise) error {
	lines, err := p.ask(c, "UID MOVE", fmt.Sprintf("%d Archive", m.uid))
	if err != nil {
		return err
	}
	uid, err := number(copyUID, lines)
	if err == nil {
		m.box, m.uid, m.unsure = "Archive", uid, false
		p.boxes["Archive"].saw(uid)
	}
	return err
}

func (p *promises) expunge(c *imapConn, m *promise) error {
	if _, err := p.ask(c, "UID STORE", fmt.Sprintf(`%d +FLAGS.SILENT (\Deleted)`, m.uid)); err != nil {
		return err
	}
	_, err := p.ask(c, "UID EXPUNGE", strconv.Itoa(int(m.uid)))
	if err == nil {
		p.forget(m)
	}
	return err
}

func (p *promises) forget(m *promise) {
	subject := p.subject(m.number)
	p.gone[subject] = true
	delete(p.all, subject)
}

// append adds a message. Bodies of several sizes lie in several places.
func (p *promises) append(c *imapConn) error {
	p.seq++
	m := &promise{number: p.seq, size: rand.IntN(10_000), unsure: true}
	if p.seq%4 == 0 {
		m.size *= 10
	}
	p.all[p.subject(m.number)] = m
	body := p.body(m)
	lines, err := p.ask(c, "APPEND", fmt.Sprintf("INBOX {%d+}\r\n%s", len(body), body))
	if err != nil {
		return err
	}
	uid, err := number(appendUID, lines)
	if err == nil {
		m.box, m.uid, m.unsure = "INBOX", uid, false
		p.boxes["INBOX"].saw(uid)
	}
	return err
}

func (p *promises) subject(number int) string {
	return fmt.Sprintf("promise %d to %s", number, p.account)
}

// body is one that nobody could guess from another's.
func (p *promises) body(m *promise) string {
	r := rand.New(rand.NewPCG(uint64(m.number), uint64(m.size)))
	b := fmt.Appendf(nil, "Subject: %s\r\n\r\n", p.subject(m.number))
	for len(b) < m.size {
		b = fmt.Appendf(b, "%016x%016x%016x%016x\r\n", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
	}
	return string(b)
}

var (
	appendUID = regexp.MustCompile(`\[APPENDUID \d+ (\d+)\]`)
	copyUID   = regexp.MustCompile(`\[COPYUID \d+ \d+ (\d+)\]`)
	uidItem   = regexp.MustCompile(`\bUID (\d+)`)
	errNoUID  = errors.New("no UID in an answer")
)

func number(re *regexp.Regexp, lines []string) (uint32, error) {
	for _, l := range lines {
		if m := re.FindStringSubmatch(l); m != nil {
			n, err := strconv.ParseUint(m[1], 10, 32)
			return uint32(n), err
		}
	}
	return 0, fmt.Errorf("%w: %q", errNoUID, lines)
}

// place is where a message was found.
type place struct {
	box     string
	uid     uint32
	flagged bool
	body    string
}

// mostKept is how many messages a mailbox keeps from one cycle to the next.
const mostKept = 200

// check compares the mailboxes with the promises, and settles what was unsure.
func (p *promises) check(addr string) error {
	c, err := login(addr, p.account)
	if err != nil {
		return err
	}
	defer c.close()
	found := map[string][]place{}
	var wrong []error
	for _, box := range slices.Sorted(maps.Keys(p.boxes)) {
		err := p.read(c, box, found)
		if refused(err) {
			return err
		}
		wrong = append(wrong, err)
	}
	for subject, m := range p.all {
		wrong = append(wrong, p.settle(subject, m, found[subject]))
		delete(found, subject)
	}
	for subject, at := range found {
		if p.gone[subject] {
			wrong = append(wrong, fmt.Errorf("%s was expunged and is back in %s", subject, at[0].box))
		} else {
			wrong = append(wrong, fmt.Errorf("%q is in %s and was never sent", subject, at[0].box))
		}
	}
	return errors.Join(append(wrong, p.trim(c))...)
}

// read reads a mailbox whole.
func (p *promises) read(c *imapConn, box string, found map[string][]place) error {
	lines, err := c.try("SELECT " + box)
	if err != nil {
		return err
	}
	var validity, next uint32
	for _, l := range lines {
		_, _ = fmt.Sscanf(l, "* OK [UIDVALIDITY %d]", &validity) // other lines do not match
		_, _ = fmt.Sscanf(l, "* OK [UIDNEXT %d]", &next)
	}
	b := p.boxes[box]
	if b.validity == 0 {
		b.validity = validity
	}
	if validity == 0 || validity != b.validity || next <= b.highest {
		return fmt.Errorf("%s: UIDVALIDITY was %d and is %d, UIDNEXT is %d after UID %d", box, b.validity, validity, next, b.highest)
	}
	answer, err := c.ask("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
	if err != nil {
		return err
	}
	for _, r := range answer {
		if len(r.literals) == 0 {
			continue
		}
		uid, err := number(uidItem, []string{r.text})
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(r.literals[0], "\r\n")
		subject := strings.TrimPrefix(first, "Subject: ")
		found[subject] = append(found[subject], place{box, uid, strings.Contains(r.text, `\Flagged`), r.literals[0]})
		b.saw(uid)
	}
	return nil
}

// settle compares one message with its promise. After a command that was under
// way either outcome is allowed; now it is settled.
func (p *promises) settle(subject string, m *promise, at []place) error {
	if len(at) == 0 {
		delete(p.all, subject)
		if m.unsure {
			return nil
		}
		return fmt.Errorf("%s is gone from %s", subject, m.box)
	}
	is := at[0]
	switch {
	case len(at) > 1:
		return fmt.Errorf("%s is there %d times", subject, len(at))
	case is.body != p.body(m):
		return fmt.Errorf("%s is torn: %d octets, %d of them zero, of %d", subject, len(is.body), strings.Count(is.body, "\x00"), len(p.body(m)))
	case !m.unsure && (is.box != m.box || is.uid != m.uid || m.flagged && !is.flagged):
		return fmt.Errorf("%s should be %s %d and is %s %d; flagged %v, is %v", subject, m.box, m.uid, is.box, is.uid, m.flagged, is.flagged)
	case m.flagged && !is.flagged:
		return fmt.Errorf("%s was flagged and is not", subject)
	}
	m.box, m.uid, m.flagged, m.unsure = is.box, is.uid, is.flagged, false
	return nil
}

// trim expunges what makes reading long.
func (p *promises) trim(c *imapConn) error {
	in := map[string][]*promise{}
	for _, m := range p.all {
		in[m.box] = append(in[m.box], m)
	}
	for box, list := range in {
		if len(list) <= mostKept {
			continue
		}
		for _, command := range []string{"SELECT " + box, `STORE 1:* +FLAGS.SILENT (\Deleted)`, "EXPUNGE"} {
			if _, err := c.try(command); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
		for _, m := range list {
			p.forget(m)
		}
	}
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// task is one thing the IMAP driver is asked to do and to time.
type task struct {
	Addr, User, Password string
	Mailbox              string
	Op                   string
	Part                 int // messages of COPY, MOVE, EXPUNGE, APPEND and single FETCH
	Connections          int
	Corpus               int // how many messages the corpus has
	Seed                 uint64
}

// timing is what the driver measured.
type timing struct {
	Seconds float64
	Selected,
	Answer tally
	CPU float64 // seconds of the driver
}

func (t task) args() []string {
	return []string{"imap", "-addr", t.Addr, "-user", t.User, "-password", t.Password, "-mailbox", t.Mailbox, "-op", t.Op, "-part", fmt.Sprint(t.Part),
		"-connections", fmt.Sprint(t.Connections), "-corpus", fmt.Sprint(t.Corpus), "-seed", fmt.Sprint(t.Seed)}
}

func imapMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("imap", flag.ContinueOnError)
	var t task
	f.StringVar(&t.Addr, "addr", "", "")
	f.StringVar(&t.User, "user", "", "")
	f.StringVar(&t.Password, "password", "", "")
	f.StringVar(&t.Mailbox, "mailbox", "INBOX", "")
	f.StringVar(&t.Op, "op", "", "")
	f.IntVar(&t.Part, "part", 0, "")
	f.IntVar(&t.Connections, "connections", 1, "")
	f.IntVar(&t.Corpus, "corpus", 0, "")
	f.Uint64Var(&t.Seed, "seed", 1, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	r, err := t.run(ctx)
	if err != nil {
		return fmt.Errorf("%s on %s: %w", t.Op, t.Mailbox, err)
	}
	r.CPU = selfCPU()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// simple are the operations that are one command.
var simple = map[string]string{
	"flags":      "FETCH 1:* (FLAGS)",
	"envelope":   "FETCH 1:* (ENVELOPE)",
	"all":        "FETCH 1:* (BODY.PEEK[])",
	"searchfrom": "SEARCH FROM " + soughtName,
	"searchbody": "SEARCH BODY " + soughtWord,
	"sort":       "SORT (DATE) UTF-8 ALL",
	"thread":     "THREAD REFERENCES UTF-8 ALL",
	"store":      "STORE 1:* +FLAGS (\\Flagged)",
}

func (t task) run(ctx context.Context) (timing, error) {
	if t.Op == "append" || t.Op == "fill" {
		return t.appends(ctx)
	}
	begin := time.Now()
	c, selected, err := openIMAP(t.Addr, t.User, t.Password, t.Mailbox)
	if err != nil {
		return timing{}, err
	}
	out := timing{Selected: selected}
	switch t.Op {
	case "select":
		out.Seconds = time.Since(begin).Seconds()
	case "reselect":
		out.Answer, out.Seconds, err = timed(func() (tally, error) { return c.do("SELECT " + t.Mailbox) })
	case "bodies", "pipelined":
		commands := t.bodies(selected.Exists)
		out.Answer, out.Seconds, err = timed(func() (tally, error) { return c.bodies(commands, t.Op == "pipelined") })
	case "store":
		out.Answer, out.Seconds, err = timed(func() (tally, error) { return c.do(simple["store"]) })
		err = c.then(err, "STORE 1:* -FLAGS.SILENT (\\Flagged)")
	default:
		if command := simple[t.Op]; command != "" {
			out.Answer, out.Seconds, err = timed(func() (tally, error) { return c.do(command) })
		} else {
			out.Answer, out.Seconds, err = t.shift(c)
		}
	}
	if err != nil {
		return out, err
	}
	return out, c.logout()
}

func timed(f func() (tally, error)) (tally, float64, error) {
	begin := time.Now()
	t, err := f()
	return t, time.Since(begin).Seconds(), err
}

// then runs commands outside the clock unless something failed before.
func (c *imapConn) then(err error, commands ...string) error {
	for _, command := range commands {
		if err == nil {
			_, err = c.do(command)
		}
	}
	return err
}

// bodies chooses messages at random.
func (t task) bodies(exists int) []string {
	r := rand.New(rand.NewPCG(t.Seed, 5))
	out := make([]string, t.Part)
	for i := range out {
		out[i] = fmt.Sprintf("FETCH %d (BODY.PEEK[])", 1+r.IntN(max(exists, 1)))
	}
	return out
}

func (c *imapConn) bodies(commands []string, pipelined bool) (tally, error) {
	if pipelined {
		return c.pipeline(commands)
	}
	var sum tally
	for _, command := range commands {
		t, err := c.do(command)
		if err != nil {
			return sum, err
		}
		if t.Fetch != 1 || t.Literals != 1 || t.LiteralOctets == 0 {
			return sum, fmt.Errorf("%s: %d FETCH, %d literals of %d octets", command, t.Fetch, t.Literals, t.LiteralOctets)
		}
		sum.add(t)
	}
	return sum, nil
}

func (t *tally) add(u tally) {
	t.Octets += u.Octets
	t.Literals += u.Literals
	t.LiteralOctets += u.LiteralOctets
	t.Fetch += u.Fetch
}

// shift times COPY, MOVE and EXPUNGE of the first messages and then puts the
// mailbox back, outside the clock.
func (t task) shift(c *imapConn) (tally, float64, error) {
	set := fmt.Sprintf("1:%d", t.Part)
	other := "other" + t.Op
	if err := c.then(nil, "CREATE "+other); err != nil {
		return tally{}, 0, err
	}
	home := []string{"SELECT " + other, "MOVE 1:* " + t.Mailbox, "SELECT " + t.Mailbox, "DELETE " + other}
	switch t.Op {
	case "copy":
		a, s, err := timed(func() (tally, error) { return c.do("COPY " + set + " " + other) })
		if err != nil {
			return a, s, err
		}
		n, err := c.do("SELECT " + other)
		if err == nil && n.Exists != t.Part {
			err = fmt.Errorf("%d messages copied, %d arrived", t.Part, n.Exists)
		}
		return a, s, c.then(err, "SELECT "+t.Mailbox, "DELETE "+other)
	case "move":
		a, s, err := timed(func() (tally, error) { return c.do("MOVE " + set + " " + other) })
		return a, s, c.then(err, home...)
	case "expunge":
		if err := c.then(nil, "COPY "+set+" "+other, "STORE "+set+" +FLAGS.SILENT (\\Deleted)"); err != nil {
			return tally{}, 0, err
		}
		a, s, err := timed(func() (tally, error) { return c.do("EXPUNGE") })
		return a, s, c.then(err, home...)
	}
	return tally{}, 0, fmt.Errorf("no operation %q", t.Op)
}

// appends files messages of the corpus by several connections: all of it for
// "fill", the first ones, in a mailbox that is deleted afterwards, for
// "append".
func (t task) appends(ctx context.Context) (timing, error) {
	text := newCorpus(t.Corpus)
	conns := make([]*imapConn, t.Connections)
	for i := range conns {
		c, _, err := openIMAP(t.Addr, t.User, t.Password, "INBOX")
		if err != nil {
			return timing{}, err
		}
		conns[i] = c
	}
	if t.Op == "append" {
		if _, err := conns[0].do("CREATE " + t.Mailbox); err != nil {
			return timing{}, err
		}
	}
	messages := make([][]byte, t.Part)
	for i := range messages {
		messages[i] = text.message(i)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(conns))
	begin := time.Now()
	for i, c := range conns {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < t.Part && ctx.Err() == nil && errs[i] == nil; n = int(next.Add(1)) - 1 {
				errs[i] = c.appendMessage(t.Mailbox, text.date(n).Format(`"02-Jan-2006 15:04:05 -0700" `), messages[n])
			}
		})
	}
	wg.Wait()
	out := timing{Seconds: time.Since(begin).Seconds()}
	for _, err := range errs {
		if err != nil {
			return out, err
		}
	}
	var err error
	if out.Answer, err = conns[0].do("SELECT " + t.Mailbox); err == nil && out.Answer.Exists < t.Part {
		err = fmt.Errorf("%d messages appended, %d are there", t.Part, out.Answer.Exists)
	}
	if t.Op == "append" {
		err = conns[0].then(err, "SELECT INBOX", "DELETE "+t.Mailbox)
	}
	for _, c := range conns {
		if err == nil {
			err = c.logout()
		}
	}
	return out, err
}

// right checks an answer against the corpus; threads is what the other server
// said, 0 if it said nothing yet.
func (t task) right(r timing, f facts, threads int) error {
	a := r.Answer
	if strings.HasPrefix(t.Op, "append") || t.Op == "fill" {
		return nil // counted back by the driver
	}
	if r.Selected.Exists != f.messages {
		return fmt.Errorf("%s: %d messages in the mailbox, not %d", t.Op, r.Selected.Exists, f.messages)
	}
	wrong := false
	switch t.Op {
	case "reselect":
		wrong = a.Exists != f.messages
	case "flags", "store", "envelope":
		wrong = a.Fetch != f.messages
	case "bodies", "pipelined":
		wrong = a.Fetch != t.Part || a.Literals != t.Part
	case "all":
		wrong = a.Fetch != f.messages || a.LiteralOctets != f.octets
	case "searchfrom":
		wrong = a.Numbers != f.named
	case "searchbody":
		wrong = a.Numbers != f.worded
	case "sort":
		wrong = a.Numbers != f.messages
	case "thread":
		wrong = a.Numbers != f.messages || threads != 0 && a.Threads != threads
	case "move", "expunge":
		wrong = a.Expunge != t.Part
	}
	if wrong {
		return fmt.Errorf("%s: wrong answer %+v, expected of %+v, %d threads", t.Op, a, f, threads)
	}
	return nil
}

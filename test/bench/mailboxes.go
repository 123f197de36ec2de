package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// boxes is posthorn and Dovecot with the same messages in the INBOX of the
// same users, one user for each size.
type boxes struct {
	b      *bench
	house  *server
	peer   *dovecot // nil: only posthorn
	corpus *corpus
	facts  facts
	user   string
}

// imapLines are the lines of the table in their order; those with first are
// also measured on a server that was just started.
var imapLines = []imapLine{
	{op: "select", what: "login+SELECT", first: true},
	{op: "reselect", what: "SELECT alone"},
	{op: "flags", what: "FLAGS of all", first: true},
	{op: "envelope", what: "ENVELOPE of all", first: true},
	{op: "bodies", what: "random bodies", first: true, part: 1000},
	{op: "pipelined", what: "random bodies, pipelined", part: 1000},
	{op: "all", what: "all bodies"},
	{op: "searchfrom", what: "SEARCH FROM", first: true},
	{op: "searchbody", what: "SEARCH BODY", first: true},
	{op: "sort", what: "SORT (DATE)", first: true},
	{op: "thread", what: "THREAD REFERENCES", first: true},
	{op: "store", what: "STORE +FLAGS all"},
	{op: "copy", what: "COPY", part: 10000},
	{op: "move", what: "MOVE", part: 10000},
	{op: "expunge", what: "EXPUNGE", part: 10000},
	{op: "append", what: "APPEND", part: 500, conns: 1},
	{op: "append", what: "APPEND", part: 1000, conns: 20},
}

type imapLine struct {
	op, what string
	first    bool
	part     int // 0: nothing to choose
	conns    int
}

func (l imapLine) task(messages int) task {
	t := task{Op: l.op, Part: min(l.part, messages), Connections: l.conns}
	if l.op == "append" {
		t.Mailbox = "appended"
	}
	return t
}

func (l imapLine) name(messages int) string {
	name := l.what
	if l.part > 0 {
		name += fmt.Sprintf(", %d", min(l.part, messages))
	}
	if l.conns > 0 {
		name += fmt.Sprintf(", %d connections", l.conns)
	}
	return name
}

// mailboxes measures IMAP on large mailboxes.
func (b *bench) mailboxes(ctx context.Context) error {
	house, err := startPosthorn(ctx, b.binary, filepath.Join(b.dir, "boxes"), len(b.sizes))
	if err != nil {
		return err
	}
	defer house.stop() //nolint:errcheck // the figures are taken
	var peer *dovecot
	if b.peers {
		if peer, err = startDovecot(ctx, filepath.Join(b.dir, "boxes-peer")); err != nil {
			return err
		}
		defer peer.stop()
		fmt.Printf("Dovecot's configuration:\n%s", peer.text())
	}
	for i, n := range b.sizes {
		x := &boxes{b: b, house: house, peer: peer, corpus: newCorpus(n), user: fmt.Sprintf("user%d@example.test", i)}
		x.facts = x.corpus.facts()
		fmt.Printf("filling two mailboxes with %d messages of %.1f KB\n", n, float64(x.facts.octets)/float64(n)/1024)
		if err := x.fill(ctx); err != nil {
			return err
		}
		if b.wants("imap") {
			if err := x.imap(ctx); err != nil {
				return err
			}
		}
		if b.wants("pop3") && i == 0 {
			if err := x.pop3(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *boxes) fill(ctx context.Context) error {
	t := x.ours(task{Op: "fill", Mailbox: "INBOX", Part: x.corpus.n, Connections: 20})
	var r timing
	if err := x.b.ask(ctx, t.args(), &r); err != nil {
		return err
	}
	if x.peer == nil {
		return nil
	}
	return x.peer.fill(x.user, x.corpus)
}

// ours and theirs say where a task is done.
func (x *boxes) ours(t task) task {
	t.Addr, t.Password = x.house.listeners["imap"], password
	return x.whole(t)
}

func (x *boxes) theirs(t task) task {
	t.Addr, t.Password = x.peer.imap, dovecotPassword
	return x.whole(t)
}

func (x *boxes) whole(t task) task {
	t.User, t.Corpus, t.Connections = x.user, x.corpus.n, max(t.Connections, 1)
	if t.Mailbox == "" {
		t.Mailbox = "INBOX"
	}
	return t
}

func (x *boxes) imap(ctx context.Context) error {
	part := fmt.Sprintf("IMAP %d", x.corpus.n)
	threads := 0
	// Dovecot's first access to a large mailbox takes minutes.
	firsts := max(1, min(x.b.runs, x.b.runs*20000/x.corpus.n))
	for _, l := range imapLines {
		if !l.first || !x.b.asks(l.op) {
			continue
		}
		if err := x.line(ctx, duel{part: part, what: l.name(x.corpus.n) + ", first"}, l.task(x.corpus.n), &threads, firsts, true); err != nil {
			return err
		}
	}
	for _, l := range imapLines {
		if !x.b.asks(l.op) {
			continue
		}
		if err := x.line(ctx, duel{part: part, what: l.name(x.corpus.n)}, l.task(x.corpus.n), &threads, x.b.runs, false); err != nil {
			return err
		}
	}
	fmt.Printf("posthorn's memory was %.0f MB at most\n", float64(peak(x.house.pid()))/(1<<20))
	x.b.report.judge(part, fmt.Sprintf("IMAP, %d messages, to Dovecot", x.corpus.n))
	return nil
}

// line measures one line of the table, the two alternating. A later access has
// a run outside the clock before it.
func (x *boxes) line(ctx context.Context, d duel, t task, threads *int, runs int, first bool) error {
	from := 0
	if !first && t.Op != "append" && t.Part < 10000 {
		from = -1
	}
	for i := from; i < runs; i++ {
		t.Seed += 10
		if first {
			if err := x.restart(ctx); err != nil {
				return err
			}
		}
		r, err := x.once(ctx, x.ours(t), threads, x.house.cpu)
		if err != nil {
			return fmt.Errorf("posthorn: %w", err)
		}
		if i >= 0 {
			d.ours = append(d.ours, r)
		}
		if x.peer == nil {
			continue
		}
		if first {
			if err := x.peer.forget(ctx); err != nil {
				return err
			}
		}
		if r, err = x.once(ctx, x.theirs(t), threads, x.peer.cpu); err != nil {
			return fmt.Errorf("dovecot: %w", err)
		}
		if i >= 0 {
			d.theirs = append(d.theirs, r)
		}
	}
	x.b.report.duels = append(x.b.report.duels, d)
	fmt.Printf("%s %-32s %9.1f ms %9.1f ms %6.2f\n", d.part, d.what, mid(d.ours).seconds*1000, mid(d.theirs).seconds*1000, d.ahead())
	if first && x.b.profiles != "" {
		if err := x.restart(ctx); err != nil {
			return err
		}
	}
	return x.b.profiled(d.part+" "+d.what, x.house, func() error {
		_, err := x.once(ctx, x.ours(t), threads, x.house.cpu)
		return err
	})
}

func (x *boxes) once(ctx context.Context, t task, threads *int, cpu func() float64) (trialRun, error) {
	var r timing
	before := cpu()
	if err := x.b.ask(ctx, t.args(), &r); err != nil {
		return trialRun{}, err
	}
	time.Sleep(20 * time.Millisecond) // Dovecot's process ends and is counted
	if err := t.right(r, x.facts, *threads); err != nil {
		return trialRun{}, err
	}
	if t.Op == "thread" {
		*threads = r.Answer.Threads
	}
	return trialRun{seconds: r.Seconds, cpu: cpu() - before, syncs: -1}, nil
}

func (x *boxes) restart(ctx context.Context) error {
	if err := x.house.stop(); err != nil {
		return err
	}
	return x.house.start(ctx)
}

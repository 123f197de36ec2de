package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// pop3Task is what the POP3 driver is asked to fetch: the whole maildrop.
type pop3Task struct {
	Addr, User, Password string
	Pipelined            bool
}

// pop3Timing is what it saw.
type pop3Timing struct {
	Messages     int
	Octets       int64
	Login, Fetch float64 // seconds from connecting to STAT; of all RETR
}

func (t pop3Task) args() []string {
	return []string{"pop3", "-addr", t.Addr, "-user", t.User, "-password", t.Password, fmt.Sprintf("-pipelined=%v", t.Pipelined)}
}

func pop3Main(_ context.Context, args []string) error {
	f := flag.NewFlagSet("pop3", flag.ContinueOnError)
	var t pop3Task
	f.StringVar(&t.Addr, "addr", "", "")
	f.StringVar(&t.User, "user", "", "")
	f.StringVar(&t.Password, "password", "", "")
	f.BoolVar(&t.Pipelined, "pipelined", false, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	r, err := t.run()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (t pop3Task) run() (pop3Timing, error) {
	var r pop3Timing
	begin := time.Now()
	conn, err := net.Dial("tcp", t.Addr)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Minute))
	in := bufio.NewReaderSize(conn, 64<<10)
	var line string
	for _, send := range []string{"", "USER " + t.User + "\r\n", "PASS " + t.Password + "\r\n", "STAT\r\n"} {
		if line, err = pop3Says(conn, in, send); err != nil {
			return r, err
		}
	}
	r.Login = time.Since(begin).Seconds()
	if _, err := fmt.Sscanf(line, "+OK %d", &r.Messages); err != nil {
		return r, err
	}
	begin = time.Now()
	if t.Pipelined {
		err = r.pipelined(conn, in)
	} else {
		err = r.oneByOne(conn, in)
	}
	r.Fetch = time.Since(begin).Seconds()
	if err == nil {
		_, err = pop3Says(conn, in, "QUIT\r\n")
	}
	return r, err
}

func (r *pop3Timing) oneByOne(conn net.Conn, in *bufio.Reader) error {
	for i := range r.Messages {
		if _, err := fmt.Fprintf(conn, "RETR %d\r\n", i+1); err != nil {
			return err
		}
		if err := r.message(in); err != nil {
			return err
		}
	}
	return nil
}

func (r *pop3Timing) pipelined(conn net.Conn, in *bufio.Reader) error {
	sent := make(chan error, 1)
	go func() {
		var out bytes.Buffer
		for i := range r.Messages {
			fmt.Fprintf(&out, "RETR %d\r\n", i+1)
		}
		_, err := conn.Write(out.Bytes())
		sent <- err
	}()
	for range r.Messages {
		if err := r.message(in); err != nil {
			return err
		}
	}
	return <-sent
}

// message reads the answer to one RETR and counts its octets without stuffing.
func (r *pop3Timing) message(in *bufio.Reader) error {
	if _, err := pop3Line(in); err != nil {
		return err
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line[0] == '.' {
			if len(line) == 3 {
				return nil
			}
			line = line[1:]
		}
		r.Octets += int64(len(line))
	}
}

func pop3Says(conn net.Conn, in *bufio.Reader, send string) (string, error) {
	if _, err := io.WriteString(conn, send); err != nil {
		return "", err
	}
	return pop3Line(in)
}

func pop3Line(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = fmt.Errorf("the server said %q", line)
	}
	return line, err
}

// pop3 fetches the whole maildrop from both, alternating.
func (x *boxes) pop3(ctx context.Context) error {
	part := fmt.Sprintf("POP3 %d", x.corpus.n)
	for _, pipelined := range []bool{false, true} {
		login, fetch := duel{part: part, what: "login+STAT"}, duel{part: part, what: "RETR of all"}
		if pipelined {
			fetch.what += ", pipelined"
		}
		ours := pop3Task{x.house.listeners["pop3"], x.user, password, pipelined}
		for i := -1; i < x.b.runs; i++ { // the first run is outside the clock
			l, f, err := x.retrieve(ctx, ours, x.house.cpu)
			if err != nil {
				return fmt.Errorf("posthorn: %w", err)
			}
			if i >= 0 {
				login.ours, fetch.ours = append(login.ours, l), append(fetch.ours, f)
			}
			if x.peer == nil {
				continue
			}
			if l, f, err = x.retrieve(ctx, pop3Task{x.peer.pop3, x.user, dovecotPassword, pipelined}, x.peer.cpu); err != nil {
				return fmt.Errorf("dovecot: %w", err)
			}
			if i >= 0 {
				login.theirs, fetch.theirs = append(login.theirs, l), append(fetch.theirs, f)
			}
		}
		if !pipelined {
			x.b.report.duels = append(x.b.report.duels, login)
		}
		x.b.report.duels = append(x.b.report.duels, fetch)
		fmt.Printf("%s %-32s %9.1f ms %9.1f ms %6.2f\n", part, fetch.what, mid(fetch.ours).seconds*1000, mid(fetch.theirs).seconds*1000, fetch.ahead())
		err := x.b.profiled(part+" "+fetch.what, x.house, func() error { _, _, err := x.retrieve(ctx, ours, x.house.cpu); return err })
		if err != nil {
			return err
		}
	}
	x.b.report.judge(part, fmt.Sprintf("POP3, %d messages, to Dovecot", x.corpus.n))
	return nil
}

func (x *boxes) retrieve(ctx context.Context, t pop3Task, cpu func() float64) (login, fetch trialRun, err error) {
	var r pop3Timing
	before := cpu()
	if err := x.b.ask(ctx, t.args(), &r); err != nil {
		return login, fetch, err
	}
	time.Sleep(20 * time.Millisecond) // Dovecot's process ends and is counted
	if r.Messages != x.facts.messages || r.Octets != x.facts.octets {
		return login, fetch, fmt.Errorf("%d messages of %d octets, not %d of %d", r.Messages, r.Octets, x.facts.messages, x.facts.octets)
	}
	return trialRun{seconds: r.Login, syncs: -1}, trialRun{seconds: r.Fetch, cpu: cpu() - before, syncs: -1}, nil
}

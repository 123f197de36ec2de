// Command bench measures posthorn against Postfix with Dovecot, a sink that
// discards and a bare group-commit log, all in one run, and prints one table
// of ratios (docs/benchmarks.md tells the rules).
//
// It runs itself again for the load generator and the sink, so that each has a
// process, and a CPU account, of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "generate":
			return generateMain(ctx, args[1:])
		case "sink":
			return sinkMain(ctx, args[1:])
		case "imap":
			return imapMain(ctx, args[1:])
		case "pop3":
			return pop3Main(ctx, args[1:])
		case "hold":
			return holdMain(ctx, args[1:])
		}
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	var c config
	f.StringVar(&c.dir, "dir", "", "scratch folder (default: a new one under the system's temporary folder)")
	f.IntVar(&c.runs, "runs", 3, "alternating runs; the median counts")
	f.IntVar(&c.messages, "messages", 4000, "messages a run at 10 and more connections")
	f.IntVar(&c.fill, "fill", 0, "also measure on a store that holds this many messages")
	f.IntVar(&c.fillSize, "fillsize", 2<<10, "octets of each of them (200000 of 50000 are 10 GB, for -only start)")
	f.IntVar(&c.idle, "idle", 5000, "idle IMAP connections for the memory line")
	sizes := f.String("mailboxes", "20000,100000", "messages in the mailboxes for IMAP; POP3 takes the first")
	lines := f.String("lines", "", "comma-separated IMAP operations such as select,envelope,thread (default all)")
	f.IntVar(&c.relayed, "relayed", 5000, "messages relayed a run")
	f.IntVar(&c.queued, "queued", 100000, "messages in the queue for the restart")
	f.StringVar(&c.profiles, "profile", "", "folder for CPU profiles, taken with perf in further runs")
	only := f.String("only", "", "comma-separated parts: smtp,large,idle,imap,pop3,relay,start,policy (or of it checks, scan, memory; default all)")
	f.IntVar(&c.attempts, "attempts", 100000, "attempts to record for the line of octets an attempt, by posthorn with and without checks")
	f.IntVar(&c.greylisted, "greylisted", 1000000, "entries of the greylist")
	f.IntVar(&c.offered, "offered", 10000000, "keys offered to the tables of limits")
	f.BoolVar(&c.peers, "peers", true, "run Postfix and Dovecot beside posthorn")
	f.StringVar(&c.binary, "posthorn", "", "posthorn binary (default: build it)")
	if err := f.Parse(args); err != nil {
		return err
	}
	c.only, c.lines = set(*only), set(*lines)
	for size := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			return fmt.Errorf("-mailboxes %q: not a number of messages", size)
		}
		c.sizes = append(c.sizes, n)
	}
	return benchmark(ctx, c)
}

// set reads a list of names; an empty one means all.
func set(list string) map[string]bool {
	out := map[string]bool{}
	for name := range strings.SplitSeq(list, ",") {
		if name != "" {
			out[name] = true
		}
	}
	return out
}

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
		}
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	var c config
	f.StringVar(&c.dir, "dir", "", "scratch folder (default: a new one under the system's temporary folder)")
	f.IntVar(&c.runs, "runs", 3, "alternating runs; the median counts")
	f.IntVar(&c.messages, "messages", 4000, "messages a run at 10 and more connections")
	f.IntVar(&c.fill, "fill", 0, "also measure on a store that holds this many messages")
	f.IntVar(&c.idle, "idle", 5000, "idle IMAP connections for the memory line")
	only := f.String("only", "", "comma-separated parts: smtp,large,imap,start (default all)")
	f.BoolVar(&c.peers, "peers", true, "run Postfix and Dovecot beside posthorn")
	f.StringVar(&c.binary, "posthorn", "", "posthorn binary (default: build it)")
	if err := f.Parse(args); err != nil {
		return err
	}
	c.only = map[string]bool{}
	for part := range strings.SplitSeq(*only, ",") {
		if part != "" {
			c.only[part] = true
		}
	}
	return benchmark(ctx, c)
}

// Command posthorn is a complete mail server; see README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"posthorn/internal/app/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

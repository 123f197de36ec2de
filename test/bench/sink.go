package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"time"
)

// sinkMain is a server that says yes to everything and keeps nothing: the most
// that a server on this machine could reach with this generator.
func sinkMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("sink", flag.ContinueOnError)
	addr := f.String("addr", "127.0.0.1:0", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		<-ctx.Done()
		_ = l.Close()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return nil //nolint:nilerr // the listener was closed
		}
		go sinkSession(c)
	}
}

func sinkSession(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Hour))
	in := bufio.NewReaderSize(c, 16<<10)
	out := bufio.NewWriter(c)
	say := func(line string) bool {
		_, err := out.WriteString(line)
		if err == nil && in.Buffered() == 0 {
			err = out.Flush()
		}
		return err == nil
	}
	ok := say("220 sink\r\n")
	for ok {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte("EHLO")):
			ok = say("250-sink\r\n250 PIPELINING\r\n")
		case bytes.HasPrefix(line, []byte("DATA")):
			ok = say("354 go\r\n") && swallow(in) == nil && say("250 ok\r\n")
		case bytes.HasPrefix(line, []byte("QUIT")):
			say("221 bye\r\n")
			return
		default:
			ok = say("250 ok\r\n")
		}
	}
}

func swallow(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		if len(line) == 3 && line[0] == '.' {
			return nil
		}
		if err == io.EOF {
			return err
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"sync"
	"time"
)

// sinkMain is a server that says yes to everything and keeps nothing: the most
// that a server on this machine could reach with this generator.
func sinkMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("sink", flag.ContinueOnError)
	addr := f.String("addr", "127.0.0.1:0", "")
	distinct := f.Bool("distinct", false, "count different messages by Message-ID, for COUNT")
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
	var seen *ids
	if *distinct {
		seen = &ids{set: map[string]bool{}}
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return nil //nolint:nilerr // the listener was closed
		}
		go sinkSession(c, seen)
	}
}

// ids are the Message-IDs of messages that were swallowed.
type ids struct {
	mu  sync.Mutex
	set map[string]bool
}

func (s *ids) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set[id] = true
}

func (s *ids) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.set)
}

func sinkSession(c net.Conn, seen *ids) {
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
			ok = say("354 go\r\n") && swallow(in, seen) == nil && say("250 ok\r\n")
		case seen != nil && bytes.HasPrefix(line, []byte("COUNT")):
			ok = say(fmt.Sprintf("250 %d\r\n", seen.count()))
		case bytes.HasPrefix(line, []byte("QUIT")):
			say("221 bye\r\n")
			return
		default:
			ok = say("250 ok\r\n")
		}
	}
}

// swallow reads the content and remembers its Message-ID when it is at the end.
func swallow(in *bufio.Reader, seen *ids) error {
	id, body := "", false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		switch {
		case len(line) == 3 && line[0] == '.':
			if seen != nil {
				seen.add(id)
			}
			return nil
		case len(line) == 2:
			body = true
		case seen != nil && !body && len(line) > 11 && bytes.EqualFold(line[:11], []byte("Message-ID:")):
			id = string(line)
		}
	}
}

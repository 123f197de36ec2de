package remote

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"posthorn/internal/flow/queue"
	"posthorn/internal/wire/smtp"
)

// BenchmarkDeliver measures one job of 2 KB after the other over kept
// connections on loopback, against a host that does nothing with them.
func BenchmarkDeliver(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go sink(conn)
		}
	}()
	w := &world{addr: map[string]any{"localhost": "127.0.0.1"}, mx: map[string]any{"far.test": "1 localhost"}}
	set := defaults()
	set.Reuse.Messages = 10_000
	d := New(Options{Resolver: w, Hostname: func() string { return "me.test" }, Settings: func() *Settings { return set }, Port: uint16(l.Addr().(*net.TCPAddr).Port)})
	defer d.Close()
	j := job("Subject: x\r\n\r\n" + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\r\n", 32))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := d.Deliver(b.Context(), j); err != nil || r[0].Fate != queue.Delivered {
				b.Errorf("%+v %v", r, err)
			}
		}
	})
}

// sink takes everything.
func sink(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := smtp.NewReader(conn)
	say := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") } // the client notices
	say("220 mx")
	for {
		line, err := r.ReadLine(1000)
		switch {
		case err != nil:
			return
		case bytes.HasPrefix(line, []byte("EHLO")):
			say("250-mx\r\n250 PIPELINING")
		case bytes.Equal(line, []byte("DATA")):
			say("354 go")
			if r.ReadData(&smtp.Dot{}, io.Discard) != nil {
				return
			}
			say("250 2.0.0 ok")
		default:
			say("250 ok")
		}
	}
}

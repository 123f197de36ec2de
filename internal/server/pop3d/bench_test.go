package pop3d

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// BenchmarkRetr fetches messages of 2 KB over a socket; one operation is one
// message, with the client's part of the work.
func BenchmarkRetr(b *testing.B) {
	w := newWorld(b)
	defer w.close()
	const n = 5000
	content := []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000/72))
	w.fill(b, "alice", n, content)
	for _, pipelined := range []bool{false, true} {
		b.Run(fmt.Sprintf("pipelined=%v", pipelined), func(b *testing.B) {
			p := w.dial(b)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; {
				round := min(n, b.N-i)
				if pipelined {
					go p.retrieve(round)
				}
				for k := range round {
					if !pipelined {
						p.send(fmt.Sprintf("RETR %d", k+1))
					}
					p.expect("+OK")
					if _, err := p.in.Discard(len(content) + len(".\r\n")); err != nil {
						b.Fatal(err)
					}
				}
				i += round
			}
		})
	}
}

// retrieve asks for messages from the first on, all at once.
func (p *peer) retrieve(n int) {
	var all bytes.Buffer
	for k := range n {
		fmt.Fprintf(&all, "RETR %d\r\n", k+1)
	}
	if _, err := p.conn.Write(all.Bytes()); err != nil {
		p.t.Error(err)
	}
}

// fill files the same message several times.
func (w *world) fill(b *testing.B, name string, n int, content []byte) {
	index, err := w.box(name, "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	items := make([]store.AppendItem, n)
	for i := range items {
		draft, err := w.store.NewDraft(b.Context(), int64(len(content)))
		if err == nil {
			_, err = draft.Write(content)
		}
		if err != nil {
			b.Fatal(err)
		}
		items[i] = store.AppendItem{Body: draft, Internal: time.Now()}
	}
	if _, err := w.store.Account(w.accounts[name]).Append(b.Context(), index.Mailbox.ID, items); err != nil {
		b.Fatal(err)
	}
}

// dial logs alice in over a socket.
func (w *world) dial(b *testing.B) *peer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if raw, err := l.Accept(); err == nil {
			w.serve("plain", raw)
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_, _ = io.WriteString(conn, "QUIT\r\n")
		<-done
		_, _ = conn.Close(), l.Close()
	})
	p := newPeer(b, conn)
	p.send("USER alice@example.test", "PASS secret")
	p.expect("+OK", "+OK", "+OK")
	return p
}

package imapd

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthorn/internal/server/listen"
)

// open starts the server on a loopback port.
func (w *world) open() (addr string, group *listen.Group) {
	sockets, err := listen.Open(w.ctx, []listen.Spec{{Name: "imap", Addr: "127.0.0.1:0"}})
	if err != nil {
		w.t.Fatal(err)
	}
	group = listen.NewGroup(listen.Options{Limits: func() listen.Limits {
		return listen.Limits{Total: 20000, PerListener: 20000, PerHost: 20000}
	}})
	if err := group.Start(sockets[0], w.server, nil); err != nil {
		w.t.Fatal(err)
	}
	return sockets[0].Address(), group
}

// idler is a client in IDLE over a real connection.
func idler(addr string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReaderSize(conn, 256)
	if _, err := in.ReadString('\n'); err != nil {
		return nil, nil, err
	}
	for i, command := range []string{"LOGIN alice secret", "SELECT INBOX", "IDLE"} {
		fmt.Fprintf(conn, "t%d %s\r\n", i, command)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return nil, nil, err
			}
			if strings.HasPrefix(line, fmt.Sprintf("t%d OK", i)) || strings.HasPrefix(line, "+ ") {
				break
			}
		}
	}
	return conn, in, nil
}

// packedIdler is an idler behind COMPRESS.
func packedIdler(addr string) (net.Conn, *bufio.Reader, error) {
	conn, in, err := idler(addr)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(conn, "DONE\r\nt COMPRESS DEFLATE\r\n")
	for line := ""; !strings.HasPrefix(line, "t OK"); {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, nil, err
		}
	}
	conn = packed(conn, partialFlush())
	in = bufio.NewReaderSize(conn, 256)
	fmt.Fprintf(conn, "t IDLE\r\n")
	_, err = in.ReadString('\n')
	return conn, in, err
}

// TestAStopSaysGoodbyeBehindCOMPRESS: the compressed stream ends in order, in
// IDLE and between commands.
func TestAStopSaysGoodbyeBehindCOMPRESS(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t)
	defer w.close()
	addr, group := w.open()
	var readers []*bufio.Reader
	for i := range 2 {
		conn, in, err := packedIdler(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if i == 1 {
			fmt.Fprintf(conn, "DONE\r\n")
			if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "t OK") {
				t.Fatal(line, err)
			}
		}
		readers = append(readers, in)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if cut := group.Stop(ctx); cut != 0 {
		t.Errorf("%d sessions had to be cut", cut)
	}
	for i, in := range readers {
		if line, err := in.ReadString('\n'); err != nil || line != "* BYE [UNAVAILABLE] Server is shutting down\r\n" {
			t.Errorf("client %d heard %q, %v", i, line, err)
		}
	}
}

func TestAStopSaysGoodbyeToEverybody(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t)
	defer w.close()
	addr, group := w.open()
	var clients []net.Conn
	var readers []*bufio.Reader
	for range 1000 {
		conn, in, err := idler(addr)
		if err != nil {
			t.Fatal(err)
		}
		clients, readers = append(clients, conn), append(readers, in)
	}
	quiet, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	clients, readers = append(clients, quiet), append(readers, bufio.NewReader(quiet))
	if line, err := readers[1000].ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if cut := group.Stop(ctx); cut != 0 {
		t.Errorf("%d sessions had to be cut", cut)
	}
	for i, in := range readers {
		line, err := in.ReadString('\n')
		if err != nil || line != "* BYE [UNAVAILABLE] Server is shutting down\r\n" {
			t.Fatalf("client %d heard %q, %v", i, line, err)
		}
		_ = clients[i].Close()
	}
}

// BenchmarkIdleNotification is the time from the end of a delivery to the
// EXISTS on another connection (design.md 10: p50 at most 5 ms).
func BenchmarkIdleNotification(b *testing.B) {
	w := newWorld(b)
	defer w.close()
	addr, group := w.open()
	conn, in, err := idler(addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var waited time.Duration
	for b.Loop() {
		if err := w.deliver("alice"); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		for range 2 { // EXISTS and RECENT
			if _, err := in.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
		}
		waited += time.Since(start)
	}
	b.ReportMetric(float64(waited.Microseconds())/float64(b.N), "us/notification")
	group.Stop(b.Context())
}

package authority

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	mdns "github.com/miekg/dns"
)

// refused is the error of a server that nobody runs.
func refused(server string) error {
	return &net.OpError{Op: "read", Net: "udp", Err: os.NewSyscallError("read "+server, syscall.ECONNREFUSED)}
}

// Listen answers over UDP and TCP on one address until the test ends, and
// returns it; "" is loopback with a free port. May be called several times.
func (a *Authority) Listen(addr string) string {
	a.tb.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	udp, tcp := a.open(addr)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.serveUDP(ctx, udp, &running) })
	running.Go(func() { a.serveTCP(ctx, tcp, &running) })
	a.tb.Cleanup(func() {
		stop()
		_, _ = udp.Close(), tcp.Close() // the readers end by it
		running.Wait()
	})
	return udp.LocalAddr().String()
}

// open finds a port that is free for both.
func (a *Authority) open(addr string) (net.PacketConn, net.Listener) {
	a.tb.Helper()
	var err error
	for range 20 {
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", addr); err != nil {
			break
		}
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, tcp
		}
		_ = udp.Close() // TCP has this port taken; another will do
	}
	a.tb.Fatalf("authority: %v", err)
	return nil, nil
}

func (a *Authority) serveUDP(ctx context.Context, c net.PacketConn, running *sync.WaitGroup) {
	for {
		buf := make([]byte, 4096)
		n, from, err := c.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of a client that is gone
		}
		running.Go(func() {
			if b, wire := a.reply(ctx, buf[:n], true); wire != nil && wait(ctx, b.Delay) == nil {
				_, _ = c.WriteTo(wire, from) // a lost answer is a client's business
			}
		})
	}
}

func (a *Authority) serveTCP(ctx context.Context, l net.Listener, running *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			for a.serveOne(ctx, c) == nil {
			}
		})
	}
}

// serveOne answers one query of a TCP connection.
func (a *Authority) serveOne(ctx context.Context, c net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	b, wire := a.reply(ctx, buf, false)
	if wire == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := wait(ctx, b.Delay); err != nil {
		return err
	}
	wire = append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	if b.Drip {
		return drip(ctx, c, wire)
	}
	_, err := c.Write(wire)
	return err
}

// drip writes an octet every 20 ms and keeps the last one back.
func drip(ctx context.Context, c net.Conn, wire []byte) error {
	for i := range wire[:len(wire)-1] {
		if _, err := c.Write(wire[i : i+1]); err != nil {
			return err
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// reply makes the octets of an answer; nil for none.
func (a *Authority) reply(ctx context.Context, query []byte, udp bool) (Behaviour, []byte) {
	q := new(mdns.Msg)
	if q.Unpack(query) != nil || ctx.Err() != nil {
		return Behaviour{}, nil
	}
	b, m := a.answer(q)
	switch {
	case b.Drop:
		return b, nil
	case b.Garbage:
		return b, append(query[:2:2], 0x81, 0x80, 0, 1, 0, 9, 'g', 'a', 'r', 'b', 'a', 'g', 'e')
	}
	size := mdns.MaxMsgSize
	if opt := q.IsEdns0(); udp && opt != nil {
		size = int(opt.UDPSize())
		m.SetEdns0(mdns.DefaultMsgSize, false)
	} else if udp {
		size = mdns.MinMsgSize
	}
	m.Truncate(size)
	if udp && b.Truncate || b.Endless {
		m.Answer, m.Ns, m.Truncated = nil, nil, true
	}
	wire, err := m.Pack()
	if err != nil {
		return b, nil
	}
	return b, wire
}

package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// Bounds of what a milter sends.
const (
	maxPacket  = 1 << 20 // one packet
	maxPackets = 10_000  // in answer to one command, progress included
	maxPerStep = 1 << 20 // octets in answer to one command, a new body apart
)

var errPacket = errors.New("not a packet of the protocol")

// milterConn stands between the library and a milter's connection. The library
// trusts the other side's lengths, panics at empty packets, reads without end
// and logs what it is asked for; here packets are measured before it sees them,
// and deadlines are those of the context. What is written is kept until
// something is awaited.
type milterConn struct {
	net.Conn
	out     []byte
	ready   []byte // read and not handed out yet
	left    int    // of the packet being read
	head    [4]byte
	octets  int64 // still allowed in this step
	packets int
	talked  bool // the negotiation is over
}

// begin gives a step the context's deadline.
func (c *milterConn) begin(ctx context.Context) (stop func()) {
	c.allow(0)
	return bind(ctx, c.Conn)
}

// allow bounds the answer to the next command; extra is the size of a body.
func (c *milterConn) allow(extra int64) { c.octets, c.packets = maxPerStep+extra, maxPackets }

// flush writes what is kept.
func (c *milterConn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *milterConn) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	if len(c.out) < maxPacket/8 {
		return len(p), nil
	}
	return len(p), c.flush()
}

func (c *milterConn) Read(p []byte) (int, error) {
	if len(c.ready) == 0 && c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.ready) > 0 {
		n := copy(p, c.ready)
		c.ready = c.ready[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// next reads the length of a packet; the first one it reads whole.
func (c *milterConn) next() error {
	if err := c.flush(); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(c.head[:])
	c.octets -= int64(n)
	c.packets--
	if n == 0 || n > maxPacket || c.octets < 0 || c.packets < 0 {
		return fmt.Errorf("%w: too long, too many or empty", errPacket)
	}
	c.ready, c.left = c.head[:], int(n)
	if c.talked {
		return nil
	}
	c.talked = true
	const most = 8 << 10
	if n > most {
		return fmt.Errorf("%w: a negotiation of %d octets", errPacket, n)
	}
	packet := make([]byte, n)
	if _, err := io.ReadFull(c.Conn, packet); err != nil {
		return err
	}
	c.ready, c.left = slices.Concat(c.head[:], packet), 0
	return checkNegotiation(packet)
}

// checkNegotiation sees that lists of macros, behind the code and three
// numbers, are what the library takes without a word.
func checkNegotiation(packet []byte) error {
	const fixed, stages = 1 + 3*4, 7
	if len(packet) < fixed || packet[0] != 'O' {
		return fmt.Errorf("%w: no negotiation", errPacket)
	}
	var seen [stages]bool
	for lists := packet[fixed:]; len(lists) > 4; {
		stage := binary.BigEndian.Uint32(lists)
		end := slices.Index(lists[4:], 0)
		if stage >= stages || seen[stage] || end < 0 {
			return fmt.Errorf("%w: a list of macros", errPacket)
		}
		seen[stage] = true
		lists = lists[4+end+1:]
	}
	return nil
}

// pretend makes the library believe that the milter has answered to an empty
// part of the body: without one it does not end a message, and many milters
// are surprised by it.
func (c *milterConn) pretend(send func() error, answered bool) error {
	if err := c.flush(); err != nil {
		return err
	}
	if answered {
		c.ready = []byte{0, 0, 0, 1, 'c'}
	}
	err := send()
	c.out = c.out[:0]
	return err
}

// The context sets deadlines; the library's own are not listened to.

func (c *milterConn) SetDeadline(time.Time) error      { return nil }
func (c *milterConn) SetReadDeadline(time.Time) error  { return nil }
func (c *milterConn) SetWriteDeadline(time.Time) error { return nil }

// Dial makes the connection the library's dialer: it is open already.
func (c *milterConn) Dial(string, string) (net.Conn, error) { return c, nil }

// farewell bounds the writing of the last words.
const farewell = time.Second

// Close writes what is kept and closes.
func (c *milterConn) Close() error {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(farewell)) // the write tells
	return errors.Join(c.flush(), c.Conn.Close())
}
